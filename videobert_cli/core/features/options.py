"""The recipe's `extract:` section."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from videobert_cli.core.features.plugins import BuiltIn, check_backbone_name
from videobert_cli.core.video.options import ReaderOptions
from videobert_cli.options import Options

Keep = Literal["features", "words", "both"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]


class ExtractOptions(Options):
    """`extract:` videos become features: one vector for each clip."""

    backbone: BuiltIn | str = Field(
        default="efficientnet_lite0",
        description="The network: `efficientnet_lite0` (embedded, images), `s3d` (the paper's, video), MIL-NCE's, "
        "`transformers:DIR_OR_HUB_ID`, or the name of an installed plug-in (docs/backbones.md).",
    )
    weights: Path | Literal["default", "kinetics400"] = Field(
        default="default",
        description="`default`, `kinetics400` (torchvision's S3D weights, downloaded, hash-checked) or a local file.",
    )
    frames_per_second: float = Field(
        default=20.0, gt=0, le=240, description="Frames sampled a second, by time stamp."
    )
    clip_num_frames: int = Field(
        default=30, ge=1, le=1024, description="Frames of one clip (paper: 30 = 1.5 s)."
    )
    clip_stride_frames: int = Field(
        default=30, ge=1, le=4096, description="Frames from one clip's start to the next."
    )
    image_num_frames: int = Field(
        default=4, ge=1, le=64, description="Frames of a clip that an image backbone looks at, evenly spread."
    )
    batch_num_clips: int = Field(
        default=16, ge=1, le=4096, description="Clips of one video in one forward pass."
    )
    precision: Precision = Field(
        default="auto", description="Arithmetic of the backbone; `auto` is bfloat16 where fast."
    )
    engine: Literal["local", "ray"] = Field(
        default="local",
        description="`local`, this machine; `ray`, a Ray cluster, or a Ray of this machine (`videobert-cli[ray]`).",
    )
    keep: Keep = Field(
        default="features",
        description="What is stored: `features`, their `words` by `codebook` (a thousandth of the bytes), or `both`.",
    )
    codebook: Path | None = Field(
        default=None,
        description="With `keep: words` or `both`: a codebook, or the model directory or run it is in.",
    )
    features: Path | None = Field(
        default=None,
        description="Features made elsewhere (`videobert import`), in place of extracting the videos.",
    )
    reader: ReaderOptions = Field(default=ReaderOptions(), description="How files become frames.")

    @field_validator("backbone")
    @classmethod
    def _check_backbone(cls, name: str) -> str:
        return check_backbone_name(name)

    @property
    def keeps_words(self) -> bool:
        """Whether extraction assigns words and stores them."""
        return self.keep != "features"

    def of_a_feature(self) -> "ExtractOptions":
        """Return the options without what says where results go: what a model directory has to know."""
        return self.model_copy(update={"keep": "features", "codebook": None, "features": None})

    @field_validator("codebook")
    @classmethod
    def _check_codebook(cls, codebook: Path | None, info: ValidationInfo) -> Path | None:
        keep = info.data.get("keep")
        if keep in {"words", "both"} and codebook is None:
            raise ValueError(f"`keep: {keep}` needs a codebook to take the words from")
        if keep == "features" and codebook is not None:
            raise ValueError("a codebook is of use with `keep: words` or `keep: both` only")
        return codebook

    @field_validator("features")
    @classmethod
    def _check_features(cls, features: Path | None, info: ValidationInfo) -> Path | None:
        if features is not None and info.data.get("keep") in {"words", "both"}:
            raise ValueError("features made elsewhere are not extracted, so there is nothing to keep of them")
        return features

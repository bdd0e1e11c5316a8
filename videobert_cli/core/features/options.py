"""The recipe's `extract:` section."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from videobert_cli.core.features.plugins import BuiltIn, check_backbone_name
from videobert_cli.core.video.options import ReaderOptions
from videobert_cli.options import Options

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
    reader: ReaderOptions = Field(default=ReaderOptions(), description="How files become frames.")

    @field_validator("backbone")
    @classmethod
    def _check_backbone(cls, name: str) -> str:
        return check_backbone_name(name)

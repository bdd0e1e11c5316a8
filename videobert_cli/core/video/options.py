"""The recipe's `data:` section and the reader's part of `extract:`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from videobert_cli.options import Options


class DataOptions(Options):
    """`data:` which videos, with which subtitles and labels, in which split."""

    videos: Path = Field(
        description="A folder of videos (subtitles beside them), a folder of class folders, a CSV or JSONL manifest, "
        "or a known dataset's annotation file or folder (docs/datasets.md)."
    )
    dataset: Literal[
        "auto",
        "folder",
        "table",
        "youcook2",
        "howto100m",
        "activitynet_captions",
        "msrvtt",
        "msvd",
        "crosstask",
        "coin",
        "kinetics",
        "something_something_v2",
        "epic_kitchens_100",
        "mining_youtube",
    ] = Field(
        default="auto",
        description="What `videos` is. `auto` recognises a dataset by what is in its files; `--dry-run` says which.",
    )
    root: Path | None = Field(
        default=None,
        description="Where a known dataset's videos lie, in any folders under it; by default beside its annotations.",
    )
    sentences: Literal["auto", "captions", "annotations"] = Field(
        default="auto",
        description="The text of pretraining: what is said (subtitles) or the dataset's own sentences (label column "
        "`sentence`). `auto` takes the annotations where nothing has subtitles.",
    )
    source: str = Field(
        default="", description="Where the data is to be had; `--dry-run` says it where data is missing."
    )
    validation_fraction: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="Share of videos for validation, where the manifest does not say `split`.",
    )
    test_fraction: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="Share of videos for testing, where the manifest does not say `split`.",
    )


class ReaderOptions(Options):
    """`extract.reader:` how files become frames, and what a file may cost before it is quarantined."""

    name: Literal["pyav", "decord", "torchcodec"] = Field(
        default="pyav",
        description="The decoder; torchcodec needs the extra `gpu-decode` and FFmpeg's libraries.",
    )
    device: Literal["cpu", "cuda"] = Field(
        default="cpu",
        description="Where torchcodec decodes; `cuda` is NVDEC, to which `max_memory_bytes` does not apply.",
    )
    num_workers: Literal["auto"] | Annotated[int, Field(ge=1, le=256)] = Field(
        default="auto",
        description="Decoder processes; `auto` is half the cores this process may use, with a GPU all but one.",
    )
    max_pixels: int = Field(default=8_300_000, gt=0, description="Largest frame, width x height.")
    max_duration_seconds: float = Field(default=21_600, gt=0, description="Longest video.")
    max_file_bytes: int = Field(default=4_294_967_296, gt=0, description="Largest file.")
    max_streams: int = Field(
        default=32, gt=0, description="Most streams (pictures, sound, subtitles) of one file."
    )
    max_frames_per_second: float = Field(
        default=500, gt=0, description="Highest frame rate, as a mean from the first frame on."
    )
    max_memory_bytes: int = Field(
        default=2_147_483_648,
        ge=134_217_728,
        description="Most memory of one decoder process (enforced on Linux).",
    )
    timeout_seconds: float = Field(
        default=600,
        gt=0,
        description="Longest wall time for decoding one file, or twice the file's duration where that is longer.",
    )
    allow_truncated: bool = Field(
        default=False, description="Keep the readable part of a file that ends before its declared duration."
    )

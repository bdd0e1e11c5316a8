"""The items of a list of videos: a video with its subtitles and labels, or a text that has no video."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Split = Literal["train", "validation", "test"]

SPLIT_NAMES: Mapping[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".gif", ".mxf", ".ivf", ".flv", ".f4v"}
    | {".mpg", ".mpeg", ".vob", ".ts", ".m2ts", ".mts", ".wmv", ".asf", ".ogv", ".ogg"}
)
CAPTION_SUFFIXES = (".srt", ".vtt", ".ttml", ".dfxp", ".srv3", ".json3", ".json", ".tsv", ".csv")


@dataclass(frozen=True, kw_only=True)
class CaptionSource:
    """The subtitles of one video: a file of its own, or with `key` one entry of a file of many (HowTo100M's)."""

    path: Path
    key: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledSegment:
    """A stretch of a video and what it shows: column -> value. `end_seconds` None is the end of the video."""

    start_seconds: float
    end_seconds: float | None
    labels: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Video:
    """One video. `id` is unique and printable: the path without suffix, relative to the folder or the manifest."""

    id: str
    path: Path
    captions: CaptionSource | None
    split: Split
    segments: tuple[LabelledSegment, ...]


@dataclass(frozen=True, kw_only=True)
class Text:
    """Subtitles without a video."""

    id: str
    captions: CaptionSource
    split: Split


@dataclass(frozen=True, kw_only=True)
class Draft:
    """An item before ids are made unique and splits are drawn; without `path` it is a text.

    Args:
        name: The path that the id is made from, relative where it can be.
        given_id: The id the manifest gives, final.
        split: The split the manifest or the folder gives.
    """

    name: Path
    given_id: str | None
    path: Path | None
    captions: CaptionSource | None
    split: Split | None
    segments: tuple[LabelledSegment, ...]


def in_time_order(segments: Iterable[LabelledSegment]) -> tuple[LabelledSegment, ...]:
    """Return the segments by start, end (the end of the video last) and labels, so that a list's order is no matter.

    Fine-tuning draws segments by their number: a table sorted otherwise would give another model.
    """

    def place(segment: LabelledSegment) -> tuple[float, float, list[tuple[str, str]]]:
        end_seconds = math.inf if segment.end_seconds is None else segment.end_seconds
        return segment.start_seconds, end_seconds, sorted(segment.labels.items())

    return tuple(sorted(segments, key=place))

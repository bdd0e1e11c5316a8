"""What an adapter gathers from a dataset's files: videos by id, every mistake with its place, what was left out."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from videobert_cli.core.video.entries import LabelledSegment, Split
from videobert_cli.errors import ManifestError

SENTENCE_COLUMN = "sentence"
_MAX_PROBLEMS = 20
# Durations are written rounded: 73.54 s of text in a video of 73.53999999999999 s is no mistake.
_ROUNDING_SECONDS = 0.01


@dataclass(slots=True)
class AnnotatedVideo:
    """A video as its dataset lists it. `stems`: the names without suffix that its file may have; none: its id."""

    id: str
    split: Split | None
    stems: tuple[str, ...] = ()
    segments: list[LabelledSegment] = field(default_factory=list)


class Gathering:
    """Gathers videos in the files' order.

    Structure that is not as documented is an error, and all of it is told at once. Times that cannot be are common in
    people's annotations, and no reason to do without the rest: such a segment is left out and counted.
    """

    def __init__(self) -> None:
        self.videos: dict[str, AnnotatedVideo] = {}
        self.num_left_out: Counter[str] = Counter()
        # Annotation files beyond those by which the dataset was recognised.
        self.more_files: list[Path] = []
        # A file with the captions of many videos, by their ids.
        self.captions_of_many: Path | None = None
        self.in_two_splits: dict[str, set[Split]] = {}
        self._problems: list[str] = []
        self._first_place = ""

    def video(
        self, video_id: str, *, split: Split | None = None, stems: tuple[str, ...] = ()
    ) -> AnnotatedVideo:
        """Return the video of this id, made where it is new; the first split given stays, another is noted."""
        video = self.videos.get(video_id)
        if video is None:
            video = self.videos[video_id] = AnnotatedVideo(id=video_id, split=split, stems=stems)
        elif split is not None and video.split is None:
            video.split = split
        elif split is not None and video.split is not None and video.split != split:
            self.in_two_splits.setdefault(video_id, {video.split}).add(split)
        return video

    def add_segment(
        self,
        video: AnnotatedVideo,
        labels: Mapping[str, str],
        *,
        start_seconds: float = 0.0,
        end_seconds: float | None = None,
        duration_seconds: float | None = None,
    ) -> None:
        """Add a segment, unless its times cannot be; an end past the declared duration is drawn back to it."""
        if duration_seconds is not None and start_seconds >= duration_seconds:
            self.num_left_out["begins-after-the-video"] += 1
            return
        if start_seconds < 0 or (end_seconds is not None and end_seconds <= start_seconds):
            self.num_left_out["negative-start" if start_seconds < 0 else "end-not-after-start"] += 1
            return
        if duration_seconds is not None and end_seconds is not None and end_seconds > duration_seconds:
            if end_seconds > duration_seconds + _ROUNDING_SECONDS:
                self.num_left_out["end-drawn-back"] += 1
            end_seconds = duration_seconds
        video.segments.append(
            LabelledSegment(start_seconds=start_seconds, end_seconds=end_seconds, labels=labels)
        )

    def problem(self, file: Path, where: str, what: str) -> None:
        """Note a mistake of the file; `where` is a line (`12`) or the path of keys (`database.x.annotations[3]`)."""
        place = f"{file}:{where}" if where else str(file)
        self._first_place = self._first_place or place
        self._problems.append(f"{place}: {what}")

    def raise_problems(self, *, title: str) -> None:
        """Raise what was noted.

        Raises:
            ManifestError: `what` lists the first 20 mistakes, `at` is the first one's place.
        """
        if not self._problems:
            return
        lines = self._problems[:_MAX_PROBLEMS]
        if len(self._problems) > _MAX_PROBLEMS:
            lines.append(f"and {len(self._problems) - _MAX_PROBLEMS:,} more")
        raise ManifestError(
            "\n".join(lines),
            at=self._first_place,
            fix=f"take {title}'s file as it was published (docs/datasets.md says which), or correct these places",
        )


def number_of(value: object) -> float | None:
    """Return a finite number written as one or as text, None for anything else.

    >>> number_of("12.5"), number_of(3), number_of(True), number_of("nan"), number_of(None)
    (12.5, 3.0, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def text_of(value: object) -> str:
    """Return text with its white space joined, and numbers as text; empty for anything else.

    >>> text_of(" a \\n b "), text_of(113), text_of(None), text_of(["a"])
    ('a b', '113', '', '')
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return ""
    return " ".join(str(value).split())

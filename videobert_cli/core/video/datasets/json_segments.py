"""Segments of JSON annotations: `[start, end]` in seconds and a text, checked with their places."""

from pathlib import Path
from typing import Any

from videobert_cli.core.video.datasets.gathering import AnnotatedVideo, Gathering, number_of, text_of
from videobert_cli.core.video.datasets.recognising import split_of_word
from videobert_cli.core.video.entries import Split


def times_of(value: Any, where: str, *, file: Path, gathering: Gathering) -> tuple[float, float] | None:
    """Return start and end of `[start, end]`; anything else is a problem, and None."""
    if isinstance(value, list) and len(value) == 2:
        start, end = number_of(value[0]), number_of(value[1])
        if start is not None and end is not None:
            return start, end
    gathering.problem(file, where, "a segment is [start, end], two numbers of seconds")
    return None


def subset_of(entry: dict[str, Any], where: str, *, file: Path, gathering: Gathering) -> Split | None:
    """Return the split of an entry's `subset`; a missing or unknown one is a problem."""
    split = split_of_word(text_of(entry.get("subset")))
    if split is None:
        what = f"subset {entry.get('subset')!r} is none of training, validation, testing"
        gathering.problem(file, f"{where}.subset", what)
    return split


def add_timed(
    video: AnnotatedVideo,
    labels: dict[str, str],
    *,
    segment: Any,
    where: str,
    duration: Any,
    file: Path,
    gathering: Gathering,
) -> None:
    """Add a segment given as `[start, end]`; columns without text are left away."""
    times = times_of(segment, where, file=file, gathering=gathering)
    if times is not None:
        gathering.add_segment(
            video,
            {column: value for column, value in labels.items() if value},
            start_seconds=times[0],
            end_seconds=times[1],
            duration_seconds=number_of(duration),
        )

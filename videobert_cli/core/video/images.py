"""A folder of pictures with times is a video: `frames.csv` (file,start,end in seconds) or `12.5.jpg`, `0013.000.png`.

A picture shows from its start to the next one's start, the last to its `end`, else for the median gap, else
for 1 s.
"""

import csv
import itertools
import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from videobert_cli.errors import VideoError

INDEX_NAME = "frames.csv"
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm"})
_LONE_IMAGE_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class ShownImage:
    """One picture and the seconds during which it shows."""

    path: Path
    start_seconds: float
    end_seconds: float


def is_image_folder(directory: Path) -> bool:
    """Return whether the folder is one video: it has a `frames.csv`, or every picture in it is named by a time."""
    if (directory / INDEX_NAME).is_file():
        return True
    images = [path for path in _pictures(directory) if path.is_file()]
    return bool(images) and all(_seconds(image.stem) is not None for image in images)


def read_image_folder(directory: Path) -> list[ShownImage]:
    """Return the pictures of a folder in time order; paths in `frames.csv` are relative to the folder.

    Raises:
        VideoError: not-a-file where the folder has no timed pictures, not-media where `frames.csv` is wrong.
    """
    index = directory / INDEX_NAME
    timed = _read_index(index) if index.is_file() else _read_names(directory)
    if not timed:
        raise VideoError(
            f"the folder has no pictures with times ({INDEX_NAME}, or names such as 12.5.jpg)",
            reason="not-a-file",
            at=str(directory),
        )
    timed.sort(key=lambda item: item[1])
    starts = [start for _, start, _ in timed]
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    if any(gap <= 0 for gap in gaps):
        raise VideoError("two pictures start at the same time", reason="not-media", at=str(directory))
    end = timed[-1][2] or starts[-1] + (statistics.median(gaps) if gaps else _LONE_IMAGE_SECONDS)
    return [
        ShownImage(path=path, start_seconds=start, end_seconds=shown_until)
        for (path, start, _), shown_until in zip(timed, [*starts[1:], end], strict=True)
    ]


def _read_names(directory: Path) -> list[tuple[Path, float, float | None]]:
    timed: list[tuple[Path, float, float | None]] = []
    for path in _pictures(directory):
        start = _seconds(path.stem)
        if start is not None:
            timed.append((path, start, None))
    return timed


def _pictures(directory: Path) -> Iterator[Path]:
    """Yield what has a picture's suffix; hidden names are left out: macOS puts a `._12.5.jpg` beside a `12.5.jpg`."""
    for path in directory.iterdir():
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith("."):
            yield path


def _read_index(index: Path) -> list[tuple[Path, float, float | None]]:
    timed: list[tuple[Path, float, float | None]] = []
    try:
        with index.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            timed.extend(_read_row(row, index=index, line=rows.line_num) for row in rows)
    except (UnicodeDecodeError, csv.Error) as error:
        raise VideoError(
            f"{INDEX_NAME} cannot be read: {error}", reason="not-media", at=str(index)
        ) from error
    return timed


def _read_row(row: dict[str, str], *, index: Path, line: int) -> tuple[Path, float, float | None]:
    start, end = _seconds(row.get("start") or ""), _seconds(row.get("end") or "")
    if not row.get("file") or start is None or (row.get("end") and (end is None or end <= start)):
        what = f"{INDEX_NAME} line {line}: a row needs file, start and an end after it, in seconds"
        raise VideoError(what, reason="not-media", at=str(index))
    return index.parent / row["file"], start, end


def _seconds(text: str) -> float | None:
    """Return a time in seconds, or None for anything else.

    >>> _seconds("0012.500"), _seconds("frame_3"), _seconds("nan"), _seconds("1e3")
    (12.5, None, None, None)
    """
    if not text or not text.replace(".", "", 1).isdecimal():
        return None
    value = float(text)
    return value if math.isfinite(value) else None

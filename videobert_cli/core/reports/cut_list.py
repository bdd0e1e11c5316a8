"""Key clips of a video as a list that other programs read: CSV, or FFmpeg's list of pieces to put together."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from videobert_cli.errors import UsageError

_COLUMNS = ("video", "start_seconds", "end_seconds", "word", "surprise")


def cut_csv(video: Path, clips: Sequence[Mapping[str, Any]]) -> str:
    """Return a line for each clip under the names of the columns: the video, its times in seconds, word, surprise."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({"video": str(video), **clip} for clip in clips)
    return stream.getvalue()


def cut_ffconcat(video: Path, clips: Sequence[Mapping[str, Any]]) -> str:
    """Return what `ffmpeg -f concat -safe 0 -i FILE out.mp4` takes: the clips in full size and with their sound.

    Raises:
        UsageError: The video's name has a line break, which such a list cannot hold.
    """
    name = str(video.absolute())
    if "\n" in name or "\r" in name:
        raise UsageError(
            "a video with a line break in its name cannot stand in an .ffconcat list",
            at=repr(name),
            fix="write a .csv, or rename the video",
        )
    quoted = "'" + name.replace("'", r"'\''") + "'"
    lines = ["ffconcat version 1.0"]
    for clip in clips:
        lines += [
            f"file {quoted}",
            f"inpoint {clip['start_seconds']:.3f}",
            f"outpoint {clip['end_seconds']:.3f}",
        ]
    return "\n".join(lines) + "\n"

"""A CSV or TSV with a line for each cue into raw cues: columns by their names, times in seconds or as a clock."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from videobert_cli.core.text.cues import DropReason, RawCue
from videobert_cli.core.text.times import seconds_of

_STARTS = ("start", "start_time", "starttime", "start_timestamp", "begin", "begin_time", "from", "onset")
_ENDS = ("end", "end_time", "endtime", "end_timestamp", "stop", "stop_time", "to", "offset")
_DURATIONS = ("duration", "dur", "length")
_TEXTS = ("text", "caption", "sentence", "subtitle", "transcript", "utterance", "content", "line", "words")
_SECONDS = re.compile(r"_(s|sec|secs|seconds)$|\((s|sec|seconds)\)$")
_MILLISECONDS = re.compile(r"_(ms|msec|milliseconds)$|\((ms|milliseconds)\)$")
_DELIMITERS = ("\t", ",", ";")
# The header line is looked at before it is known what file this is.
_MAX_HEADER_CHARACTERS = 4_096
# Whisper writes whole milliseconds under plain names. Cues are a few seconds long: in whole seconds none lasts so many.
_LONGEST_MEAN_SECONDS = 100


class TableProblemError(Exception):
    """The table cannot be read to its end; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """Which column is what: positions in a line; `units` are the seconds that 1 stands for, by role."""

    delimiter: str
    positions: Mapping[str, int]
    units: Mapping[str, float]
    is_manifest: bool


def read_header(text: str) -> Header | None:
    """Return what the first line names, None where it names no columns of captions (or of a list of videos)."""
    first = text.lstrip("\ufeff \n").partition("\n")[0]
    if len(first) > _MAX_HEADER_CHARACTERS:
        return None
    for delimiter in _DELIMITERS:
        try:
            names = next(csv.reader([first], delimiter=delimiter), [])
        except csv.Error:
            continue
        header = _header([re.sub(r"[\s-]+", "_", name.strip().lower()) for name in names], delimiter)
        if header is not None:
            return header
    return None


def parse_table(text: str, header: Header) -> Iterator[RawCue | DropReason]:
    """Return the cue of each line under the header; lines without a cell are no cues.

    Raises:
        TableProblemError: A cell has no end.
    """
    reader = csv.reader(io.StringIO(text.lstrip("\ufeff \n"), newline=""), delimiter=header.delimiter)
    try:
        rows = [row for row in reader if any(cell.strip() for cell in row)][1:]
    except csv.Error as error:
        raise TableProblemError(str(error)) from error
    units = {**header.units}
    if _counts_milliseconds(rows, header):
        units = dict.fromkeys(units, 0.001)
    return (_cue(row, header=header, units=units) for row in rows)


def _header(names: Sequence[str], delimiter: str) -> Header | None:
    positions: dict[str, int] = {}
    units: dict[str, float] = {}
    roles = {"start": _STARTS, "end": _ENDS, "duration": _DURATIONS, "text": _TEXTS}
    for position, name in enumerate(names):
        plain = _MILLISECONDS.sub("", _SECONDS.sub("", name)).rstrip("_")
        for role, spellings in roles.items():
            if plain in spellings and role not in positions:
                positions[role] = position
                units[role] = 0.001 if _MILLISECONDS.search(name) else 1.0
    is_manifest = "video" in names
    is_complete = "start" in positions and "text" in positions and bool({"end", "duration"} & set(positions))
    if not (is_complete or is_manifest) or len(names) < 2:
        return None
    return Header(delimiter=delimiter, positions=positions, units=units, is_manifest=is_manifest)


def _counts_milliseconds(rows: Sequence[Sequence[str]], header: Header) -> bool:
    """Whether this is the table that Whisper writes: `start end text`, every time a whole number of milliseconds."""
    if header.delimiter != "\t" or {*header.positions} != {"start", "end", "text"}:
        return False
    pairs = [(_cell(row, header, "start"), _cell(row, header, "end")) for row in rows]
    if not pairs or not all(start.isdecimal() and end.isdecimal() for start, end in pairs):
        return False
    return sum(int(end[:12]) - int(start[:12]) for start, end in pairs) / len(pairs) > _LONGEST_MEAN_SECONDS


def _cue(row: Sequence[str], *, header: Header, units: Mapping[str, float]) -> RawCue | DropReason:
    times = {
        role: seconds_of(_cell(row, header, role), unit_seconds=units[role])
        for role in ("start", "end", "duration")
        if role in header.positions
    }
    start, end = times["start"], times.get("end")
    if end is None and start is not None and times.get("duration") is not None:
        end = start + (times["duration"] or 0.0)
    if start is None or end is None:
        return "bad-time"
    return RawCue(start_seconds=start, end_seconds=end, text=_cell(row, header, "text"))


def _cell(row: Sequence[str], header: Header, role: str) -> str:
    position = header.positions[role]
    return row[position].strip() if position < len(row) else ""

"""A CSV, TSV or JSONL manifest: one row is one segment of a video; every mistake of the file is told at once."""

import csv
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from videobert_cli.core.video.entries import SPLIT_NAMES, CaptionSource, Draft, LabelledSegment, Split
from videobert_cli.core.video.folders import source_beside
from videobert_cli.errors import ManifestError

TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".jsonl", ".ndjson"})
OWN_COLUMNS = frozenset({"video", "captions", "split", "start", "end", "id"})
_MAX_PROBLEMS = 20
_FIX = "correct the lines named above; docs/formats.md shows the manifest's columns"


class _RowError(Exception):
    """One row is wrong; the text says how."""


@dataclass(kw_only=True)
class _Item:
    """A video (or text) while its rows are gathered."""

    line: int
    name: Path
    given_id: str | None
    path: Path | None
    captions: Path | None
    split: Split | None = None
    segments: list[LabelledSegment] = field(default_factory=list)


def read_table(file: Path, *, files: Literal["needed", "not-needed"] = "needed") -> list[Draft]:
    """Return the videos and texts of a manifest; paths in it are relative to its folder.

    Raises:
        ManifestError: `at` is the first wrong line; `what` lists the first 20 wrong lines.
    """
    items: dict[str, _Item] = {}
    problems: list[tuple[int, str]] = []
    for line, row in _read_rows(file, problems=problems):
        try:
            _add_row(items, row, folder=file.parent, line=line)
        except _RowError as error:
            problems.append((line, str(error)))
    _raise_problems(file, problems)
    videos = [item.path for item in items.values() if item.path]
    if files == "needed" and videos and not any(path.exists() for path in videos):
        raise ManifestError(
            f"none of the {len(videos)} videos exists, for example {videos[0]}",
            at=f"{file}:{next(iter(items.values())).line}",
            fix=f"give paths relative to {file.parent}, or absolute ones",
        )
    return [
        Draft(
            name=item.name,
            given_id=item.given_id,
            path=item.path,
            captions=_captions_of(item),
            split=item.split,
            segments=tuple(item.segments),
        )
        for item in items.values()
    ]


def _captions_of(item: _Item) -> CaptionSource | None:
    if item.captions is not None:
        return CaptionSource(path=item.captions)
    return source_beside(item.path) if item.path else None


def _add_row(items: dict[str, _Item], row: Mapping[str, str], *, folder: Path, line: int) -> None:
    video, captions, given_id = row.get("video", ""), row.get("captions", ""), row.get("id", "")
    if not video and not captions:
        raise _RowError("neither `video` nor `captions` is filled")
    if captions and not (folder / captions).is_file():
        raise _RowError(f"there are no captions {captions!r}")
    split, segment = _split_of(row), _segment_of(row)
    key = f"id {given_id}" if given_id else f"path {video or captions}"
    item = items.setdefault(
        key,
        _Item(
            line=line,
            name=Path(video or captions),
            given_id=given_id or None,
            path=folder / video if video else None,
            captions=folder / captions if captions else None,
        ),
    )
    if item.path != (folder / video if video else None):
        raise _RowError(f"id {given_id!r} already stands for {str(item.name)!r} in line {item.line}")
    if captions and item.captions not in {None, folder / captions}:
        raise _RowError(f"line {item.line} gives this video other captions")
    if split and item.split not in {None, split}:
        raise _RowError(f"line {item.line} puts this video into split {item.split!r}")
    item.captions = folder / captions if captions else item.captions
    item.split = split or item.split
    if segment.labels:
        item.segments.append(segment)


def _split_of(row: Mapping[str, str]) -> Split | None:
    text = row.get("split", "")
    if text and text.lower() not in SPLIT_NAMES:
        raise _RowError(f"split {text!r} is none of train, validation, test")
    return SPLIT_NAMES[text.lower()] if text else None


def _segment_of(row: Mapping[str, str]) -> LabelledSegment:
    start = _seconds_of(row, "start") or 0.0
    end = _seconds_of(row, "end")
    if end is not None and end <= start:
        raise _RowError(f"end {end:g} is not after start {start:g}")
    labels = {column: value for column, value in row.items() if value and column not in OWN_COLUMNS}
    return LabelledSegment(start_seconds=start, end_seconds=end, labels=labels)


def _seconds_of(row: Mapping[str, str], column: str) -> float | None:
    text = row.get(column, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise _RowError(f"{column} {text!r} is not a time in seconds")
    return value


def _read_rows(file: Path, *, problems: list[tuple[int, str]]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and cells, stripped of white space; rows without a cell are left out."""
    is_json = file.suffix.lower() in {".jsonl", ".ndjson"}
    rows = _read_json_rows(file, problems=problems) if is_json else _read_csv_rows(file, problems=problems)
    try:
        yield from rows
    except (UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(
            f"the manifest cannot be read: {error}", at=str(file), fix="save it as UTF-8 text"
        ) from error


def _read_csv_rows(file: Path, *, problems: list[tuple[int, str]]) -> Iterator[tuple[int, dict[str, str]]]:
    with file.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.reader(stream, delimiter="\t" if file.suffix.lower() == ".tsv" else ",")
        columns = [column.strip() for column in next(reader, [])]
        if "video" not in columns or len(set(columns)) < len(columns) or "" in columns:
            what = f"the first line must name each column once, with `video`, not {', '.join(columns) or 'nothing'}"
            raise ManifestError(
                what, at=f"{file}:1", fix="begin the file with a line such as `video,captions,label`"
            )
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(columns):
                problems.append((reader.line_num, f"{len(cells)} cells under {len(columns)} columns"))
                continue
            yield reader.line_num, {column: cell.strip() for column, cell in zip(columns, cells, strict=True)}


def _read_json_rows(file: Path, *, problems: list[tuple[int, str]]) -> Iterator[tuple[int, dict[str, str]]]:
    with file.open(encoding="utf-8-sig") as stream:
        for line, text in enumerate(stream, start=1):
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except (ValueError, RecursionError) as error:
                problems.append((line, f"this is not JSON: {error}"))
                continue
            if not isinstance(row, dict) or any(isinstance(value, dict | list) for value in row.values()):
                problems.append((line, "a line must be one JSON object whose values are text or numbers"))
                continue
            yield line, {column: _cell(value) for column, value in row.items()}


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value).strip()


def _raise_problems(file: Path, problems: list[tuple[int, str]]) -> None:
    if not problems:
        return
    problems.sort()
    lines = [f"{file}:{line}: {problem}" for line, problem in problems[:_MAX_PROBLEMS]]
    if len(problems) > _MAX_PROBLEMS:
        lines.append(f"and {len(problems) - _MAX_PROBLEMS} more")
    raise ManifestError("\n".join(lines), at=f"{file}:{problems[0][0]}", fix=_FIX)

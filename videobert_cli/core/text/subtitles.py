"""Subtitle files: SRT, WebVTT and Whisper's JSON, in whatever shape the web delivers them, into clean cues."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videobert_cli.core.text.captions import DropReason, RawCue, parse_captions
from videobert_cli.core.text.cues import Cue, clean_text, has_inline_stamps
from videobert_cli.core.text.encoding import decode_text
from videobert_cli.core.text.rolling import collapse_rolling
from videobert_cli.errors import InputError, MissingInputError

__all__ = ["SUFFIXES", "Cue", "SubtitleFile", "read_subtitles"]

SUFFIXES = (".srt", ".vtt", ".json")
MAX_FILE_BYTES = 10 << 20
MAX_NUM_CUES = 100_000
# Longer than any cue that is spoken; such a line is data that lost its way, and regular expressions are
# spared it.
MAX_CUE_CHARACTERS = 10_000
_MAX_SECONDS = 1e9


@dataclass(frozen=True, kw_only=True)
class SubtitleFile:
    """The cues of a file in order of start time, and how many were dropped for which reason.

    Reasons: `bad-time` (not readable), `end-before-start`, `empty` (no words), `too-long` (over 10,000 characters),
    `repeated` (a rolling caption that adds no word). Cues and drops add up to the cues of the file.
    """

    cues: tuple[Cue, ...]
    num_dropped: Mapping[str, int]


def read_subtitles(path: Path, *, key: str | None = None) -> SubtitleFile:
    """Return the cues of a subtitle file; a file without any gives none.

    The words of rolling captions (YouTube's, which show each line two or three times) are returned once. Text
    is UTF-8, UTF-16 or, failing these, cp1252. `key` is the id of one video in a JSON file of many (HowTo100M's).

    Raises:
        MissingInputError: There is no such file.
        InputError: The suffix is not known, the file is too large, or JSON does not hold captions.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(
            f"subtitles ending in {path.suffix or 'no suffix'!r} are not supported",
            at=str(path),
            fix=f"use one of {', '.join(SUFFIXES)}",
        )
    text = decode_text(_read_bytes(path))
    dropped: Counter[str] = Counter()
    raw = list(_bounded(_json_cues(text, path, key=key) if suffix == ".json" else parse_captions(text), path))
    clean = list(_clean(raw, dropped))
    clean.sort(key=lambda cue: (cue.start_seconds, cue.end_seconds))
    has_stamps = any(isinstance(cue, RawCue) and has_inline_stamps(cue.text) for cue in raw)
    cues = collapse_rolling(clean, evidence="stamps" if has_stamps else "none")
    if len(cues) < len(clean):
        dropped["repeated"] = len(clean) - len(cues)
    return SubtitleFile(cues=tuple(cues), num_dropped=dict(dropped))


def _clean(raw: Iterable[RawCue | DropReason], dropped: Counter[str]) -> Iterator[Cue]:
    for cue in raw:
        if not isinstance(cue, RawCue):
            dropped[cue] += 1
        elif cue.end_seconds < cue.start_seconds:
            dropped["end-before-start"] += 1
        elif len(cue.text) > MAX_CUE_CHARACTERS:
            dropped["too-long"] += 1
        elif text := clean_text(cue.text):
            yield Cue(start_seconds=cue.start_seconds, end_seconds=cue.end_seconds, text=text)
        else:
            dropped["empty"] += 1


def _read_bytes(path: Path) -> bytes:
    try:
        # One byte over the limit is enough to know; a file that grows, or a device, is not read to its end.
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise MissingInputError("there is no such subtitle file", at=str(path)) from error
    except OSError as error:
        raise InputError(f"the subtitles cannot be read ({error.strerror or error})", at=str(path)) from error
    if len(data) > MAX_FILE_BYTES:
        raise InputError(
            f"the subtitle file is larger than {MAX_FILE_BYTES >> 20} MB",
            at=str(path),
            fix="check what file this is",
        )
    return data


def _bounded(cues: Iterable[RawCue | DropReason], path: Path) -> Iterator[RawCue | DropReason]:
    for number, cue in enumerate(cues):
        if number >= MAX_NUM_CUES:
            raise InputError(
                f"the subtitle file has more than {MAX_NUM_CUES:,} cues",
                at=str(path),
                fix="check what file this is",
            )
        yield cue


def _json_cues(text: str, path: Path, *, key: str | None) -> list[RawCue | DropReason]:
    """Read Whisper's `{"segments": [{"start", "end", "text"}, ...]}`, or such a list alone; seconds."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"this is not JSON ({error})", at=str(path)) from error
    if key is not None:
        return _keyed_cues(document, key, path)
    segments = document.get("segments") if isinstance(document, dict) else document
    if not isinstance(segments, list):
        raise InputError(
            "this JSON holds no captions",
            at=str(path),
            fix='give a list of {"start": seconds, "end": seconds, "text": ...}, or {"segments": that list}',
        )
    return [_json_cue(segment) for segment in segments]


def _keyed_cues(document: Any, key: str, path: Path) -> list[RawCue | DropReason]:
    """Read one video of HowTo100M's `{id: {"start": [...], "end": [...], "text": [...]}}`."""
    entry = document.get(key) if isinstance(document, dict) else None
    columns = [entry.get(name) for name in ("start", "end", "text")] if isinstance(entry, dict) else []
    if not columns or not all(isinstance(column, list) for column in columns):
        raise InputError(f"there are no captions of video {key!r} in this file", at=str(path))
    return [_json_cue({"start": a, "end": b, "text": text}) for a, b, text in zip(*columns, strict=False)]


def _json_cue(segment: Any) -> RawCue | DropReason:
    if not isinstance(segment, dict) or not isinstance(segment.get("text"), str):
        return "empty"
    start, end = _time(segment.get("start")), _time(segment.get("end"))
    if start is None or end is None:
        return "bad-time"
    return RawCue(start_seconds=start, end_seconds=end, text=segment["text"])


def _time(value: Any) -> float | None:
    # The comparison also refuses NaN, and whole numbers too long to become a float.
    is_time = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MAX_SECONDS
    return float(value) if is_time else None

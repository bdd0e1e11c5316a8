"""Subtitle files, in whatever shape the web delivers them, into clean cues."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from videobert_cli.core.text.caption_tables import TableProblemError, parse_table, read_header
from videobert_cli.core.text.captions import is_timing_line, parse_captions
from videobert_cli.core.text.cues import Cue, DropReason, RawCue, clean_cue
from videobert_cli.core.text.encoding import decode_text
from videobert_cli.core.text.json_captions import cues_of_json, has_columns, holds_many
from videobert_cli.core.text.many import read_entry
from videobert_cli.core.text.rolling import collapse_rolling
from videobert_cli.core.text.ttml import cues_of_xml
from videobert_cli.core.text.xml_tree import XMLProblemError
from videobert_cli.errors import InputError, MissingInputError

__all__ = ["SUFFIXES", "Cue", "SubtitleFile", "read_subtitles"]

_JSON_SUFFIXES = frozenset({".json", ".json3"})
_TABLE_SUFFIXES = frozenset({".csv", ".tsv"})
_XML_SUFFIXES = frozenset({".ttml", ".dfxp", ".xml", ".srv1", ".srv3"})
SUFFIXES = (".srt", ".vtt", ".json", ".json3", ".srv3", ".srv1", ".ttml", ".dfxp", ".xml", ".tsv", ".csv")
MAX_FILE_BYTES = 10 << 20
MAX_NUM_CUES = 100_000
# Longer than any cue that is spoken; such a line is data that lost its way, and regular expressions are
# spared it.
MAX_CUE_CHARACTERS = 10_000
_XML_START = re.compile(
    r"\ufeff?\s*<(?:\?xml|!DOCTYPE|!--|(?:\w+:)?(?:tt|timedtext|transcript)[\s>])", re.IGNORECASE
)
_CAPTIONS_FIX = (
    "give Whisper's {\"segments\": [...]}, YouTube's json3, or a list of "
    '{"start": seconds, "end": seconds, "text": ...}'
)

RawCues = Iterator[RawCue | DropReason]


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

    What the file holds decides how it is read, not its suffix: SRT, WebVTT, TTML, YouTube's json3, srv3 and srv1,
    Whisper's and WhisperX's JSON, tables. The words of rolling captions (YouTube's, which show each line two or three
    times) are returned once. Text is UTF-8, UTF-16 or, failing these, cp1252.

    Args:
        path: The file.
        key: The id of one video in a JSON file with the captions of many (HowTo100M's); such a file may be of any size,
            is searched once for all keys, and never in memory as a whole.

    Raises:
        MissingInputError: There is no such file.
        InputError: The suffix is not known, the file is too large, holds no captions, holds those of many videos and no
            key is given, or has no such key.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(
            f"subtitles ending in {path.suffix or 'no suffix'!r} are not supported",
            at=str(path),
            fix=f"use one of {', '.join(SUFFIXES)}",
        )
    raw = (
        _raw_cues_of_one(path, key=key)
        if key is not None
        else _raw_cues(decode_text(_read_bytes(path)), path)
    )
    dropped: Counter[str] = Counter()
    bounded = list(_bounded(raw.cues, path))
    clean = list(_clean(bounded, dropped))
    clean.sort(key=lambda cue: (cue.start_seconds, cue.end_seconds))
    # Words that carry their own times speak for rolling in SRT and WebVTT alone: there nothing else writes them.
    has_stamps = raw.format == "captions" and any(
        isinstance(cue, RawCue) and cue.part_times for cue in bounded
    )
    cues = collapse_rolling(clean, evidence="stamps" if has_stamps else "none")
    if len(cues) < len(clean):
        dropped["repeated"] = len(clean) - len(cues)
    return SubtitleFile(cues=tuple(cues), num_dropped=dict(dropped))


@dataclass(frozen=True, kw_only=True)
class _Raw:
    cues: RawCues
    format: str


def _raw_cues(text: str, path: Path) -> _Raw:
    """Tell the format by the text, by the suffix where the text tells nothing, and return the cues."""
    suffix = path.suffix.lower()
    head = text.lstrip("\ufeff \n\t")[:1]
    if head and head in "{[" and (suffix in _JSON_SUFFIXES or _is_json(text)):
        return _Raw(cues=_cues_of_json(text, path), format="json")
    if _XML_START.match(text[:2_000]):
        return _Raw(cues=_cues_of_xml(text, path), format="xml")
    header = read_header(text)
    if header is not None and header.is_manifest:
        raise InputError(
            "this table lists videos (it has a column `video`): it is a manifest, not captions",
            at=str(path),
            fix="name it as data.videos, or give the columns start, end, text",
        )
    if header is not None:
        try:
            return _Raw(cues=parse_table(text, header), format="table")
        except TableProblemError as error:
            raise InputError(f"the table cannot be read ({error})", at=str(path)) from error
    if text.strip() and not any(map(is_timing_line, text.split("\n"))):
        _refuse_by_suffix(text, path)
    return _Raw(cues=parse_captions(text), format="captions")


def _refuse_by_suffix(text: str, path: Path) -> None:
    suffix = path.suffix.lower()
    if suffix in _JSON_SUFFIXES:
        _cues_of_json(text, path)
    if suffix in _XML_SUFFIXES:
        _cues_of_xml(text, path)
    if suffix in _TABLE_SUFFIXES:
        raise InputError(
            "the first line names no columns of captions",
            at=str(path),
            fix="begin the file with a line such as `start,end,text`; docs/subtitles.md lists the names",
        )


def _raw_cues_of_one(path: Path, *, key: str) -> _Raw:
    if path.suffix.lower() not in _JSON_SUFFIXES:
        raise InputError(
            f"only a JSON file has the captions of many videos, and video {key[:80]!r} is asked for",
            at=str(path),
            fix="give a file of one video without an id, or HowTo100M's caption.json",
        )
    cues = cues_of_json(read_entry(path, key=key))
    if cues is None:
        raise InputError(
            f"what it has of video {key[:80]!r} are no captions", at=str(path), fix=_CAPTIONS_FIX
        )
    return _Raw(cues=cues, format="json")


def _clean(raw: Iterable[RawCue | DropReason], dropped: Counter[str]) -> Iterator[Cue]:
    for cue in raw:
        if not isinstance(cue, RawCue):
            dropped[cue] += 1
        elif cue.end_seconds < cue.start_seconds:
            dropped["end-before-start"] += 1
        elif len(cue.text) > MAX_CUE_CHARACTERS:
            dropped["too-long"] += 1
        elif clean := clean_cue(cue):
            yield clean
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
            fix="check what file this is; only the captions of many videos (HowTo100M's JSON) may be larger",
        )
    return data


def _bounded(cues: Iterable[RawCue | DropReason], path: Path) -> RawCues:
    for number, cue in enumerate(cues):
        if number >= MAX_NUM_CUES:
            raise InputError(
                f"the subtitle file has more than {MAX_NUM_CUES:,} cues",
                at=str(path),
                fix="check what file this is",
            )
        yield cue


def _is_json(text: str) -> bool:
    try:
        json.loads(text.lstrip("\ufeff"))
    except (ValueError, RecursionError):
        return False
    return True


def _cues_of_json(text: str, path: Path) -> RawCues:
    try:
        document = json.loads(text.lstrip("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"this is not JSON ({error})", at=str(path)) from error
    cues = cues_of_json(document)
    if cues is not None:
        return cues
    if holds_many(document) and not has_columns(document):
        raise InputError(
            f"this file has the captions of {len(document):,} videos, and none is asked for",
            at=str(path),
            fix="list the videos by their ids (docs/subtitles.md), or give a file for each video",
        )
    raise InputError("this JSON holds no captions", at=str(path), fix=_CAPTIONS_FIX)


def _cues_of_xml(text: str, path: Path) -> RawCues:
    try:
        return cues_of_xml(text)
    except XMLProblemError as error:
        raise InputError(
            f"this XML cannot be read as captions ({error})", at=str(path), fix="give TTML, or YouTube's srv3"
        ) from error

"""SRT and WebVTT into raw cues by one rule: a cue is a timing line and the text under it."""

import re
from collections.abc import Iterator
from itertools import pairwise

from videobert_cli.core.text.cues import TIME_MARK, DropReason, RawCue, WordTime
from videobert_cli.core.text.times import CLOCK, clock_seconds, seconds_of

_TIMING = re.compile(rf"\s*{CLOCK}\s*-->\s*{CLOCK}(?:\s|$)")
# What is meant as a timing line, readable or not; an arrow inside spoken text has no number before it.
_MEANT_AS_TIMING = re.compile(r"\s*-?\d[^<>]{0,40}-->")
_INDEX = re.compile(r"\s*\d{1,9}\s*")
_INLINE_STAMP = re.compile(r"<(\d+:[^<>]*)>")


def parse_captions(text: str) -> Iterator[RawCue | DropReason]:
    """Yield each cue of an SRT or WebVTT file in the file's order, or why it is none.

    Whether the first line says WEBVTT decides the format, not the suffix: converters mislabel both. In WebVTT
    a blank line ends a cue, and what follows up to the next timing line (identifiers, NOTE, STYLE, REGION) is
    not spoken. In SRT blank lines inside a cue are common; the cue reaches to the next one's index or timing
    line. Stamps inside the text (<00:00:01.500>, YouTube's) are the times of the words behind them.
    """
    is_webvtt = text.lstrip("\ufeff \n\t")[:6].upper() == "WEBVTT"
    lines = text.split("\n")
    timings = [number for number, line in enumerate(lines) if is_timing_line(line)]
    for number, following in pairwise([*timings, len(lines)]):
        times = _times(lines[number])
        if times is None:
            yield "bad-time"
            continue
        body = lines[number + 1 : following]
        spoken = _until_blank(body) if is_webvtt else _without_index(body, has_next=following < len(lines))
        yield _cue("\n".join(spoken), times=times)


def is_timing_line(line: str) -> bool:
    """Return whether a line is meant as the times of a cue, readable or not."""
    return "-->" in line and _MEANT_AS_TIMING.match(line) is not None


def _cue(text: str, *, times: tuple[float, float]) -> RawCue:
    stamps = [WordTime(start_seconds=seconds_of(stamp)) for stamp in _INLINE_STAMP.findall(text)]
    return RawCue(
        start_seconds=times[0],
        end_seconds=times[1],
        text=_INLINE_STAMP.sub(TIME_MARK, text) if stamps else text,
        part_times=tuple(stamps),
    )


def _times(line: str) -> tuple[float, float] | None:
    match = _TIMING.match(line)
    if match is None:
        return None
    fields = match.groups()
    return clock_seconds(fields[:4]), clock_seconds(fields[4:])


def _until_blank(body: list[str]) -> list[str]:
    """Cut at the first empty line. One of spaces is not empty: YouTube's cues begin with such a line."""
    for number, line in enumerate(body):
        if not line:
            return body[:number]
    return body


def _without_index(body: list[str], *, has_next: bool) -> list[str]:
    """Take off the next cue's index: a number alone on the line right above the next timing line."""
    return body[:-1] if has_next and body and _INDEX.fullmatch(body[-1]) else body

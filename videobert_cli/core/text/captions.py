"""SRT and WebVTT into raw cues by one rule: a cue is a timing line and the text under it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

DropReason = Literal["bad-time", "empty"]

# Hours may be missing, decimals too, and the decimal mark is a comma, a full stop or (from broken converters)
# a colon.
_TIME = r"(?:(\d{1,6}):)?(\d{1,3}):(\d{1,2})(?:[.,:](\d{1,9}))?"
_TIMING = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s|$)")
# What is meant as a timing line, readable or not; an arrow inside spoken text has no number before it.
_MEANT_AS_TIMING = re.compile(r"\s*-?\d[^<>]{0,40}-->")
_INDEX = re.compile(r"\s*\d{1,9}\s*")


@dataclass(frozen=True, kw_only=True)
class RawCue:
    """A cue as it stands in the file: several lines, with markup."""

    start_seconds: float
    end_seconds: float
    text: str


def parse_captions(text: str) -> Iterator[RawCue | DropReason]:
    """Yield each cue of an SRT or WebVTT file in the file's order, or why it is none.

    Whether the first line says WEBVTT decides the format, not the suffix: converters mislabel both. In WebVTT
    a blank line ends a cue, and what follows up to the next timing line (identifiers, NOTE, STYLE, REGION) is
    not spoken. In SRT blank lines inside a cue are common; the cue reaches to the next one's index or timing
    line.
    """
    is_webvtt = text.lstrip("\ufeff \n\t")[:6].upper() == "WEBVTT"
    lines = text.split("\n")
    timings = [number for number, line in enumerate(lines) if "-->" in line and _MEANT_AS_TIMING.match(line)]
    for number, following in pairwise([*timings, len(lines)]):
        times = _times(lines[number])
        if times is None:
            yield "bad-time"
            continue
        body = lines[number + 1 : following]
        spoken = _until_blank(body) if is_webvtt else _without_index(body, has_next=following < len(lines))
        yield RawCue(start_seconds=times[0], end_seconds=times[1], text="\n".join(spoken))


def _times(line: str) -> tuple[float, float] | None:
    match = _TIMING.match(line)
    if match is None:
        return None
    fields = match.groups()
    return _seconds(fields[:4]), _seconds(fields[4:])


def _seconds(fields: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, decimals = fields
    whole = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    return whole + float(f"0.{decimals or 0}")


def _until_blank(body: list[str]) -> list[str]:
    """Cut at the first empty line. One of spaces is not empty: YouTube's cues begin with such a line."""
    for number, line in enumerate(body):
        if not line:
            return body[:number]
    return body


def _without_index(body: list[str], *, has_next: bool) -> list[str]:
    """Take off the next cue's index: a number alone on the line right above the next timing line."""
    return body[:-1] if has_next and body and _INDEX.fullmatch(body[-1]) else body

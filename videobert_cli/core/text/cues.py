"""A cue, and the cleaning of its text: markup off, entities decoded, white space and control characters out."""

import html
import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

DropReason = Literal["bad-time", "empty"]

# Stands in a raw cue's text before each part that has a time of its own. No file can hold it: decoding takes zeros out.
TIME_MARK = "\0"
# Tags of HTML, WebVTT (<v Bob>, <c.yellow>, <00:00:01.500>) and the overrides of SSA that travel inside SRT
# ({\an8}). None of the patterns can backtrack over more than it matched once, so a hostile line costs linear
# time.
_MARKUP = re.compile(r"</?[A-Za-z][^<>]*>|</?\d+:[^<>]*>|</>|\{\\[^{}]*\}")
_BREAKING_TAG = re.compile(r"<br\s*/?>", re.IGNORECASE)
_MARK_BEFORE_SPACE = re.compile(rf"({TIME_MARK}++)(\s++)")


@dataclass(frozen=True, kw_only=True)
class WordTime:
    """When one word is spoken, in seconds from the start of the video, as far as the file tells."""

    start_seconds: float | None = None
    end_seconds: float | None = None


_UNKNOWN = WordTime()


@dataclass(frozen=True, kw_only=True)
class RawCue:
    """A cue as it stands in the file: several lines, with markup; `part_times` has the time of each TIME_MARK in it."""

    start_seconds: float
    end_seconds: float
    text: str
    part_times: tuple[WordTime, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Cue:
    """Text and when it is shown, in seconds from the start of the video; one line, never empty.

    `word_times` has one entry for each word between spaces, or none at all where the file tells of no word.
    """

    start_seconds: float
    end_seconds: float
    text: str
    word_times: tuple[WordTime, ...] = ()


def clean_text(text: str) -> str:
    r"""Return the words that are spoken, in one line with single spaces.

    >>> clean_text("<v Bob><i>Salt</i> &amp;\r\n pepper<00:00:01.500><c> too</c>")
    'Salt & pepper too'
    """
    line = " ".join(_raw_words(text))
    return line if line.isprintable() else " ".join(filter(None, map(_spoken, line.split())))


def clean_cue(raw: RawCue) -> Cue | None:
    """Return the cue with its text cleaned and a time for each word that begins a part, None where no word is left."""
    if not raw.part_times:
        text = clean_text(raw.text)
        return Cue(start_seconds=raw.start_seconds, end_seconds=raw.end_seconds, text=text) if text else None
    words: list[str] = []
    times: list[WordTime] = []
    num_marks = 0
    for raw_word in _raw_words(raw.text):
        is_first_of_part = raw_word.startswith(TIME_MARK)
        number = num_marks + len(raw_word) - len(raw_word.lstrip(TIME_MARK))
        num_marks += raw_word.count(TIME_MARK)
        if word := _spoken(raw_word):
            words.append(word)
            times.append(raw.part_times[number - 1] if is_first_of_part else _UNKNOWN)
    if not words:
        return None
    return Cue(
        start_seconds=raw.start_seconds,
        end_seconds=raw.end_seconds,
        text=" ".join(words),
        word_times=tuple(times) if any(time != _UNKNOWN for time in times) else (),
    )


def _raw_words(text: str) -> list[str]:
    without_markup = _MARKUP.sub("", _BREAKING_TAG.sub(" ", text))
    decoded = html.unescape(without_markup)
    # The mark of a part that begins with a space belongs to the word after it.
    return _MARK_BEFORE_SPACE.sub(r"\2\1", decoded).split() if TIME_MARK in decoded else decoded.split()


def _spoken(word: str) -> str:
    """Return a word without controls, marks of direction and zero-width characters."""
    if word.isprintable():
        return word
    return "".join(c for c in word if unicodedata.category(c) not in {"Cc", "Cf", "Cs"})

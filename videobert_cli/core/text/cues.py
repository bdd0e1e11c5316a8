"""A cue, and the cleaning of its text: markup off, entities decoded, white space and control characters out."""

import html
import re
import unicodedata
from dataclasses import dataclass

# Tags of HTML, WebVTT (<v Bob>, <c.yellow>, <00:00:01.500>) and the overrides of SSA that travel inside SRT
# ({\an8}). None of the patterns can backtrack over more than it matched once, so a hostile line costs linear
# time.
_MARKUP = re.compile(r"</?[A-Za-z][^<>]*>|</?\d+:[^<>]*>|</>|\{\\[^{}]*\}")
_INLINE_STAMP = re.compile(r"<\d+:[^<>]*>")
_BREAKING_TAG = re.compile(r"<br\s*/?>", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Cue:
    """Text and when it is shown, in seconds from the start of the video; one line, never empty."""

    start_seconds: float
    end_seconds: float
    text: str


def clean_text(text: str) -> str:
    r"""Return the words that are spoken, in one line with single spaces.

    >>> clean_text("<v Bob><i>Salt</i> &amp;\r\n pepper<00:00:01.500><c> too</c>")
    'Salt & pepper too'
    """
    without_markup = _MARKUP.sub("", _BREAKING_TAG.sub(" ", text))
    decoded = " ".join(html.unescape(without_markup).split())
    if decoded.isprintable():
        return decoded
    return " ".join("".join(filter(_is_spoken, decoded)).split())


def has_inline_stamps(text: str) -> bool:
    """Return whether words carry times of their own, as in YouTube's rolling captions."""
    return _INLINE_STAMP.search(text) is not None


def _is_spoken(character: str) -> bool:
    """Whether a character is no control, mark of direction or zero-width one."""
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs"}

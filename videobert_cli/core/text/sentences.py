"""Timed sentences from subtitle cues: punctuation or a pause ends one, and none grows without end."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from videobert_cli.core.text.cues import Cue
from videobert_cli.core.text.word_times import spoken_times

# `. ? ! …` with the quotes and brackets that close after them, then a space; CJK marks end a sentence without
# one. Possessive, and never started in the middle of a row of marks: ten thousand full stops cost no time.
_SENTENCE_END = re.compile(r"""(?<![.?!…])[.?!…]++["'”’)\]]*+(?=\s)|[。！？]++["'”’」』）]*+""")
_ENDS_IN_MARK = re.compile(r"""[.?!…。！？]["'”’」』）)\]]*$""")
_OPENING_MARKS = "\"'“‘(["
# Words whose full stop ends no sentence. Few on purpose: a missed split joins two sentences, which training
# does anyway.
_ABBREVIATIONS = frozenset({
    "mr", "mrs", "ms", "dr", "prof", "st", "jr", "sr", "vs", "e.g", "i.e", "approx", "nr", "fig", "ca", "tbsp", "tsp",
})  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """A sentence and when it is spoken, in seconds from the start of the video."""

    start_seconds: float
    end_seconds: float
    text: str


@dataclass(frozen=True, kw_only=True)
class _Piece:
    """A cue, or the part of a cue up to the end of a sentence."""

    start_seconds: float
    end_seconds: float
    text: str
    ends_sentence: bool


def sentences_from_cues(
    cues: Iterable[Cue], *, pause_seconds: float, max_sentence_seconds: float
) -> list[Sentence]:
    """Return the sentences of a video in order of time; every word of every cue is in exactly one of them.

    A sentence ends at `.`, `?`, `!`, at a silence longer than `pause_seconds` before the next cue, and at the end of
    the last cue that fits into `max_sentence_seconds`; a single cue is never cut for its length. Where a sentence ends
    inside a cue, the times of its words say when; without any, the cue's time is shared out by the number of
    characters.
    """
    sentences: list[Sentence] = []
    pending: list[_Piece] = []
    start_seconds, end_seconds = math.inf, -math.inf
    for piece in _pieces(sorted(cues, key=lambda cue: (cue.start_seconds, cue.end_seconds))):
        pause = piece.start_seconds - end_seconds
        grown = max(end_seconds, piece.end_seconds) - min(start_seconds, piece.start_seconds)
        if pending and (pending[-1].ends_sentence or pause > pause_seconds or grown > max_sentence_seconds):
            sentences.append(_joined(pending, start_seconds=start_seconds, end_seconds=end_seconds))
            pending, start_seconds, end_seconds = [], math.inf, -math.inf
        pending.append(piece)
        start_seconds, end_seconds = (
            min(start_seconds, piece.start_seconds),
            max(end_seconds, piece.end_seconds),
        )
    if pending:
        sentences.append(_joined(pending, start_seconds=start_seconds, end_seconds=end_seconds))
    # Where cues overlap, the second half of one may start after the next.
    return sorted(sentences, key=lambda sentence: sentence.start_seconds)


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a text, their end marks kept.

    >>> split_sentences("Add 2.5 cups of flour. Dr. Oetker says so! then stir")
    ['Add 2.5 cups of flour.', 'Dr. Oetker says so!', 'then stir']
    """
    parts: list[str] = []
    start = 0
    for end in _SENTENCE_END.finditer(text):
        part = text[start : end.end()].strip()
        if _is_abbreviation(part):
            continue
        parts.append(part)
        start = end.end()
    rest = text[start:].strip()
    return [*parts, rest] if rest else parts


def _pieces(cues: Sequence[Cue]) -> Iterator[_Piece]:
    for cue in cues:
        parts = split_sentences(cue.text)
        for number, (part, (start, end)) in enumerate(
            zip(parts, _spans_of_parts(cue, parts), strict=True), start=1
        ):
            yield _Piece(
                start_seconds=start,
                end_seconds=end,
                text=part,
                ends_sentence=number < len(parts) or _ends_sentence(part),
            )


def _spans_of_parts(cue: Cue, parts: Sequence[str]) -> list[tuple[float, float]]:
    """Return start and end of each part of a cue; the first begins and the last ends with the cue."""
    if cue.word_times and len(parts) > 1 and sum(len(part.split()) for part in parts) == len(cue.word_times):
        return _spans_by_words(cue, parts)
    num_characters = sum(map(len, parts))
    duration = cue.end_seconds - cue.start_seconds
    ends = [cue.start_seconds + duration * done / num_characters for done in accumulate(map(len, parts))]
    return list(zip([cue.start_seconds, *ends[:-1]], [*ends[:-1], cue.end_seconds], strict=True))


def _spans_by_words(cue: Cue, parts: Sequence[str]) -> list[tuple[float, float]]:
    times = spoken_times(cue)
    spans = []
    first = 0
    for part in parts:
        last = first + len(part.split()) - 1
        start = cue.start_seconds if first == 0 else times[first][0]
        end = cue.end_seconds if last == len(times) - 1 else times[last][1]
        spans.append((start, end))
        first = last + 1
    return spans


def _joined(pieces: Sequence[_Piece], *, start_seconds: float, end_seconds: float) -> Sentence:
    text = " ".join(piece.text for piece in pieces)
    return Sentence(start_seconds=start_seconds, end_seconds=end_seconds, text=text)


def _ends_sentence(part: str) -> bool:
    return _ENDS_IN_MARK.search(part) is not None and not _is_abbreviation(part)


def _is_abbreviation(part: str) -> bool:
    """Whether the part ends in a full stop that ends no sentence: `Dr.`, `J.`, or a list's number standing alone."""
    if not part.endswith(".") or part.endswith(".."):
        return False
    last_word = part.rsplit(maxsplit=1)[-1]
    word = last_word.lstrip(_OPENING_MARKS)[:-1]
    is_initial = len(word) == 1 and word.isalpha() and word.isupper()
    is_list_number = word.isdigit() and part == last_word
    return word.casefold() in _ABBREVIATIONS or (is_initial and word != "I") or is_list_number

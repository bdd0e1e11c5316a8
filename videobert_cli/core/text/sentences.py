"""Timed sentences from subtitle cues: punctuation or a pause ends one, and none grows without end."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from videobert_cli.core.text.cues import Cue

# `. ? ! …` with the quotes and brackets that close after them, then a space; CJK marks end a sentence without one.
_SENTENCE_END = re.compile(r"""[.?!…]+["'”’)\]]*(?=\s)|[。！？]+["'”’」』）]*""")
_LAST_WORD = re.compile(r"(\S+)$")
_OPENING_MARKS = "\"'“‘(["
# Words whose full stop ends no sentence. Few on purpose: a missed split joins two sentences, which training does anyway.
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

    sentence: Sentence
    ends_sentence: bool
    ends_cue: bool


def sentences_from_cues(
    cues: Iterable[Cue], *, pause_seconds: float, max_sentence_seconds: float
) -> list[Sentence]:
    """Return the sentences of a video in order of time; every word of every cue is in exactly one of them.

    A sentence ends at `.`, `?`, `!`, at a silence longer than `pause_seconds` before the next cue, and at the last end of
    a cue (or of a sentence in it) before it would grow longer than `max_sentence_seconds`; a single cue is never cut for its length.
    Where a sentence ends inside a cue, the cue's time is shared out by the number of characters.
    """
    sentences: list[Sentence] = []
    pending: list[_Piece] = []
    for piece in _pieces(sorted(cues, key=lambda cue: (cue.start_seconds, cue.end_seconds))):
        if pending and _must_cut(
            pending, piece, pause_seconds=pause_seconds, max_seconds=max_sentence_seconds
        ):
            sentences.append(_joined(pending))
            pending = []
        pending.append(piece)
        if piece.ends_sentence:
            sentences.append(_joined(pending))
            pending = []
    if pending:
        sentences.append(_joined(pending))
    return sentences


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
        num_characters = sum(map(len, parts))
        duration = cue.end_seconds - cue.start_seconds
        done = 0
        for number, part in enumerate(parts, start=1):
            is_last = number == len(parts)
            start = cue.start_seconds + duration * done / num_characters
            done += len(part)
            end = cue.end_seconds if is_last else cue.start_seconds + duration * done / num_characters
            yield _Piece(
                sentence=Sentence(start_seconds=start, end_seconds=end, text=part),
                ends_sentence=not is_last or _ends_sentence(part),
                ends_cue=is_last,
            )


def _must_cut(pending: Sequence[_Piece], piece: _Piece, *, pause_seconds: float, max_seconds: float) -> bool:
    end_seconds = max(part.sentence.end_seconds for part in pending)
    pause = piece.sentence.start_seconds - end_seconds
    grown = max(end_seconds, piece.sentence.end_seconds) - pending[0].sentence.start_seconds
    return pause > pause_seconds or grown > max_seconds


def _joined(pieces: Sequence[_Piece]) -> Sentence:
    return Sentence(
        start_seconds=pieces[0].sentence.start_seconds,
        end_seconds=max(piece.sentence.end_seconds for piece in pieces),
        text=" ".join(piece.sentence.text for piece in pieces),
    )


def _ends_sentence(part: str) -> bool:
    return _SENTENCE_END.search(part + " ", max(0, len(part) - 8)) is not None and not _is_abbreviation(part)


def _is_abbreviation(part: str) -> bool:
    """Whether the part ends in a full stop that ends no sentence: `Dr.`, `J.`, or a list's number standing alone."""
    last = _LAST_WORD.search(part)
    if last is None or not part.endswith(".") or part.endswith(".."):
        return False
    word = last.group().lstrip(_OPENING_MARKS)[:-1]
    is_initial = len(word) == 1 and word.isalpha() and word.isupper()
    is_list_number = word.isdigit() and part == last.group()
    return word.casefold() in _ABBREVIATIONS or (is_initial and word != "I") or is_list_number

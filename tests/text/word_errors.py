"""Word error rate: substitutions, deletions and insertions over the words of the reference."""

import re
from collections.abc import Iterable

_DIGITS = dict(
    zip(
        "0123456789",
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
        strict=True,
    )
)


def words_of(text: str) -> list[str]:
    """Lower-case words, digits as words: `F2.` is f and two."""
    spelt = re.sub(r"\d", lambda digit: f" {_DIGITS[digit.group()]} ", text.lower())
    return re.findall(r"[a-z']+", spelt)


def num_word_errors(reference: list[str], heard: list[str]) -> int:
    """The smallest number of words to change, take out or put in (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(reference, start=1):
        diagonal, row[0] = row[0], number
        for place, other in enumerate(heard, start=1):
            diagonal, row[place] = (
                row[place],
                min(row[place] + 1, row[place - 1] + 1, diagonal + (word != other)),
            )
    return row[-1]


def word_error_rate(pairs: Iterable[tuple[str, str]]) -> float:
    """Errors over all (reference, heard) pairs by words of all references."""
    counted = [(words_of(reference), words_of(heard)) for reference, heard in pairs]
    return sum(num_word_errors(*pair) for pair in counted) / sum(len(reference) for reference, _ in counted)

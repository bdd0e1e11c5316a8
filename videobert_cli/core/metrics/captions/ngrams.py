"""The n-grams of a caption, counted."""

from collections import Counter

MAX_ORDER = 4

NgramCounts = Counter[tuple[str, ...]]


def count_ngrams(tokens: str) -> NgramCounts:
    """Return how often each n-gram of one to four words occurs in a tokenised caption."""
    words = tokens.split()
    return Counter(
        tuple(words[start : start + order])
        for order in range(1, MAX_ORDER + 1)
        for start in range(len(words) - order + 1)
    )

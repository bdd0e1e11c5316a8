"""ROUGE-L (Lin 2004) as coco-caption computes it: beta 1.2, best precision and best recall over the references."""

from collections.abc import Sequence

BETA = 1.2


def rouge_l(hypothesis: str, references: Sequence[str]) -> float:
    """Return ROUGE-L of one tokenised hypothesis.

    Precision and recall are each the best over the references, so they may come from two of them. An empty caption
    counts as one word that nobody said.
    """
    words = hypothesis.split(" ")
    precision = recall = 0.0
    for reference in references:
        reference_words = reference.split(" ")
        common = longest_common_subsequence(words, reference_words)
        precision = max(precision, common / len(words))
        recall = max(recall, common / len(reference_words))
    if precision == 0 or recall == 0:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def longest_common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the length of the longest common subsequence, by bits of one integer (Hyyro 2004).

    The table's row is an integer of `len(one)` bits, so a word of `other` costs three operations on it, not a loop.

    >>> longest_common_subsequence("the pan is hot".split(), "the hot pan".split())
    2
    """
    places: dict[str, int] = {}
    for number, word in enumerate(one):
        places[word] = places.get(word, 0) | (1 << number)
    all_places = (1 << len(one)) - 1
    row = all_places
    for word in other:
        matching = row & places.get(word, 0)
        row = ((row + matching) | (row - matching)) & all_places
    return len(one) - row.bit_count()

"""CIDEr-D (Vedantam et al. 2015) as coco-caption computes it under the name of CIDEr.

Document frequencies come from the references of the very corpus that is scored, so a score belongs to its corpus: a
part of it scores otherwise, and a corpus of one item scores 0.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from videobert_cli.core.metrics.captions.ngrams import MAX_ORDER, NgramCounts, count_ngrams

SIGMA = 6.0
_SCALE = 10.0


@dataclass(frozen=True, kw_only=True)
class _Vector:
    """A caption as weights of its n-grams, their length by order, and the number of its word pairs."""

    weights: tuple[dict[tuple[str, ...], float], ...]
    lengths: tuple[float, ...]
    num_pairs: int


def cider_d(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """Return CIDEr-D of each tokenised hypothesis; the corpus' score is their mean.

    The length penalty counts pairs of words, not words: so does the original.
    """
    counted = [[count_ngrams(reference) for reference in found] for found in references]
    frequency: Counter[tuple[str, ...]] = Counter()
    for found in counted:
        frequency.update({ngram for counts in found for ngram in counts})
    rarity = {ngram: math.log(len(hypotheses)) - math.log(count) for ngram, count in frequency.items()}
    unseen = math.log(len(hypotheses))
    scores = []
    for hypothesis, found in zip(hypotheses, counted, strict=True):
        vector = _vector(count_ngrams(hypothesis), rarity=rarity, unseen=unseen)
        similar = [_similarity(vector, _vector(counts, rarity=rarity, unseen=unseen)) for counts in found]
        scores.append(_SCALE * sum(similar) / len(similar))
    return scores


def _vector(counts: NgramCounts, *, rarity: dict[tuple[str, ...], float], unseen: float) -> _Vector:
    weights: tuple[dict[tuple[str, ...], float], ...] = tuple({} for _ in range(MAX_ORDER))
    squares = [0.0] * MAX_ORDER
    num_pairs = 0
    for ngram, count in counts.items():
        order = len(ngram) - 1
        weight = count * rarity.get(ngram, unseen)
        weights[order][ngram] = weight
        squares[order] += weight * weight
        num_pairs += count if order == 1 else 0
    return _Vector(weights=weights, lengths=tuple(map(math.sqrt, squares)), num_pairs=num_pairs)


def _similarity(hypothesis: _Vector, reference: _Vector) -> float:
    """Return the mean over the orders of the clipped cosine, with the penalty for another length."""
    total = 0.0
    for order in range(MAX_ORDER):
        lengths = hypothesis.lengths[order] * reference.lengths[order]
        if lengths == 0:
            continue
        theirs = reference.weights[order]
        product = sum(
            min(weight, theirs[ngram]) * theirs[ngram]
            for ngram, weight in hypothesis.weights[order].items()
            if ngram in theirs
        )
        total += product / lengths
    difference = hypothesis.num_pairs - reference.num_pairs
    return total / MAX_ORDER * math.exp(-(difference**2) / (2 * SIGMA**2))

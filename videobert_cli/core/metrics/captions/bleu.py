"""BLEU-1 to BLEU-4 (Papineni et al. 2002) as coco-caption computes them: one corpus, no smoothing to speak of."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from videobert_cli.core.metrics.captions.ngrams import MAX_ORDER, count_ngrams

# Keep a precision of nothing by nothing from dividing by zero; the values are coco-caption's, and seen in its digits.
_TINY, _SMALL = 1e-15, 1e-9


@dataclass(frozen=True, kw_only=True)
class BleuScores:
    """BLEU-1..4 of the corpus, n-grams counted over all captions together, and of each caption by itself."""

    corpus: tuple[float, ...]
    captions: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, kw_only=True)
class _Counts:
    """What BLEU needs of one caption, or of all: lengths, n-grams said, n-grams said rightly, by order."""

    num_words: int
    num_reference_words: int
    num_ngrams: tuple[int, ...]
    num_correct: tuple[int, ...]


def bleu(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> BleuScores:
    """Return BLEU of tokenised hypotheses, each against its references.

    The reference length is that nearest to the hypothesis' (the shorter of two as near), summed over the corpus.
    """
    counts = [_count(hypothesis, found) for hypothesis, found in zip(hypotheses, references, strict=True)]
    whole = _Counts(
        num_words=sum(count.num_words for count in counts),
        num_reference_words=sum(count.num_reference_words for count in counts),
        num_ngrams=tuple(sum(column) for column in zip(*(count.num_ngrams for count in counts), strict=True)),
        num_correct=tuple(
            sum(column) for column in zip(*(count.num_correct for count in counts), strict=True)
        ),
    )
    return BleuScores(corpus=_scores(whole), captions=tuple(_scores(count) for count in counts))


def _count(hypothesis: str, references: Sequence[str]) -> _Counts:
    num_words = len(hypothesis.split())
    lengths = [len(reference.split()) for reference in references]
    most: dict[tuple[str, ...], int] = {}
    for reference in references:
        for ngram, count in count_ngrams(reference).items():
            most[ngram] = max(most.get(ngram, 0), count)
    num_correct = [0] * MAX_ORDER
    for ngram, count in count_ngrams(hypothesis).items():
        num_correct[len(ngram) - 1] += min(count, most.get(ngram, 0))
    return _Counts(
        num_words=num_words,
        num_reference_words=min((abs(length - num_words), length) for length in lengths)[1],
        num_ngrams=tuple(max(0, num_words - order) for order in range(MAX_ORDER)),
        num_correct=tuple(num_correct),
    )


def _scores(counts: _Counts) -> tuple[float, ...]:
    ratio = (counts.num_words + _TINY) / (counts.num_reference_words + _SMALL)
    brevity = math.exp(1 - 1 / ratio) if ratio < 1 else 1.0
    product, scores = 1.0, []
    for order, (correct, said) in enumerate(zip(counts.num_correct, counts.num_ngrams, strict=True), start=1):
        product *= (correct + _TINY) / (said + _SMALL)
        scores.append(product ** (1 / order) * brevity)
    return tuple(scores)

"""How far a score could be another one by the choice of videos alone: the bootstrap (Efron 1979), video by video.

Segments of one video are alike, so whole videos are drawn: to draw segments would promise more than the data holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Shapes: N segments, V videos, B bootstrap draws.

# A p-value is told to a thousandth, and 20,000 videos take a second.
_NUM_DRAWS = 2_000
_BLOCK_ELEMENTS = 1 << 22
_SEED = 0
_TAIL = 0.025


@dataclass(frozen=True, kw_only=True)
class Interval:
    """The middle 95 % of a mean over bootstrap draws of videos."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """A mean difference, its middle 95 % over draws, and the two-sided probability of one as far from 0 by chance."""

    mean: float
    low: float
    high: float
    p_value: float


def mean_interval(values_N: np.ndarray, videos: Sequence[str]) -> Interval:
    """Return the interval of the mean of `values_N`, segment by segment, whose videos are named.

    With one video it is the mean alone: nothing tells how another would do.

    >>> mean_interval(np.array([1.0, 1.0, 0.0, 0.0]), ["a", "a", "b", "b"])
    Interval(low=0.0, high=1.0)
    """
    low, high = np.quantile(_drawn_means(values_N, videos), [_TAIL, 1 - _TAIL])
    return Interval(low=float(low), high=float(high))


def ratio_interval(numerators_N: np.ndarray, denominators_N: np.ndarray, videos: Sequence[str]) -> Interval:
    """Return the interval of the ratio of two sums over segments: of a micro-averaged F1, say.

    >>> ratio_interval(np.array([2.0, 0.0]), np.array([2.0, 2.0]), ["a", "b"])
    Interval(low=0.0, high=1.0)
    """
    low, high = np.quantile(_drawn_ratios(numerators_N, denominators_N, videos), [_TAIL, 1 - _TAIL])
    return Interval(low=float(low), high=float(high))


def paired_difference(
    values_N: np.ndarray, others_N: np.ndarray, *, videos: Sequence[str]
) -> PairedDifference:
    """Return by how much the mean of `values_N` is above that of `others_N` on the same segments.

    >>> paired_difference(np.ones(4), np.zeros(4), videos=["a", "b", "c", "d"]).mean
    1.0
    """
    differences_N = np.asarray(values_N, dtype=np.float64) - np.asarray(others_N, dtype=np.float64)
    means_B = _drawn_means(differences_N, videos)
    low, high = np.quantile(means_B, [_TAIL, 1 - _TAIL])
    # One more draw than there were: a p-value of 0 would claim more than the draws can tell.
    tail = min((means_B <= 0).sum(), (means_B >= 0).sum())
    return PairedDifference(
        mean=float(differences_N.mean()),
        low=float(low),
        high=float(high),
        p_value=float(min(1.0, 2 * (tail + 1) / (len(means_B) + 1))),
    )


def _drawn_means(values_N: np.ndarray, videos: Sequence[str]) -> np.ndarray:
    """Return the means (B,) over as many videos as there are, drawn with replacement."""
    return _drawn_ratios(values_N, np.ones(len(videos)), videos)


def _drawn_ratios(numerators_N: np.ndarray, denominators_N: np.ndarray, videos: Sequence[str]) -> np.ndarray:
    """Return the ratios (B,) of the two sums over as many videos as there are, drawn with replacement."""
    _, numbers_N = np.unique(np.asarray(videos, dtype=np.str_), return_inverse=True)
    sums_V = np.bincount(numbers_N, weights=np.asarray(numerators_N, dtype=np.float64))
    counts_V = np.bincount(numbers_N, weights=np.asarray(denominators_N, dtype=np.float64))
    generator = np.random.default_rng(_SEED)
    ratios: list[np.ndarray] = []
    block = max(1, _BLOCK_ELEMENTS // len(sums_V))
    for start in range(0, _NUM_DRAWS, block):
        # How often each video is drawn is all that the sums need to know of a draw.
        times_BV = generator.multinomial(
            len(sums_V), np.full(len(sums_V), 1 / len(sums_V)), size=min(block, _NUM_DRAWS - start)
        )
        ratios.append((times_BV @ sums_V) / (times_BV @ counts_V))
    return np.concatenate(ratios)

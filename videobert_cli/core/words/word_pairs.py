"""Which word follows which at some distance, counted: the forecast that needs no model."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np

# Shapes: T words of a video, N questions, K words of the codebook, P pairs that occur.


@dataclass(frozen=True, kw_only=True)
class WordPairs:
    """Counts of pairs of words a fixed number of clips apart, and of single words.

    Words are ordered by how often they followed, then by how often they occur at all, then by number, so no two share
    a rank. The pairs are sorted by their first word; `starts_K` says where each one's begin, one more at the end.
    """

    order_of_frequency_K: np.ndarray
    starts_K: np.ndarray
    seconds_P: np.ndarray
    counts_P: np.ndarray

    @classmethod
    def count(cls, videos: Iterable[np.ndarray], *, horizon: int, num_words: int) -> Self:
        """Count in the words (T,) of each video; pairs never span two videos."""
        counts_K = np.zeros(num_words, dtype=np.int64)
        pairs = [np.zeros(0, dtype=np.int64)]
        for words_T in videos:
            wide_T = words_T.astype(np.int64)
            counts_K += np.bincount(wide_T, minlength=num_words)
            pairs.append(wide_T[:-horizon] * num_words + wide_T[horizon:])
        numbers_P, counts_P = np.unique(np.concatenate(pairs), return_counts=True)
        order_K = np.empty(num_words, dtype=np.int64)
        order_K[np.argsort(-counts_K, kind="stable")] = np.arange(num_words)
        return cls(
            order_of_frequency_K=order_K,
            starts_K=np.searchsorted(numbers_P, np.arange(num_words + 1) * num_words),
            seconds_P=numbers_P % num_words,
            counts_P=counts_P,
        )

    def frequency_ranks(self, target_N: np.ndarray) -> np.ndarray:
        """Return the rank (N,) of each target, from 1, where the commonest word is always said first."""
        return np.asarray(self.order_of_frequency_K[target_N] + 1)

    def copy_ranks(self, last_N: np.ndarray, target_N: np.ndarray) -> np.ndarray:
        """Return the rank (N,) of each target where the last word is said first and then the commonest."""
        order_N, last_order_N = self.order_of_frequency_K[target_N], self.order_of_frequency_K[last_N]
        return np.where(target_N == last_N, 1, order_N + 1 + (last_order_N > order_N))

    def ranks(self, last_N: np.ndarray, target_N: np.ndarray) -> np.ndarray:
        """Return the rank (N,) of each target where what followed the last word most often is said first."""
        return np.array(
            [self._rank(last, target) for last, target in zip(last_N, target_N, strict=True)], dtype=np.int64
        )

    def _rank(self, last: int, target: int) -> int:
        own = slice(self.starts_K[last], self.starts_K[last + 1])
        seconds, counts = self.seconds_P[own], self.counts_P[own]
        orders, order = self.order_of_frequency_K[seconds], self.order_of_frequency_K[target]
        num_before_by_frequency = int((orders < order).sum())
        is_target = seconds == target
        if not is_target.any():
            # Behind all that followed, in order of frequency among the rest.
            return int(len(seconds) + order - num_before_by_frequency + 1)
        count = counts[is_target][0]
        return int(((counts > count) | ((counts == count) & (orders < order))).sum()) + 1

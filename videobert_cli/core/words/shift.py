"""How much the words of new data differ from those of the data a model was trained on, and when they no longer do.

Shapes: K words.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from videobert_cli.core.words.tree import perplexity
from videobert_cli.core.words.usage import WordFit, WordUsage
from videobert_cli.runtime import derive_seed

_NUM_DRAWS = 8
Verdict = Literal["codebook fits", "new codebook due", "unknown"]
# Measured (docs/experiments.md): halves of one corpus are at 0.93 to 1.26, other corpora below 0, one of which a
# quarter is of another kind at about 0.7. Distances alone do not tell: far-off clips can all be near one word.
MIN_EXPLAINED_RATIO = 0.7


@dataclass(frozen=True, kw_only=True)
class WordShift:
    """New data against old, in the words of one codebook.

    `js_divergence` is the Jensen-Shannon divergence of the two usages in bits: 0 for the same usage, 1 where no word is
    shared. `js_divergence_by_chance` is what as many clips drawn one by one from the old usage show (few clips differ
    from anything), `js_divergence_held_out` that of the old data's own held-out videos, None where there are none: what
    other videos of the same kind show. `unused_share` is the share of new clips in words that the old data never used.
    The fits are None where no features were kept.
    """

    num_old_clips: int
    num_new_clips: int
    js_divergence: float
    js_divergence_by_chance: float
    js_divergence_held_out: float | None
    unused_share: float
    perplexity_old: float
    perplexity_new: float
    fit_old: WordFit | None
    fit_new: WordFit | None

    @property
    def verdict(self) -> Verdict:
        """Return whether the codebook still fits the new data: a new one is due, it fits, or that cannot be told."""
        if self.explained_ratio is None:
            return "unknown"
        return "new codebook due" if self.explained_ratio < MIN_EXPLAINED_RATIO else "codebook fits"

    @property
    def sentence(self) -> str:
        """Return the verdict as a sentence with its reason."""
        ratio = self.explained_ratio
        if ratio is None:
            return f"whether the codebook still fits is not known: {self._unknown_because}"
        told = f"the words tell new clips apart {ratio:.2f} times as well as old ones"
        if self.verdict == "codebook fits":
            return f"the codebook fits the new data: {told} (a new one is due below {MIN_EXPLAINED_RATIO:g})"
        return (
            f"a new codebook is due: {told}, less than {MIN_EXPLAINED_RATIO:g}; fit one on old and new videos together "
            "(`videobert quantize` without extract.codebook) and pretrain anew"
        )

    @property
    def _unknown_because(self) -> str:
        if self.fit_old is None or self.fit_new is None:
            return "the features of one side were not kept (extract.keep: both keeps them)"
        return (
            f"the words do not tell even the old run's {self.fit_old.num_clips:,} held-out clips apart; hold out more "
            "videos there (data.validation_fraction) or fit a larger codebook"
        )

    @property
    def distance_ratio(self) -> float | None:
        """How many times as far new clips are from their centroids as old held-out ones (root mean squares)."""
        if self.fit_old is None or self.fit_new is None or self.fit_old.mean_square == 0:
            return None
        return float(np.sqrt(self.fit_new.mean_square / self.fit_old.mean_square))

    @property
    def explained_ratio(self) -> float | None:
        """Which part of what the words explain of the old clips' variance they explain of the new ones'."""
        if self.fit_old is None or self.fit_new is None or self.fit_old.explained <= 0:
            return None
        return self.fit_new.explained / self.fit_old.explained


def word_shift(old: WordUsage, new_counts_K: np.ndarray, *, new_fit: WordFit | None) -> WordShift:
    """Return how new data's words, counted by word (K,), differ from those of `old`."""
    has_held_out = bool(old.held_out_counts_K.any())
    num_new = int(new_counts_K.sum())
    return WordShift(
        num_old_clips=int(old.counts_K.sum()),
        num_new_clips=num_new,
        js_divergence=js_divergence(old.counts_K, new_counts_K),
        js_divergence_by_chance=_by_chance(old.counts_K, num_drawn=num_new),
        js_divergence_held_out=js_divergence(old.counts_K, old.held_out_counts_K) if has_held_out else None,
        unused_share=float(new_counts_K[old.counts_K == 0].sum() / max(1, num_new)),
        perplexity_old=perplexity(torch.from_numpy(old.counts_K)),
        perplexity_new=perplexity(torch.from_numpy(new_counts_K)),
        fit_old=old.fit,
        fit_new=new_fit,
    )


def _by_chance(counts_K: np.ndarray, *, num_drawn: int) -> float:
    """Return the mean divergence of a few draws from the usage itself; the same numbers give the same answer."""
    generator = np.random.default_rng(derive_seed(0, "word shift", int(counts_K.sum()), num_drawn))
    shares_K = counts_K / max(1, counts_K.sum())
    if not counts_K.any():
        return 0.0
    drawn = generator.multinomial(num_drawn, shares_K, size=_NUM_DRAWS)
    return float(np.mean([js_divergence(counts_K, drawn_K) for drawn_K in drawn]))


def js_divergence(counts_K: np.ndarray, other_K: np.ndarray) -> float:
    """Return the Jensen-Shannon divergence of two usages in bits, from 0 (the same) to 1 (no word in common).

    >>> js_divergence(np.array([2, 2, 0]), np.array([5, 5, 0]))
    0.0
    >>> js_divergence(np.array([2, 2, 0]), np.array([0, 0, 9]))
    1.0
    """
    shares_K, others_K = (counts / max(1, counts.sum()) for counts in (counts_K, other_K))
    mean_K = (shares_K + others_K) / 2

    def bits(given_K: np.ndarray) -> float:
        live = given_K > 0
        return float((given_K[live] * np.log2(given_K[live] / mean_K[live])).sum())

    return max(0.0, (bits(shares_K) + bits(others_K)) / 2)

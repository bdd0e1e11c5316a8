"""Which visual words came with which text tokens, counted: what text and clips tell of each other without a model."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import sparse

# Shapes: N sentences, L tokens of a sentence, T clips of it, V tokens of the vocabulary, K visual words.

# Sightings that speak for a word's usual share before its own count: less, and a pair seen once would decide alone.
_PRIOR = 8.0


@dataclass(frozen=True, kw_only=True)
class TextCounts:
    """How often each word was seen beside each token, as what the token adds to the word's log-odds (V, K).

    A word's share beside a token is estimated with its share at large as the prior; what it adds is the logarithm of
    the two's ratio, up to a number that is the same for all words of a token.
    """

    log_ratios_VK: sparse.csr_array
    log_shares_K: np.ndarray

    @classmethod
    def count(
        cls, sentences: Iterable[tuple[np.ndarray, np.ndarray]], *, num_tokens: int, num_words: int
    ) -> Self:
        """Count in sentences as token ids (L,) with the words (T,) of their clips; a token counts once a sentence."""
        rows, columns = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        words = [np.arange(num_words)]
        for text_L, words_T in sentences:
            tokens = np.unique(text_L)
            rows.append(np.repeat(tokens, len(words_T)))
            columns.append(np.tile(words_T.astype(np.int64), len(tokens)))
            words.append(words_T.astype(np.int64))
        # Each word was seen once more than it was: one that training never shows is unlikely, not impossible.
        counts_K = np.bincount(np.concatenate(words), minlength=num_words)
        shares_K = counts_K / counts_K.sum()
        at = (np.concatenate(rows), np.concatenate(columns))
        seen = sparse.coo_array((np.ones(len(at[0])), at), shape=(num_tokens, num_words)).tocsr()
        seen.data = np.log1p(seen.data / (_PRIOR * shares_K[seen.indices]))
        return cls(log_ratios_VK=seen, log_shares_K=np.log(shares_K))

    def scores(self, texts: Iterable[np.ndarray]) -> np.ndarray:
        """Return a score (N, K) of each word for each text of token ids (L,): naive Bayes, up to a number a text."""
        return np.stack([self.log_shares_K + self.ratios(text_L) for text_L in texts])

    def ratios(self, text_L: np.ndarray) -> np.ndarray:
        """Return what a text's tokens add to each word (K,), without how common the words are."""
        return np.asarray(self.log_ratios_VK[np.unique(text_L)].sum(axis=0))

"""The same video in two splits, found by its words: also where it was encoded anew, resized and renamed.

Two videos are laid beside each other at every shift by whole clips at which they share a rare pair of words. Each clip
at which both have the same word is evidence, in bits: how surprising the word is after the one before it, in this
corpus (a chain of first order), so that a picture that stands still or a motion that all videos have says little. Each
clip at which they differ speaks against. What is left must be more than chance would bring among so many pairs.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from videobert_cli.core.words.table import WordTable

# Shapes: C clips of all V videos, T clips of one, H pairs of words of the held-out videos, P places of shared pairs.

MIN_SIMILARITY = 0.4
# An intro that all videos of a channel have is no leak; six clips are nine seconds.
_MIN_CLIPS = 6
# One false alarm in eight corpora, were the words the chain that they are taken for.
_MARGIN_BITS = 3.0
# How often a clip of a copy keeps its word: between 0.47 and 1.0 on re-encoded videos of the demo corpus.
_AGREEMENT = 0.6
# Pairs of words that are this common among the held-out videos tell nothing apart, and would cost most of the time.
_MAX_PLACES = 64
_MAX_CANDIDATES = 50
_BLOCK_CLIPS = 1 << 20
_MAX_COUNTED_CLIPS = 1 << 22
_PRIOR = 5.0


@dataclass(frozen=True, kw_only=True)
class WordPair:
    """Two videos of different splits with nearly the same words.

    `similarity` is the share of the shorter video's surprise that both have, `num_clips` how many clips lie beside each
    other, `evidence_bits` what speaks for a copy less what speaks against.
    """

    ids: tuple[str, str]
    similarity: float
    num_clips: int
    evidence_bits: float


def word_leaks(words: WordTable, *, splits: Mapping[str, str]) -> list[WordPair]:
    """Return the pairs of videos of different splits that are copies of each other by their words, sorted by ids.

    Videos of fewer than six clips are passed over, as are ids without a split. A copy that was cut at other times than
    whole clips has other words and is not found. Memory and time grow with the clips of all videos, and with the number
    of clips of all splits but the largest.
    """
    corpus = _Corpus.of(words, splits=splits)
    held = corpus.all_but_the_largest_split()
    num_pairs = len(held) * (len(corpus.ids) - len(held))
    if not held:
        return []
    chain = _Chain(corpus.words_C, starts_V=corpus.starts_V, num_words=words.num_words)
    needed = float(np.log2(max(num_pairs, 2))) + _MARGIN_BITS
    found: dict[tuple[str, str], WordPair] = {}
    for one, other, shift in _candidates(corpus, held=held, num_words=words.num_words):
        pair = _compare(corpus, one, other, shift=shift, chain=chain)
        if pair is None or pair.evidence_bits < needed or pair.similarity < MIN_SIMILARITY:
            continue
        if pair.ids not in found or found[pair.ids].evidence_bits < pair.evidence_bits:
            found[pair.ids] = pair
    return [found[ids] for ids in sorted(found)]


@dataclass(frozen=True, kw_only=True)
class _Corpus:
    """All words end to end; video v has the clips from starts_V[v] up to starts_V[v + 1]."""

    ids: Sequence[str]
    splits: Sequence[str]
    words_C: np.ndarray
    starts_V: np.ndarray

    @classmethod
    def of(cls, words: WordTable, *, splits: Mapping[str, str]) -> "_Corpus":
        ids = [key for key in words.ids() if key in splits and len(words.words(key)) >= _MIN_CLIPS]
        arrays = [words.words(key) for key in ids]
        return cls(
            ids=ids,
            splits=[splits[key] for key in ids],
            words_C=np.concatenate(arrays or [np.zeros(0, dtype=np.int32)]),
            starts_V=np.cumsum([0, *map(len, arrays)]),
        )

    def words_of(self, video: int) -> np.ndarray:
        return self.words_C[self.starts_V[video] : self.starts_V[video + 1]]

    def all_but_the_largest_split(self) -> list[int]:
        counts = Counter(self.splits)
        largest = max(sorted(counts), key=lambda split: counts[split], default="")
        return [video for video, split in enumerate(self.splits) if split != largest]


class _Chain:
    """How surprising a word is after another, counted over the corpus, or over evenly spread videos of a large one."""

    def __init__(self, words_C: np.ndarray, *, starts_V: np.ndarray, num_words: int) -> None:
        step = max(len(words_C) // _MAX_COUNTED_CLIPS, 1)
        videos = range(0, len(starts_V) - 1, step)
        counted = np.concatenate([words_C[starts_V[video] : starts_V[video + 1]] for video in videos])
        is_last = np.zeros(len(counted), dtype=bool)
        is_last[np.cumsum([starts_V[video + 1] - starts_V[video] for video in videos]) - 1] = True
        self._num_words = num_words
        self._word_shares = (np.bincount(counted, minlength=num_words) + 1) / (len(counted) + num_words)
        self._keys, self._counts = np.unique(
            _pair_keys(counted, num_words)[~is_last[:-1]], return_counts=True
        )
        self._num_before = np.bincount(counted[~is_last], minlength=num_words)

    def surprise_bits(self, words_T: np.ndarray) -> np.ndarray:
        """Return the bits of each word after the one before it (T,); the first counts by its frequency alone."""
        share_T: np.ndarray = self._word_shares[words_T]
        if len(words_T) > 1 and len(self._keys):
            keys = _pair_keys(words_T, self._num_words)
            places = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
            counts = np.where(self._keys[places] == keys, self._counts[places], 0)
            before = self._num_before[words_T[:-1]]
            share_T[1:] = (counts + _PRIOR * share_T[1:]) / (before + _PRIOR)
        return np.asarray(-np.log2(share_T))


def _pair_keys(words_T: np.ndarray, num_words: int) -> np.ndarray:
    """Return a number for each word with the next one (T - 1,)."""
    keys: np.ndarray = words_T[:-1].astype(np.int64) * num_words + words_T[1:]
    return keys


def _candidates(corpus: _Corpus, *, held: Sequence[int], num_words: int) -> Iterator[tuple[int, int, int]]:
    """Yield (held-out video, other video, shift) that share rare pairs of words, the most of each held-out video."""
    keys_H, positions_H = _places(corpus, held, num_words=num_words)
    order = np.argsort(keys_H, kind="stable")
    keys_H, positions_H = keys_H[order], positions_H[order]
    votes: defaultdict[int, list[tuple[float, int, int]]] = defaultdict(list)
    num_videos = len(corpus.ids)
    first = 0
    while first < num_videos:
        limit = corpus.starts_V[first] + _BLOCK_CLIPS
        stop = max(int(np.searchsorted(corpus.starts_V, limit, side="right")) - 1, first + 1)
        _vote(
            corpus,
            range(first, stop),
            keys_H=keys_H,
            positions_H=positions_H,
            num_words=num_words,
            votes=votes,
        )
        first = stop
    for video, found in votes.items():
        for _, other, shift in found:
            yield video, other, shift


def _places(
    corpus: _Corpus, videos: Sequence[int] | range, *, num_words: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the keys of all pairs of neighbouring words of these videos, and where in `words_C` each begins."""
    spans = [np.arange(corpus.starts_V[video], corpus.starts_V[video + 1] - 1) for video in videos]
    positions = np.concatenate(spans or [np.zeros(0, dtype=np.int64)])
    keys = corpus.words_C[positions].astype(np.int64) * num_words + corpus.words_C[positions + 1]
    return keys, positions


def _vote(
    corpus: _Corpus,
    block: range,
    *,
    keys_H: np.ndarray,
    positions_H: np.ndarray,
    num_words: int,
    votes: defaultdict[int, list[tuple[float, int, int]]],
) -> None:
    """Count for each held-out video which video of the block, at which shift, shares how many rare pairs of words."""
    keys, positions = _places(corpus, block, num_words=num_words)
    low = np.searchsorted(keys_H, keys, side="left")
    num = np.searchsorted(keys_H, keys, side="right") - low
    chosen = (num > 0) & (num <= _MAX_PLACES)
    low, num, positions = low[chosen], num[chosen], positions[chosen]
    if not len(num):
        return
    ends = np.cumsum(num)
    place_P = np.repeat(low - (ends - num), num) + np.arange(ends[-1])
    held_P, other_P = positions_H[place_P], np.repeat(positions, num)
    weights_P = np.repeat(1.0 / num, num)
    held_V = np.searchsorted(corpus.starts_V, held_P, side="right") - 1
    other_V = np.searchsorted(corpus.starts_V, other_P, side="right") - 1
    split_of = np.unique(np.asarray(corpus.splits), return_inverse=True)[1]
    keep = split_of[held_V] != split_of[other_V]
    shift_P = (held_P - corpus.starts_V[held_V]) - (other_P - corpus.starts_V[other_V])
    rows, inverse = np.unique(
        np.stack([held_V[keep], other_V[keep], shift_P[keep]], axis=1), axis=0, return_inverse=True
    )
    sums = np.bincount(inverse.reshape(-1), weights=weights_P[keep], minlength=len(rows))
    for (video, other, shift), total in zip(rows.tolist(), sums.tolist(), strict=True):
        votes[video].append((total, other, shift))
    for video in set(rows[:, 0].tolist()):
        votes[video] = sorted(votes[video], reverse=True)[:_MAX_CANDIDATES]


def _compare(corpus: _Corpus, one: int, other: int, *, shift: int, chain: _Chain) -> WordPair | None:
    """Lay two videos beside each other, clip t of `other` under clip t + shift of `one`."""
    one_T, other_T = corpus.words_of(one), corpus.words_of(other)
    first, stop = max(shift, 0), min(len(one_T), len(other_T) + shift)
    if stop - first < _MIN_CLIPS:
        return None
    one_bits, other_bits = chain.surprise_bits(one_T), chain.surprise_bits(other_T)
    same = one_T[first:stop] == other_T[first - shift : stop - shift]
    # Where both have a word, the less surprising of its two ways there counts.
    bits = np.minimum(one_bits[first:stop], other_bits[first - shift : stop - shift])
    evidence = np.where(same, bits + np.log2(_AGREEMENT), np.log2(1 - _AGREEMENT)).sum()
    shorter = one_bits if len(one_T) <= len(other_T) else other_bits
    ids = sorted((corpus.ids[one], corpus.ids[other]))
    return WordPair(
        ids=(ids[0], ids[1]),
        similarity=float(bits[same].sum() / max(shorter.sum(), 1e-9)),
        num_clips=stop - first,
        evidence_bits=float(evidence),
    )

"""The same video in two splits, found by its words: also where it was encoded anew, resized and renamed.

Two videos are laid beside each other at every shift by whole clips at which they share a rare pair of words. Each clip
at which both have the same word is evidence, in bits: how surprising the word is after the one before it, in this
corpus (a chain of first order), so that a picture that stands still or a motion that all videos have says little. Each
clip at which they differ speaks against. What is left must be more than chance would bring among so many pairs.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from videobert_cli.core.words.table import WordTable

# Shapes: C clips of all V videos, T clips of one, H pairs of words of the held-out videos, P places of shared pairs.

MIN_SIMILARITY = 0.35
# An intro that all videos of a channel have is no leak; six clips are nine seconds.
_MIN_CLIPS = 6
# One false alarm in eight corpora, were the words the chain that they are taken for.
_MARGIN_BITS = 3.0
# How often a clip of a copy keeps its word: between 0.47 and 1.0 on re-encoded videos of the demo corpus.
_AGREEMENT = 0.6
# A pair of words that joins more places of a block with held-out videos tells little, and costs most of the time.
_MAX_JOINED = 1024
_MAX_CANDIDATES = 50
_BLOCK_CLIPS = 1 << 18
_MAX_COUNTED_CLIPS = 1 << 22
_PRIOR = 5.0


@dataclass(frozen=True, kw_only=True)
class WordPair:
    """Two videos of different splits with nearly the same words.

    `similarity` is the surprise that both have in common as a share of that video's which has less of it, `num_clips`
    how many clips lie beside each other, `evidence_bits` what speaks for a copy less what speaks against.
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
    split_numbers_V: np.ndarray
    words_C: np.ndarray
    starts_V: np.ndarray

    @classmethod
    def of(cls, words: WordTable, *, splits: Mapping[str, str]) -> "_Corpus":
        ids = [key for key in words.ids() if key in splits and len(words.words(key)) >= _MIN_CLIPS]
        arrays = [words.words(key) for key in ids]
        names = sorted(set(splits.values()))
        return cls(
            ids=ids,
            splits=[splits[key] for key in ids],
            split_numbers_V=np.array([names.index(splits[key]) for key in ids], dtype=np.int64),
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
        videos = [words_C[starts_V[v] : starts_V[v + 1]] for v in range(0, len(starts_V) - 1, step)]
        self._num_words = num_words
        self._word_counts = np.bincount(np.concatenate(videos), minlength=num_words)
        self._keys, self._counts = _pair_counts(videos, num_words)
        before, after = np.divmod(self._keys, num_words)
        self._num_before = np.bincount(before, weights=self._counts, minlength=num_words)
        self._stay_share = (self._counts[before == after].sum() + 1) / (self._counts.sum() + 2)

    def surprise_bits(self, words_T: np.ndarray, *, but_for: Sequence[np.ndarray]) -> np.ndarray:
        """Return the bits of each word after the one before it (T,); the first counts by its frequency alone.

        The videos `but_for` are not counted: what only they have would be no surprise else. A word that follows itself
        is as likely as staying is in the corpus, where no other video says more of it.
        """
        own_words = np.bincount(np.concatenate(but_for), minlength=self._num_words)
        counts = np.maximum(self._word_counts - own_words, 0)
        share_T = (counts[words_T] + 1) / (counts.sum() + self._num_words)
        if len(words_T) < 2:
            return _bits(share_T)
        own_keys, own_counts = _pair_counts(but_for, self._num_words)
        own_before = np.bincount(own_keys // self._num_words, weights=own_counts, minlength=self._num_words)
        keys, before = _pair_keys(words_T, self._num_words), words_T[:-1]
        pairs = np.maximum(
            _looked_up(keys, self._keys, self._counts) - _looked_up(keys, own_keys, own_counts), 0
        )
        stays = words_T[1:] == before
        prior = np.where(stays, self._stay_share, (1 - self._stay_share) * share_T[1:])
        num_before = np.maximum(self._num_before - own_before, 0)[before]
        share_T[1:] = (pairs + _PRIOR * prior) / (np.maximum(num_before, pairs) + _PRIOR)
        return _bits(share_T)


def _bits(share_T: np.ndarray) -> np.ndarray:
    return np.asarray(-np.log2(share_T))


def _pair_counts(videos: Sequence[np.ndarray], num_words: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct keys of neighbouring words, ascending, and how often each comes."""
    return np.unique(
        np.concatenate([_pair_keys(words_T, num_words) for words_T in videos]), return_counts=True
    )


def _looked_up(keys: np.ndarray, table_keys: np.ndarray, table_counts: np.ndarray) -> np.ndarray:
    """Return the counts of `keys`, 0 for those that the table has not."""
    places = np.minimum(np.searchsorted(table_keys, keys), len(table_keys) - 1)
    found: np.ndarray = np.where(table_keys[places] == keys, table_counts[places], 0)
    return found


def _pair_keys(words_T: np.ndarray, num_words: int) -> np.ndarray:
    """Return a number for each word with the next one (T - 1,)."""
    keys: np.ndarray = words_T[:-1].astype(np.int64) * num_words + words_T[1:]
    return keys


def _candidates(corpus: _Corpus, *, held: Sequence[int], num_words: int) -> Iterator[tuple[int, int, int]]:
    """Yield (held-out video, other video, shift) that share rare pairs of words, the most of each held-out video."""
    keys_H, positions_H = _places(corpus, held, num_words=num_words)
    order = np.argsort(keys_H, kind="stable")
    index = _HeldOut(keys_H=keys_H[order], positions_H=positions_H[order])
    rows, votes = np.zeros((0, 3), dtype=np.int64), np.zeros(0)
    first = 0
    while first < len(corpus.ids):
        limit = corpus.starts_V[first] + _BLOCK_CLIPS
        stop = max(int(np.searchsorted(corpus.starts_V, limit, side="right")) - 1, first + 1)
        found, more = _vote(corpus, range(first, stop), index=index, num_words=num_words)
        rows, votes = _most_voted(np.concatenate([rows, found]), np.concatenate([votes, more]))
        first = stop
    yield from map(tuple, rows.tolist())


@dataclass(frozen=True, kw_only=True)
class _HeldOut:
    """The pairs of neighbouring words of the held-out videos, by key, and where in `words_C` each begins."""

    keys_H: np.ndarray
    positions_H: np.ndarray


def _places(
    corpus: _Corpus, videos: Sequence[int] | range, *, num_words: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the keys of all pairs of neighbouring words of these videos, and where in `words_C` each begins."""
    spans = [np.arange(corpus.starts_V[video], corpus.starts_V[video + 1] - 1) for video in videos]
    positions = np.concatenate(spans or [np.zeros(0, dtype=np.int64)])
    keys = corpus.words_C[positions].astype(np.int64) * num_words + corpus.words_C[positions + 1]
    return keys, positions


def _vote(corpus: _Corpus, block: range, *, index: _HeldOut, num_words: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows (held-out video, video of the block, shift) and how many rare pairs of words each has in common.

    A pair of words counts by its rarity; one that joins very many places is passed over.
    """
    keys, positions = _places(corpus, block, num_words=num_words)
    low = np.searchsorted(index.keys_H, keys, side="left")
    num = np.searchsorted(index.keys_H, keys, side="right") - low
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    num_joined = num * counts[inverse.reshape(-1)]
    chosen = (num_joined > 0) & (num_joined <= _MAX_JOINED)
    low, num, positions = low[chosen], num[chosen], positions[chosen]
    place_P = np.repeat(low - (np.cumsum(num) - num), num) + np.arange(num.sum())
    held_P, other_P = index.positions_H[place_P], np.repeat(positions, num)
    weights_P = np.repeat(1.0 / num_joined[chosen], num)
    held_V = np.searchsorted(corpus.starts_V, held_P, side="right") - 1
    other_V = np.searchsorted(corpus.starts_V, other_P, side="right") - 1
    shift_P = (held_P - corpus.starts_V[held_V]) - (other_P - corpus.starts_V[other_V])
    keep = corpus.split_numbers_V[held_V] != corpus.split_numbers_V[other_V]
    found = np.stack([held_V, other_V, shift_P], axis=1)[keep]
    rows, place = np.unique(found, axis=0, return_inverse=True)
    return _most_voted(rows, np.bincount(place.reshape(-1), weights=weights_P[keep], minlength=len(rows)))


def _most_voted(rows: np.ndarray, votes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows with the most votes of each held-out video, the most first."""
    order = np.lexsort((rows[:, 2], rows[:, 1], -votes, rows[:, 0]))
    rows, votes = rows[order], votes[order]
    _, firsts, counts = np.unique(rows[:, 0], return_index=True, return_counts=True)
    ranks = np.arange(len(rows)) - np.repeat(firsts, counts)
    return rows[ranks < _MAX_CANDIDATES], votes[ranks < _MAX_CANDIDATES]


def _compare(corpus: _Corpus, one: int, other: int, *, shift: int, chain: _Chain) -> WordPair | None:
    """Lay two videos beside each other, clip t of `other` under clip t + shift of `one`."""
    one_T, other_T = corpus.words_of(one), corpus.words_of(other)
    first, stop = max(shift, 0), min(len(one_T), len(other_T) + shift)
    if stop - first < _MIN_CLIPS:
        return None
    both = (one_T, other_T)
    one_bits, other_bits = (chain.surprise_bits(words_T, but_for=both) for words_T in both)
    same = one_T[first:stop] == other_T[first - shift : stop - shift]
    # Where both have a word, the less surprising of its two ways there counts.
    bits = np.minimum(one_bits[first:stop], other_bits[first - shift : stop - shift])
    evidence = np.where(same, bits + np.log2(_AGREEMENT), np.log2(1 - _AGREEMENT)).sum()
    ids = sorted((corpus.ids[one], corpus.ids[other]))
    return WordPair(
        ids=(ids[0], ids[1]),
        similarity=float(bits[same].sum() / min(one_bits.sum(), other_bits.sum())),
        num_clips=stop - first,
        evidence_bits=float(evidence),
    )

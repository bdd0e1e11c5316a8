"""Which samples a corpus offers, and in which order an epoch takes them: numbers alone, no object for each sample.

Shapes: D documents, E sequences of one epoch.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np

from videobert_cli.core.sequences.corpus import NO_CLIP, TokenCorpus
from videobert_cli.runtime import derive_seed

Regime = Literal["text", "video", "video_text"]
REGIMES: tuple[Regime, ...] = ("text", "video", "video_text")


class SampleId(NamedTuple):
    """Names one sample of an epoch: its regime, its document, and a sentence's or a window's number in it."""

    regime: Regime
    document: int
    item: int


class Population:
    """The samples of each regime, numbered: document by document, in each by time.

    Three numbers a document are kept, none for a sample.
    """

    def __init__(self, corpus: TokenCorpus, *, video_only_num_words: int) -> None:
        sentences_D = corpus.sentence_offsets_D
        has_video_D = np.zeros(len(corpus), dtype=bool)
        is_spoken_D = np.diff(sentences_D) > 0
        has_video_D[is_spoken_D] = corpus.spans_N2[sentences_D[:-1][is_spoken_D], 0] != NO_CLIP
        windows_D = -(-np.diff(corpus.word_offsets_D) // video_only_num_words)
        self._offsets: dict[Regime, np.ndarray] = {
            "text": sentences_D,
            "video": _offsets(windows_D),
            "video_text": _offsets(np.where(has_video_D, np.diff(sentences_D), 0)),
        }

    def num_samples(self, regime: Regime) -> int:
        """Return how many samples a regime has."""
        return int(self._offsets[regime][-1])

    def sample(self, regime: Regime, number: int) -> SampleId:
        """Return sample `number` of a regime."""
        offsets = self._offsets[regime]
        document = int(np.searchsorted(offsets, number, side="right")) - 1
        return SampleId(regime, document, int(number - offsets[document]))

    def numbers_of(self, regime: Regime, *, document: int) -> tuple[int, int]:
        """Return the numbers [first, stop) of a document's samples in a regime."""
        first, stop = self._offsets[regime][document : document + 2]
        return int(first), int(stop)


class EpochOrder:
    """The endless stream of samples, epoch by epoch.

    An epoch holds every sample of the leading regime once and the others in proportion to their shares. Its order is
    one permutation, held as 4 bytes a sequence (8 from 2 ** 32 on; 24 more while it is drawn): 4 MB a million.
    """

    def __init__(self, population: Population, *, shares: Mapping[Regime, float], seed: int) -> None:
        self._population = population
        self._seed = seed
        self.counts = _counts(population, shares)
        self.epoch_size = sum(self.counts.values())
        sizes = [population.num_samples(regime) for regime in REGIMES]
        self._bases = np.cumsum([0, *sizes])
        self._order_E = lru_cache(maxsize=1)(self._draw_epoch)

    def sample(self, number: int) -> tuple[SampleId, int]:
        """Return sample `number` of the stream, and its epoch."""
        epoch, position = divmod(number, self.epoch_size)
        return self.numbered(int(self._order_E(epoch)[position])), epoch

    def numbers(self, first: int, stop: int) -> np.ndarray:
        """Return samples [first, stop) of the stream, int64 (stop - first, 2): number among all samples, epoch."""
        places = [divmod(number, self.epoch_size) for number in range(first, stop)]
        rows = [(int(self._order_E(epoch)[position]), epoch) for epoch, position in places]
        return np.array(rows, dtype=np.int64)

    def numbered(self, number: int) -> SampleId:
        """Return a sample by its number among all samples, regime after regime."""
        regime = int(np.searchsorted(self._bases, number, side="right")) - 1
        return self._population.sample(REGIMES[regime], number - int(self._bases[regime]))

    def _draw_epoch(self, epoch: int) -> np.ndarray:
        drawn = []
        for regime, base in zip(REGIMES, self._bases, strict=False):
            wanted = self.counts[regime]
            generator = np.random.default_rng(derive_seed(self._seed, "epoch", epoch, regime))
            while wanted > 0:
                order = generator.permutation(self._population.num_samples(regime))[:wanted]
                drawn.append((order + base).astype(self._dtype))
                wanted -= len(order)
        shuffle = np.random.default_rng(derive_seed(self._seed, "shuffle", epoch))
        return np.concatenate(drawn)[shuffle.permutation(self.epoch_size)]

    @property
    def _dtype(self) -> type[np.unsignedinteger]:
        return np.uint32 if self._bases[-1] < 1 << 32 else np.uint64


def _counts(population: Population, shares: Mapping[Regime, float]) -> dict[Regime, int]:
    """Return how many samples of each regime an epoch holds: the shares' proportion, the leader complete."""
    live = {regime: share for regime, share in shares.items() if share > 0 and population.num_samples(regime)}
    if not live:
        return dict.fromkeys(REGIMES, 0)
    leader: Regime = "video_text" if "video_text" in live else max(live, key=population.num_samples)
    unit = population.num_samples(leader) / live[leader]
    return {regime: max(1, round(unit * live[regime])) if regime in live else 0 for regime in REGIMES}


def _offsets(counts_D: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts_D)]).astype(np.int64)

"""The training samples of a corpus: three regimes in a stated mix, each sample a function of (seed, epoch, id)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np

from videobert_cli.core.sequences.joint import (
    JointVocabulary,
    join,
    masked_side,
    subsample,
    truncate,
    unmasked,
    without_loss,
)
from videobert_cli.core.sequences.mask import Masked
from videobert_cli.core.sequences.options import SequenceOptions
from videobert_cli.core.sequences.packing import TokenSequence
from videobert_cli.core.sequences.segments import ClipSpan
from videobert_cli.errors import InputError
from videobert_cli.runtime import derive_seed

# Shapes: T clips of one video, L text tokens of one sentence.

Regime = Literal["text", "video", "video_text"]
REGIMES: tuple[Regime, ...] = ("text", "video", "video_text")
ALIGNED, MISALIGNED = 1, 0


@dataclass(frozen=True, kw_only=True)
class Document:
    """One video (or transcript) ready for sequences.

    `words_T` are joint ids of its visual words, empty for a transcript without video; `sentences` the text ids of its
    sentences in order of time, and `spans` the clips each covers (None throughout for a transcript without video).
    """

    id: str
    words_T: np.ndarray
    sentences: tuple[np.ndarray, ...]
    spans: tuple[ClipSpan | None, ...]


class SampleId(NamedTuple):
    """Names one sample of an epoch: its regime, its document, and a sentence's or a window's number in it."""

    regime: Regime
    document: int
    item: int


class PretrainingSamples:
    """All samples that a corpus offers, drawn epoch by epoch.

    Raises:
        InputError: No regime with a share above zero has a sample.
    """

    def __init__(
        self,
        documents: Sequence[Document],
        *,
        options: SequenceOptions,
        vocabulary: JointVocabulary,
        seed: int,
    ) -> None:
        self._documents = documents
        self._options = options
        self._vocabulary = vocabulary
        self._seed = seed
        self._population = {regime: _population(documents, regime, options) for regime in REGIMES}
        self._joint_items = self._population["video_text"]
        self._joint_documents = np.array([item.document for item in self._joint_items], dtype=np.int64)
        self._epoch_counts = self._counts()
        if self.epoch_size == 0:
            raise InputError(
                "there is nothing to train on: no sentence and no video in a regime with a share above zero",
                fix="check that `data.videos` has training videos with subtitles, and `pretrain.sequences.*_share`",
            )
        self._order = lru_cache(maxsize=2)(self._draw_epoch)

    @property
    def epoch_size(self) -> int:
        """Number of sequences in one epoch: every sample of the leading regime once, the others in proportion."""
        return sum(self._epoch_counts.values())

    @property
    def num_samples(self) -> dict[Regime, int]:
        """How many different samples each regime offers."""
        return {regime: len(items) for regime, items in self._population.items()}

    def sequence(self, number: int) -> TokenSequence:
        """Return sequence `number` of the endless stream; epoch = number // epoch_size."""
        sample, epoch = self.sample(number)
        return self.build(sample, epoch=epoch)

    def sample(self, number: int) -> tuple[SampleId, int]:
        """Return the sample that is sequence `number` of the endless stream, and its epoch."""
        epoch, position = divmod(number, self.epoch_size)
        return self._order(epoch)[position], epoch

    def build(self, sample: SampleId, *, epoch: int) -> TokenSequence:
        """Return the sequence of one sample in one epoch."""
        document = self._documents[sample.document]
        generator = _generator(self._seed, epoch, sample, document_id=document.id)
        if sample.regime == "text":
            return self._text_sequence(document, sample.item, generator=generator)
        if sample.regime == "video":
            return self._video_sequence(document, sample.item, generator=generator)
        return self._joint_sequence(sample, generator=generator)

    # --- the three regimes ---------------------------------------------------------------------------------------

    def _text_sequence(
        self, document: Document, item: int, *, generator: np.random.Generator
    ) -> TokenSequence:
        first, stop = self._joined(document, item, generator=generator)
        text_L = np.concatenate(document.sentences[first:stop])
        text_L, _ = truncate(text_L, text_L[:0], max_num_tokens=self._options.max_num_tokens)
        return join(self._masked(text_L, "text", generator=generator), None, vocabulary=self._vocabulary)

    def _video_sequence(
        self, document: Document, item: int, *, generator: np.random.Generator
    ) -> TokenSequence:
        """Cut `video_only_num_words` words (paper: 16) after sub-sampling, from a window that starts in the item's."""
        wanted = self._options.video_only_num_words
        start = item * wanted
        rate_room = document.words_T[start : start + wanted * self._options.max_subsampling]
        words_T = self._subsampled(rate_room, min_num_words=min(wanted, len(rate_room)), generator=generator)[
            :wanted
        ]
        _, words_T = truncate(words_T[:0], words_T, max_num_tokens=self._options.max_num_tokens)
        return join(None, self._masked(words_T, "video", generator=generator), vocabulary=self._vocabulary)

    def _joint_sequence(self, sample: SampleId, *, generator: np.random.Generator) -> TokenSequence:
        document = self._documents[sample.document]
        first, stop = self._joined(document, sample.item, generator=generator)
        text_L = np.concatenate(document.sentences[first:stop])
        words_T = _words_of(document, first, stop)
        alignment = ALIGNED
        if generator.random() < self._options.negative_fraction:
            other = self._negative(sample, first=first, stop=stop, generator=generator)
            if other is not None:
                words_T, alignment = other, MISALIGNED
        words_T = self._subsampled(
            words_T, min_num_words=self._options.min_words_after_subsampling, generator=generator
        )
        text_L, words_T = truncate(text_L, words_T, max_num_tokens=self._options.max_num_tokens)
        text, words = self._joint_masks(text_L, words_T, generator=generator)
        if alignment == MISALIGNED:
            # The same corruption as in aligned sequences, so that masks do not betray the label; but no loss on it:
            # completing a sentence from a video that does not show it would teach the model to ignore the video.
            text, words = without_loss(text), without_loss(words)
        return join(text, words, vocabulary=self._vocabulary, alignment=alignment)

    # --- parts ---------------------------------------------------------------------------------------------------

    def _joint_masks(
        self, text_L: np.ndarray, words_T: np.ndarray, *, generator: np.random.Generator
    ) -> tuple[Masked, Masked]:
        which = self._options.joint_masking
        text = (
            self._masked(text_L, "text", generator=generator)
            if which in {"both", "text"}
            else unmasked(text_L)
        )
        words = (
            self._masked(words_T, "video", generator=generator)
            if which in {"both", "video"}
            else unmasked(words_T)
        )
        return text, words

    def _masked(
        self, ids: np.ndarray, modality: Literal["text", "video"], *, generator: np.random.Generator
    ) -> Masked:
        return masked_side(
            ids,
            modality,
            fraction=self._options.mask_fraction,
            vocabulary=self._vocabulary,
            generator=generator,
        )

    def _subsampled(
        self, words_T: np.ndarray, *, min_num_words: int, generator: np.random.Generator
    ) -> np.ndarray:
        return subsample(
            words_T, max_rate=self._options.max_subsampling, min_num_words=min_num_words, generator=generator
        )

    def _joined(self, document: Document, item: int, *, generator: np.random.Generator) -> tuple[int, int]:
        """Return the sentences [first, stop) around `item`: itself, or with neighbours on either side at random.

        The paper joins neighbours because speech runs before or after what is seen (section 3.2).
        """
        most = self._options.max_joined_sentences
        if generator.random() >= self._options.join_probability or most < 2:
            return item, item + 1
        num_joined = int(generator.integers(2, most + 1))
        num_joined = min(num_joined, len(document.sentences))
        lowest = max(0, item - num_joined + 1)
        highest = min(item, len(document.sentences) - num_joined)
        first = int(generator.integers(lowest, highest + 1))
        return first, first + num_joined

    def _negative(
        self, sample: SampleId, *, first: int, stop: int, generator: np.random.Generator
    ) -> np.ndarray | None:
        """Return the words of another place: same video (not overlapping) or another video, in the stated mix.

        As many sentences' words as the aligned sequence would have, so that their number does not betray the label.
        """
        same = self._elsewhere_in_video(sample, first=first, stop=stop)
        is_same_wanted = generator.random() < self._options.same_video_negative_fraction
        own_first, own_stop = np.searchsorted(self._joint_documents, [sample.document, sample.document + 1])
        num_others = len(self._joint_items) - int(own_stop - own_first)
        if same and (is_same_wanted or num_others == 0):
            place = same[int(generator.integers(len(same)))]
            return _words_of(self._documents[sample.document], *place)
        if num_others == 0:
            return None
        number = int(generator.integers(num_others))
        other = self._joint_items[number if number < own_first else number + int(own_stop - own_first)]
        length = min(stop - first, len(self._documents[other.document].sentences) - other.item)
        return _words_of(self._documents[other.document], other.item, other.item + length)

    def _elsewhere_in_video(self, sample: SampleId, *, first: int, stop: int) -> list[tuple[int, int]]:
        """Return the runs of sentences [first, stop) that share no clip with the own one: as long, or the longest."""
        spans = self._documents[sample.document].spans
        own = _union(spans[first:stop])
        for length in range(stop - first, 0, -1):
            runs = [(start, start + length) for start in range(len(spans) - length + 1)]
            unions = [_union(spans[start:end]) for start, end in runs]
            apart = [run for run, union in zip(runs, unions, strict=True) if _are_apart(union, own)]
            if apart:
                return apart
        return []

    # --- the order of an epoch -----------------------------------------------------------------------------------

    def _counts(self) -> dict[Regime, int]:
        """Return how many samples of each regime an epoch holds: the shares' proportion, the leader complete."""
        shares: dict[Regime, float] = {
            "text": self._options.text_only_share,
            "video": self._options.video_only_share,
            "video_text": self._options.video_text_share,
        }
        live = {regime: share for regime, share in shares.items() if share > 0 and self._population[regime]}
        if not live:
            return dict.fromkeys(REGIMES, 0)
        leader = (
            "video_text" if "video_text" in live else max(live, key=lambda name: len(self._population[name]))
        )
        unit = len(self._population[leader]) / live[leader]
        return {regime: max(1, round(unit * live[regime])) if regime in live else 0 for regime in REGIMES}

    def _draw_epoch(self, epoch: int) -> list[SampleId]:
        drawn: list[SampleId] = []
        for regime in REGIMES:
            items = self._population[regime]
            wanted = self._epoch_counts[regime]
            generator = np.random.default_rng(derive_seed(self._seed, "epoch", epoch, regime))
            while wanted > 0:
                order = generator.permutation(len(items))[:wanted]
                drawn.extend(items[int(index)] for index in order)
                wanted -= len(order)
        shuffle = np.random.default_rng(derive_seed(self._seed, "shuffle", epoch)).permutation(len(drawn))
        return [drawn[int(index)] for index in shuffle]


def _population(documents: Sequence[Document], regime: Regime, options: SequenceOptions) -> list[SampleId]:
    samples: list[SampleId] = []
    for number, document in enumerate(documents):
        if regime == "text":
            items = range(len(document.sentences))
        elif regime == "video":
            items = range(-(-len(document.words_T) // options.video_only_num_words))
        else:
            items = range(len(document.sentences) if document.spans and document.spans[0] is not None else 0)
        samples.extend(SampleId(regime, number, item) for item in items)
    return samples


def _words_of(document: Document, first: int, stop: int) -> np.ndarray:
    span = _union(document.spans[first:stop])
    return document.words_T[span.first : span.stop]


def _are_apart(one: ClipSpan, other: ClipSpan) -> bool:
    return one.stop <= other.first or one.first >= other.stop


def _union(spans: Sequence[ClipSpan | None]) -> ClipSpan:
    present = [span for span in spans if span is not None]
    return ClipSpan(first=min(span.first for span in present), stop=max(span.stop for span in present))


def _generator(seed: int, epoch: int, sample: SampleId, *, document_id: str) -> np.random.Generator:
    return np.random.Generator(
        np.random.Philox(key=derive_seed(seed, "sample", epoch, sample.regime, document_id, sample.item))
    )

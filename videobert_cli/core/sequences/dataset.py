"""The training samples of a corpus: three regimes in a stated mix, each sample a function of (seed, epoch, id)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from videobert_cli.core.sequences.corpus import Document, TokenCorpus
from videobert_cli.core.sequences.epochs import REGIMES, EpochOrder, Population, Regime, SampleId
from videobert_cli.core.sequences.joint import (
    JointVocabulary,
    Modality,
    join,
    masked_side,
    subsample,
    truncate,
    unmasked,
    without_loss,
)
from videobert_cli.core.sequences.mask import Masked, MaskRule, mask_all
from videobert_cli.core.sequences.negatives import Negatives, words_of_run
from videobert_cli.core.sequences.options import SequenceOptions
from videobert_cli.core.sequences.token_sequence import ALIGNED, MISALIGNED, Pairing, TokenSequence
from videobert_cli.errors import InputError
from videobert_cli.runtime import derive_seed

__all__ = ["Document", "PretrainingSamples", "Regime", "SampleId"]

_NAMES: dict[Regime, str] = {"text": "text alone", "video": "video alone", "video_text": "video with text"}

# Shapes: T clips of one video, L text tokens of one sentence.


class PretrainingSamples:
    """All samples that a corpus offers, drawn epoch by epoch.

    Raises:
        InputError: No regime with a share above zero has a sample.
    """

    def __init__(
        self,
        documents: TokenCorpus | Sequence[Document],
        *,
        options: SequenceOptions,
        vocabulary: JointVocabulary,
        seed: int,
    ) -> None:
        self.corpus = (
            documents if isinstance(documents, TokenCorpus) else TokenCorpus.from_documents(documents)
        )
        self.options = options
        self.vocabulary = vocabulary
        self.seed = seed
        self._population = Population(self.corpus, video_only_num_words=options.video_only_num_words)
        self._shares: dict[Regime, float] = {
            "text": options.text_only_share,
            "video": options.video_only_share,
            "video_text": options.video_text_share,
        }
        self._order = EpochOrder(self._population, shares=self._shares, seed=seed)
        if self.epoch_size == 0:
            raise InputError(
                "there is nothing to train on: no sentence and no video in a regime with a share above zero",
                fix="check that `data.videos` has training videos with subtitles, and `pretrain.sequences.*_share`",
            )
        self._dice = _Dice()
        self._mask_rule = MaskRule(
            fraction=options.mask_fraction,
            unit=options.mask_unit,
            mask_share=options.mask_token_share,
            random_share=options.mask_random_share,
            span_probability=options.mask_span_probability,
            span_max_words=options.mask_span_max_words,
        )
        self._negatives = Negatives(
            self.corpus,
            population=self._population,
            same_video_fraction=options.same_video_negative_fraction,
        )

    @property
    def epoch_size(self) -> int:
        """Number of sequences in one epoch: every sample of the leading regime once, the others in proportion."""
        return self._order.epoch_size

    @property
    def num_samples(self) -> dict[Regime, int]:
        """How many different samples each regime offers."""
        return {regime: self._population.num_samples(regime) for regime in REGIMES}

    @property
    def mix(self) -> str:
        """What an epoch holds, in words; a regime that the recipe wants and the corpus has not is named."""
        counts = self._order.counts
        told = [f"{counts[regime]:,} {_NAMES[regime]}" for regime in REGIMES if counts[regime]]
        lacking = [_NAMES[regime] for regime in REGIMES if self._shares[regime] > 0 and not counts[regime]]
        none = (
            f"; there is no {' and no '.join(lacking)}, though the recipe gives it a share" if lacking else ""
        )
        return f"an epoch has {self.epoch_size:,} sequences: {', '.join(told)}{none}"

    def sample(self, number: int) -> tuple[SampleId, int]:
        """Return the sample that is sequence `number` of the endless stream, and its epoch."""
        return self._order.sample(number)

    def name(self, number: int) -> str:
        """Return what people can find sequence `number` of the stream by: its document, regime and place there."""
        sample, epoch = self.sample(number)
        unit = "window" if sample.regime == "video" else "sentence"
        regime = sample.regime.replace("_", "-")
        return f"{self.corpus.id(sample.document)} ({regime}, {unit} {sample.item}, epoch {epoch})"

    def numbers(self, first: int, stop: int) -> np.ndarray:
        """Return samples [first, stop) of the stream as rows of (number among all samples, epoch)."""
        return self._order.numbers(first, stop)

    def build_numbered(self, number: int, *, epoch: int) -> TokenSequence:
        """Return the sequence of a sample by its number among all samples."""
        return self.build(self._order.numbered(number), epoch=epoch)

    def sequence(self, number: int) -> TokenSequence:
        """Return sequence `number` of the endless stream; epoch = number // epoch_size."""
        sample, epoch = self.sample(number)
        return self.build(sample, epoch=epoch)

    def build(self, sample: SampleId, *, epoch: int) -> TokenSequence:
        """Return the sequence of one sample in one epoch."""
        generator = self._dice.of(
            self.seed, epoch, sample=sample, document_id=self.corpus.id(sample.document)
        )
        if sample.regime == "text":
            return self._text_sequence(sample, generator=generator)
        if sample.regime == "video":
            return self._video_sequence(sample, generator=generator)
        return self._joint_sequence(sample, generator=generator)

    # --- the three regimes ---------------------------------------------------------------------------------------

    def _text_sequence(self, sample: SampleId, *, generator: np.random.Generator) -> TokenSequence:
        first, stop = self._joined(sample, generator=generator)
        text_L = self.corpus.text(sample.document, first, stop)
        text_L, _ = truncate(text_L, text_L[:0], max_num_tokens=self.options.max_num_tokens)
        return join(self._masked(text_L, "text", generator=generator), None, vocabulary=self.vocabulary)

    def _video_sequence(self, sample: SampleId, *, generator: np.random.Generator) -> TokenSequence:
        """Cut `video_only_num_words` words (paper: 16) after sub-sampling, from a window that starts in the item's."""
        wanted = self.options.video_only_num_words
        start = sample.item * wanted
        words_T = self.corpus.words(sample.document)
        rate_room = words_T[start : start + wanted * self.options.max_subsampling]
        words_T = self._subsampled(rate_room, min_num_words=min(wanted, len(rate_room)), generator=generator)[
            :wanted
        ]
        _, words_T = truncate(words_T[:0], words_T, max_num_tokens=self.options.max_num_tokens)
        return join(None, self._masked(words_T, "video", generator=generator), vocabulary=self.vocabulary)

    def _joint_sequence(self, sample: SampleId, *, generator: np.random.Generator) -> TokenSequence:
        document = sample.document
        first, stop = self._joined(sample, generator=generator)
        text_L = self.corpus.text(document, first, stop)
        words_T = words_of_run(self.corpus, document, first=first, stop=stop)
        pairing: Pairing = "aligned"
        if generator.random() < self.options.negative_fraction:
            other = self._negatives.draw(document, first=first, stop=stop, generator=generator)
            if other is not None:
                words_T, pairing = other
        words_T = self._subsampled(
            words_T, min_num_words=self.options.min_words_after_subsampling, generator=generator
        )
        text_L, words_T = truncate(text_L, words_T, max_num_tokens=self.options.max_num_tokens)
        text, words = self._joint_masks(text_L, words_T, generator=generator)
        if pairing != "aligned":
            # The same corruption as in aligned sequences, so that masks do not betray the label; but no loss on it:
            # completing a sentence from a video that does not show it would teach the model to ignore the video.
            text, words = without_loss(text), without_loss(words)
        alignment = ALIGNED if pairing == "aligned" else MISALIGNED
        return join(text, words, vocabulary=self.vocabulary, alignment=alignment, pairing=pairing)

    # --- parts ---------------------------------------------------------------------------------------------------

    def _joint_masks(
        self, text_L: np.ndarray, words_T: np.ndarray, *, generator: np.random.Generator
    ) -> tuple[Masked, Masked]:
        sides: list[Modality] = [
            side for side in ("text", "video") if self.options.joint_masking in {"both", side}
        ]
        given = {"text": text_L, "video": words_T}
        hidden = self._hidden_side(sides, generator=generator)
        if hidden is not None:
            shown = {side: unmasked(ids) for side, ids in given.items()}
            shown[hidden] = mask_all(given[hidden], mask_id=self.vocabulary.mask_id)
            return shown["text"], shown["video"]
        text, words = (
            self._masked(ids, side, generator=generator) if side in sides else unmasked(ids)
            for side, ids in (("text", text_L), ("video", words_T))
        )
        return text, words

    def _hidden_side(self, sides: list[Modality], *, generator: np.random.Generator) -> Modality | None:
        """Return the side that is hidden whole, as often as the recipe says; either where both are masked."""
        chance = self.options.whole_modality_probability
        # Nothing is drawn where it is off: a recipe without it keeps its sequences.
        if chance == 0 or not sides or generator.random() >= chance:
            return None
        return sides[int(generator.integers(len(sides)))]

    def _masked(self, ids: np.ndarray, modality: Modality, *, generator: np.random.Generator) -> Masked:
        return masked_side(
            ids,
            modality,
            rule=self._mask_rule,
            vocabulary=self.vocabulary,
            generator=generator,
        )

    def _subsampled(
        self, words_T: np.ndarray, *, min_num_words: int, generator: np.random.Generator
    ) -> np.ndarray:
        return subsample(
            words_T, max_rate=self.options.max_subsampling, min_num_words=min_num_words, generator=generator
        )

    def _joined(self, sample: SampleId, *, generator: np.random.Generator) -> tuple[int, int]:
        """Return the sentences [first, stop) around the sample's: itself, or with neighbours on either side at random.

        The paper joins neighbours because speech runs before or after what is seen (section 3.2).
        """
        item, most = sample.item, self.options.max_joined_sentences
        if generator.random() >= self.options.join_probability or most < 2:
            return item, item + 1
        num_joined = int(generator.integers(2, most + 1))
        num_sentences = self.corpus.num_sentences(sample.document)
        num_joined = min(num_joined, num_sentences)
        lowest = max(0, item - num_joined + 1)
        highest = min(item, num_sentences - num_joined)
        first = int(generator.integers(lowest, highest + 1))
        return first, first + num_joined


class _Dice:
    """Randomness of one sample after another: Philox with the sample's own key, from its beginning.

    One generator is set anew for each: making one costs 20 microseconds, a fifth of a sequence.
    """

    def __init__(self) -> None:
        self._philox = np.random.Philox(key=0)
        self._beginning: Any = self._philox.state
        self._generator = np.random.Generator(self._philox)

    def of(self, seed: int, epoch: int, *, sample: SampleId, document_id: str) -> np.random.Generator:
        """Return the generator as `Philox(key=...)` of the sample would be; it is the next sample's after that."""
        key = derive_seed(seed, "sample", epoch, sample.regime, document_id, sample.item)
        self._beginning["state"]["key"][0] = key
        self._philox.state = self._beginning
        return self._generator

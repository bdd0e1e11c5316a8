"""What the loop trains in a fine-tuning: the classes of labelled segments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import nn

from videobert_cli.core.model.classification import VideoBERTForSequenceClassification
from videobert_cli.core.model.flops import batch_flops
from videobert_cli.core.model.losses import Score
from videobert_cli.core.sequences.epoch_order import EpochOrder
from videobert_cli.core.sequences.joint import JointVocabulary, join, subsample, truncate, unmasked
from videobert_cli.core.sequences.packing import NO_LABEL, PackedBatch, TokenSequence, pack
from videobert_cli.core.sequences.shares import rank_shares
from videobert_cli.core.training.finetune_options import ClassWeights
from videobert_cli.core.training.job import PartReport, Tally, share
from videobert_cli.core.training.ranks import ALONE, TrainingRanks
from videobert_cli.runtime import derive_seed

# Shapes: B sequences, T words of one segment.


@dataclass(frozen=True, kw_only=True)
class LabelledBatch:
    """Sequences of segments, and the number of each one's class."""

    packed: PackedBatch
    classes_B: np.ndarray

    @property
    def num_sequences(self) -> int:
        """Number of segments."""
        return self.packed.num_sequences

    @property
    def num_tokens(self) -> int:
        """Number of tokens of all segments."""
        return self.packed.num_tokens

    @property
    def num_labelled(self) -> int:
        """Number of segments whose class is asked for: not that of `nothing`."""
        return int((self.classes_B != NO_LABEL).sum())

    def share(self, *, index: int, num_ranks: int) -> Self:
        """Return the segments that rank `index` computes; where there is none for it, `nothing`."""
        numbers_B = rank_shares(self.packed.cu_seqlens.diff().numpy(), num_ranks=num_ranks)[index]
        if not len(numbers_B):
            return self.nothing()
        return type(self)(packed=self.packed.take(numbers_B), classes_B=self.classes_B[numbers_B])

    def nothing(self) -> Self:
        """Return the first segment without its class."""
        return type(self)(packed=self.packed.nothing(), classes_B=np.full(1, NO_LABEL, dtype=np.int64))

    def split(self, num_parts: int) -> list[Self]:
        """Return the batch in parts of about equal numbers of tokens."""
        parts = self.packed.split(num_parts)
        ends = np.cumsum([part.num_sequences for part in parts])[:-1]
        classes = np.split(self.classes_B, ends)
        return [
            type(self)(packed=part, classes_B=classes_B)
            for part, classes_B in zip(parts, classes, strict=True)
        ]


def balanced_weights(classes: Sequence[int], *, num_classes: int) -> torch.Tensor:
    """Return the weight of each class, as scikit-learn's `balanced`: N / (C n), so that all count the same in sum.

    >>> balanced_weights([0, 0, 0, 1], num_classes=2)
    tensor([0.6667, 2.0000])
    """
    counts_C = torch.bincount(torch.tensor(classes), minlength=num_classes).float()
    return len(classes) / (num_classes * counts_C)


class ClassificationJob:
    """Cross entropy of segments' classes, from `[CLS] words [SEP]`."""

    def __init__(
        self,
        model: VideoBERTForSequenceClassification,
        *,
        train: tuple[Sequence[np.ndarray], Sequence[int]],
        held_out: tuple[Sequence[np.ndarray], Sequence[int]],
        vocabulary: JointVocabulary,
        batch_num_sequences: int,
        max_subsampling: int,
        seed: int,
        train_ids: Sequence[str] = (),
        class_weights: ClassWeights = "none",
        ranks: TrainingRanks = ALONE,
    ) -> None:
        """Args: `train` and `held_out` are joint ids of each segment's words and the number of its class.

        `train_ids` name the training segments, for a message.
        """
        self._ranks = ranks
        self._parallel = ranks.parallel(model)
        self.model: VideoBERTForSequenceClassification = model
        self._train_words, self._train_classes = train
        self._held_words, self._held_classes = held_out
        self._vocabulary = vocabulary
        self._batch_num_sequences = batch_num_sequences
        self._max_subsampling = max_subsampling
        self._seed = seed
        self._train_ids = train_ids
        self._weights_C = (
            balanced_weights(train[1], num_classes=len(model.config.id2label))
            if class_weights == "balanced"
            else None
        )
        self._device = next(model.parameters()).device
        self._order = EpochOrder(len(self._train_words), seed=seed)

    def batch(self, step: int, *, first_sequence: int) -> LabelledBatch:  # noqa: ARG002 - batches are of one size
        """Return the segments of `step`: every one once an epoch, in an order of its own."""
        size = self._batch_num_sequences
        chosen = self._order.take(step * size, num=size)
        generator = np.random.default_rng(derive_seed(self._seed, "subsampling", step))
        words = [
            subsample(
                self._train_words[n], max_rate=self._max_subsampling, min_num_words=2, generator=generator
            )
            for n in chosen
        ]
        return self._labelled(words, [self._train_classes[n] for n in chosen])

    def counts(self, batch: LabelledBatch) -> Mapping[str, float]:
        """Return how many segments there are."""
        return {"classes": batch.num_labelled}

    def forward(self, batch: LabelledBatch, *, counts: Mapping[str, float]) -> PartReport:
        """Run the forward pass of a part of the batch that has `counts`."""
        score = self._score(batch, model=self._parallel)
        num = batch.num_labelled
        weight = share(self.counts(batch), counts, "classes")
        accuracy = Tally(mean=float(score.num_correct) / max(1, num), count=num)
        return PartReport(loss=score.loss * weight, metrics={"accuracy": accuracy})

    def num_flops(self, batch: LabelledBatch) -> float:
        """Return the operations of a batch, forward and backward."""
        return batch_flops(self.model.config, batch.packed)

    def sample_ids(self, step: int, *, first_sequence: int, num_sequences: int) -> tuple[str, ...]:  # noqa: ARG002 - as in `batch`
        """Return video and start of each segment of a step."""
        chosen = self._order.take(step * self._batch_num_sequences, num=num_sequences)
        return tuple(self._train_ids[n] for n in chosen) if self._train_ids else ()

    def validate(self, *, num_parts: int = 1) -> Mapping[str, float]:
        """Return the mean loss and accuracy over all held-out segments."""
        num = len(self._held_words)
        if num == 0:
            return {}
        loss_sum, num_correct = 0.0, 0.0
        for start in range(0, num, self._batch_num_sequences):
            stop = min(num, start + self._batch_num_sequences)
            batch = self._labelled(self._held_words[start:stop], self._held_classes[start:stop])
            for part in self._ranks.parts(batch, num_parts=num_parts):
                score = self._score(part, model=self.model)
                loss_sum += float(score.loss.detach()) * part.num_labelled
                num_correct += float(score.num_correct)
        found = self._ranks.of_all([(loss_sum, num_correct)])
        loss, correct = (sum(values) for values in zip(*found, strict=True))
        return {"loss": loss / num, "accuracy": correct / num}

    def _labelled(self, words: Sequence[np.ndarray], classes: Sequence[int]) -> LabelledBatch:
        packed = pack([self._sequence(words_T) for words_T in words])
        return LabelledBatch(packed=packed, classes_B=np.asarray(classes, dtype=np.int64))

    def _score(self, batch: LabelledBatch, *, model: nn.Module) -> Score:
        labels_B = torch.from_numpy(batch.classes_B).to(self._device)
        weights_C = None if self._weights_C is None else self._weights_C.to(self._device)
        score: Score | None = model(batch.packed.to(self._device), labels_B, weights_C=weights_C).score
        if score is None:
            raise RuntimeError("a classifier given labels returned no loss")
        return score

    def _sequence(self, words_T: np.ndarray) -> TokenSequence:
        max_num_tokens = self.model.config.max_position_embeddings
        _, words_T = truncate(words_T[:0], words_T, max_num_tokens=max_num_tokens)
        return join(None, unmasked(words_T), vocabulary=self._vocabulary)

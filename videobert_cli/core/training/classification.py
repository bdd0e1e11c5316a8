"""What the loop trains in a fine-tuning: the classes of labelled segments.

Shapes: N segments, L numbers of a target: one class, or 0 or 1 for each of the C classes.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from videobert_cli.core.model.classification import VideoBERTForSequenceClassification
from videobert_cli.core.model.flops import batch_flops
from videobert_cli.core.model.label_heads import LabelScore
from videobert_cli.core.model.labels import LabelHead
from videobert_cli.core.sequences.epoch_order import EpochOrder
from videobert_cli.core.sequences.joint import subsample
from videobert_cli.core.training.finetune_options import ClassWeights
from videobert_cli.core.training.job import PartReport, Tally, share
from videobert_cli.core.training.labelled import LabelledSegments, SegmentBatch
from videobert_cli.core.training.ranks import ALONE, TrainingRanks
from videobert_cli.runtime import derive_seed


def balanced_weights(targets_NL: np.ndarray, *, head: LabelHead) -> torch.Tensor:
    """Return the weight of each class (C,), as scikit-learn's `balanced`: N / (C n), so that all count the same in sum.

    Where a segment may have several classes, how much those that have a class count against those that have not:
    (N - n) / n, so that both count the same in sum; 1 for a class that all have.

    >>> head = LabelHead(name="verb", kind="single", classes=("cut", "fry"))
    >>> balanced_weights(np.array([[0], [0], [0], [1]]), head=head)
    tensor([0.6667, 2.0000])
    """
    if head.kind == "single":
        counts_C = torch.bincount(torch.from_numpy(targets_NL[:, 0]), minlength=len(head.classes)).float()
        return len(targets_NL) / (len(head.classes) * counts_C)
    counts_C = torch.from_numpy(targets_NL.sum(axis=0)).float()
    others_C = len(targets_NL) - counts_C
    return torch.where(others_C > 0, others_C / counts_C, 1.0)


class ClassificationJob:
    """Cross entropy of segments' classes, or of each class for itself, from `[CLS] words [SEP]`."""

    def __init__(
        self,
        model: VideoBERTForSequenceClassification,
        *,
        head: LabelHead,
        train: LabelledSegments,
        held_out: LabelledSegments,
        batch_num_sequences: int,
        max_subsampling: int,
        seed: int,
        class_weights: ClassWeights = "none",
        ranks: TrainingRanks = ALONE,
    ) -> None:
        """Args: `train` and `held_out` have the targets of `head` alone."""
        self._ranks = ranks
        self._parallel = ranks.parallel(model)
        self.model: VideoBERTForSequenceClassification = model
        self._head = head
        self._train, self._held_out = train, held_out
        self._batch_num_sequences = batch_num_sequences
        self._max_subsampling = max_subsampling
        self._seed = seed
        self._weights_C = (
            balanced_weights(train.targets(), head=head) if class_weights == "balanced" else None
        )
        self._device = next(model.parameters()).device
        self._order = EpochOrder(len(train), seed=seed)

    def batch(self, step: int, *, first_sequence: int) -> SegmentBatch:  # noqa: ARG002 - batches are of one size
        """Return the segments of `step`: every one once an epoch, in an order of its own."""
        size = self._batch_num_sequences
        chosen = self._order.take(step * size, num=size)
        generator = np.random.default_rng(derive_seed(self._seed, "subsampling", step))
        words = [
            subsample(
                self._train.words(n), max_rate=self._max_subsampling, min_num_words=2, generator=generator
            )
            for n in chosen
        ]
        return self._train.batch(chosen, words=words)

    def counts(self, batch: SegmentBatch) -> Mapping[str, float]:
        """Return how many segments have a label: not that of `nothing`."""
        return {"classes": float(batch.num_labels([self._head])[0])}

    def forward(self, batch: SegmentBatch, *, counts: Mapping[str, float]) -> PartReport:
        """Run the forward pass of a part of the batch that has `counts`."""
        score = self._score(batch, model=self._parallel)
        weight = share(self.counts(batch), counts, "classes")
        asked = float(score.num_asked)
        found = Tally(mean=float(score.num_hits) / max(1.0, asked), count=asked)
        return PartReport(loss=score.loss * weight, metrics={score.measure: found})

    def num_flops(self, batch: SegmentBatch) -> float:
        """Return the operations of a batch, forward and backward."""
        return batch_flops(self.model.config, batch.packed)

    def sample_ids(self, step: int, *, first_sequence: int, num_sequences: int) -> tuple[str, ...]:  # noqa: ARG002 - as in `batch`
        """Return video and start of each segment of a step."""
        chosen = self._order.take(step * self._batch_num_sequences, num=num_sequences)
        return tuple(self._train.ids[n] for n in chosen)

    def validate(self, *, num_parts: int = 1) -> Mapping[str, float]:
        """Return the mean loss, and accuracy or micro-averaged F1, over all held-out segments."""
        num = len(self._held_out)
        if num == 0:
            return {}
        measure, sums = "", np.zeros(3)
        for start in range(0, num, self._batch_num_sequences):
            batch = self._held_out.batch(range(start, min(num, start + self._batch_num_sequences)))
            for part in self._ranks.parts(batch, num_parts=num_parts):
                score = self._score(part, model=self.model)
                measure = score.measure
                sums += [
                    float(score.loss.detach()) * float(score.num),
                    float(score.num_hits),
                    float(score.num_asked),
                ]
        loss, hits, asked = np.sum(self._ranks.of_all([tuple(sums.tolist())]), axis=0)
        return {"loss": float(loss / num), measure: float(hits / max(1.0, asked))}

    def _score(self, batch: SegmentBatch, *, model: nn.Module) -> LabelScore:
        weights_C = None if self._weights_C is None else self._weights_C.to(self._device)
        targets_BL = batch.targets_BL.to(self._device)
        score: LabelScore | None = model(batch.packed.to(self._device), targets_BL, weights_C=weights_C).score
        if score is None:
            raise RuntimeError("a classifier given labels returned no loss")
        return score

"""What the loop trains: the paper's three losses over a corpus, and classes over labelled segments."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from videobert_cli.core.model.classification import VideoBERTForSequenceClassification
from videobert_cli.core.model.losses import Score
from videobert_cli.core.model.pretraining import PretrainingOutput, VideoBERTForPreTraining
from videobert_cli.core.sequences.batches import Batches
from videobert_cli.core.sequences.joint import JointVocabulary, join, subsample, truncate, unmasked
from videobert_cli.core.sequences.packing import PackedBatch, TokenSequence, pack
from videobert_cli.core.sequences.token_sequence import PAIRINGS
from videobert_cli.core.training.label_objective import LabelObjective
from videobert_cli.core.training.labelled import LabelledBatch, appended
from videobert_cli.core.training.loop import StepReport
from videobert_cli.core.training.options import LossWeights
from videobert_cli.core.training.probe import Probe
from videobert_cli.runtime import derive_seed

# Shapes: B sequences, T words of one segment.

LOSSES = ("text", "visual", "alignment")


@dataclass(frozen=True, kw_only=True)
class _Tally:
    """A mean, and of how many."""

    mean: float
    count: float


class PretrainingJob:
    """Masked language, masked visual word and alignment: their weighted sum (paper section 3.3), and labels beside."""

    def __init__(
        self,
        model: VideoBERTForPreTraining,
        *,
        batches: Batches,
        held_out: Batches | None,
        held_out_epoch_size: int = 0,
        weights: LossWeights,
        validate_num_batches: int,
        labels: LabelObjective | None = None,
        probe: Probe | None = None,
    ) -> None:
        """Args:
        batches: The training stream.
        held_out: The held-out stream, None where there is none, and how many sequences its epoch has.
        labels: Labels that are learned too, None for none.
        probe: What else a validation asks, None for nothing.
        """
        self.model: VideoBERTForPreTraining = model
        self._batches = batches
        self._held_out = held_out
        self._held_out_epoch_size = held_out_epoch_size
        self._weights = {"text": weights.text, "visual": weights.video, "alignment": weights.alignment}
        self._validate_num_batches = validate_num_batches
        self._labels = labels
        self._probe = probe
        self._num_steps_done = 0
        self._device = next(model.parameters()).device

    def step(self, step: int, *, first_sequence: int = 0) -> StepReport:
        """Run the forward pass of the batch of `step`, labelled segments in the same pass."""
        self._num_steps_done = step + 1
        batch = self._batches.batch(step, first_sequence=first_sequence)
        output, tallies = self._forward(batch, self._labels.train.batch(step) if self._labels else None)
        return StepReport(
            loss=self._total(output),
            metrics={name: tally.mean for name, tally in tallies.items()},
            num_sequences=batch.num_sequences,
        )

    def validate(self) -> Mapping[str, float]:
        """Return the mean losses and accuracies over the first epoch of the held-out videos, weighted by count.

        Whole batches alone, so that no sample counts twice, unless the epoch has not even one. Beside them those of the
        held-out labelled segments (all, or evenly spread as many as the batches may have), and a probe's answers.
        """
        if self._held_out is None:
            return {}
        counted: list[dict[str, _Tally]] = []
        num_sequences = size = 0
        for number in range(self._validate_num_batches):
            batch = self._held_out.batch(number, first_sequence=num_sequences)
            num_sequences += batch.num_sequences
            size = size or batch.num_sequences
            if number and num_sequences > self._held_out_epoch_size:
                break
            counted.append(self._forward(batch, None)[1])
        counted += [self._forward(None, labelled)[1] for labelled in self._held_out_labelled(size)]
        metrics = _means(counted)
        names = [name for name in self._loss_weights if name in metrics]
        metrics["loss"] = sum(self._loss_weights[name] * metrics[name] for name in names)
        return {**self._answers(), **metrics}

    @property
    def _loss_weights(self) -> dict[str, float]:
        """Weights by the names of the losses among the metrics."""
        heads = self._labels.weights if self._labels else {}
        return {
            **{f"{name}_loss": weight for name, weight in self._weights.items()},
            **{f"labels.{name}.loss": weight for name, weight in heads.items()},
        }

    def _forward(
        self, stream: PackedBatch | None, labelled: LabelledBatch | None
    ) -> tuple[PretrainingOutput, dict[str, _Tally]]:
        batch, part = appended(stream, labelled)
        if part is not None:
            part = replace(part, targets_BL=part.targets_BL.to(self._device))
        output = self.model(batch.to(self._device), part)
        heads = [head.name for head in self.model.config.label_heads]
        return output, _tallies(output, batch) | _label_tallies(output, heads)

    def _total(self, output: PretrainingOutput) -> Tensor:
        terms = [self._weights[name] * getattr(output, f"{name}_loss") for name in LOSSES]
        if self._labels is not None:
            scores = zip(self._labels.weights.values(), output.label_scores, strict=True)
            terms += [weight * score.loss for weight, score in scores]
        return torch.stack(terms).sum()

    def _held_out_labelled(self, size: int) -> Iterator[LabelledBatch]:
        """Yield held-out labelled segments, `size` a batch, no more batches than a validation may have."""
        if self._labels is None:
            return
        chosen = self._labels.held_out.spread(num=size * self._validate_num_batches)
        for start in range(0, len(chosen), size):
            yield self._labels.held_out.batch(chosen[start : start + size])

    def _answers(self) -> Mapping[str, float]:
        """Return what the probe finds, nothing where none is due."""
        if self._probe is None or not self._probe.is_due(self._num_steps_done):
            return {}
        return self._probe.ask(self.model)


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
    ) -> None:
        """Args: `train` and `held_out` are joint ids of each segment's words and the number of its class."""
        self.model: VideoBERTForSequenceClassification = model
        self._train_words, self._train_classes = train
        self._held_words, self._held_classes = held_out
        self._vocabulary = vocabulary
        self._batch_num_sequences = batch_num_sequences
        self._max_subsampling = max_subsampling
        self._seed = seed
        self._device = next(model.parameters()).device
        self._order = lru_cache(maxsize=2)(self._draw_epoch)

    def step(self, step: int, *, first_sequence: int = 0) -> StepReport:  # noqa: ARG002 - batches are of one size
        """Run the forward pass of the batch of `step`: every segment once an epoch, in an order of its own."""
        chosen = [
            self._segment_at(step * self._batch_num_sequences + n) for n in range(self._batch_num_sequences)
        ]
        generator = np.random.default_rng(derive_seed(self._seed, "subsampling", step))
        words = [
            subsample(
                self._train_words[n], max_rate=self._max_subsampling, min_num_words=2, generator=generator
            )
            for n in chosen
        ]
        labels_B = torch.tensor([self._train_classes[n] for n in chosen], device=self._device)
        score = self._score([self._sequence(words_T) for words_T in words], labels_B)
        accuracy = float(score.num_correct) / len(chosen)
        return StepReport(loss=score.loss, metrics={"accuracy": accuracy}, num_sequences=len(chosen))

    def validate(self) -> Mapping[str, float]:
        """Return the mean loss and accuracy over all held-out segments."""
        num = len(self._held_words)
        if num == 0:
            return {}
        loss_sum, num_correct = 0.0, 0.0
        for start in range(0, num, self._batch_num_sequences):
            stop = min(num, start + self._batch_num_sequences)
            labels_B = torch.tensor(list(self._held_classes[start:stop]), device=self._device)
            score = self._score(
                [self._sequence(words_T) for words_T in self._held_words[start:stop]], labels_B
            )
            loss_sum += float(score.loss.detach()) * (stop - start)
            num_correct += float(score.num_correct)
        return {"loss": loss_sum / num, "accuracy": num_correct / num}

    def _score(self, sequences: list[TokenSequence], labels_B: Tensor) -> Score:
        score = self.model(pack(sequences).to(self._device), labels_B).score
        if score is None:
            raise RuntimeError("a classifier given labels returned no loss")
        return score

    def _segment_at(self, number: int) -> int:
        epoch, position = divmod(number, len(self._train_words))
        return int(self._order(epoch)[position])

    def _draw_epoch(self, epoch: int) -> np.ndarray:
        generator = np.random.default_rng(derive_seed(self._seed, "order", epoch))
        return generator.permutation(len(self._train_words))

    def _sequence(self, words_T: np.ndarray) -> TokenSequence:
        max_num_tokens = self.model.config.max_position_embeddings
        _, words_T = truncate(words_T[:0], words_T, max_num_tokens=max_num_tokens)
        return join(None, unmasked(words_T), vocabulary=self._vocabulary)


def _tallies(output: PretrainingOutput, batch: PackedBatch) -> dict[str, _Tally]:
    """Return loss and accuracy of each objective that had something to predict, alignment's for each kind of pair too.

    Negatives from the same video are hard, from another video easy: one number would hide the one behind the other.
    """
    tallies = {}
    for name in LOSSES:
        count = float(getattr(output, f"num_{name}"))
        if count:
            loss = float(getattr(output, f"{name}_loss").detach())
            accuracy = float(getattr(output, f"num_{name}_correct")) / count
            tallies[f"{name}_loss"] = _Tally(mean=loss, count=count)
            tallies[f"{name}_accuracy"] = _Tally(mean=accuracy, count=count)
    is_correct_B, pairings_B = output.is_alignment_correct_B.cpu(), batch.pairings_B.cpu()
    for number, pairing in enumerate(PAIRINGS):
        is_meant_B = pairings_B == number
        count = float(is_meant_B.sum())
        if count:
            accuracy = float((is_correct_B & is_meant_B).sum()) / count
            tallies[f"alignment_accuracy_{pairing}"] = _Tally(mean=accuracy, count=count)
    return tallies


def _label_tallies(output: PretrainingOutput, heads: Sequence[str]) -> dict[str, _Tally]:
    """Return loss and accuracy, or F1, of each head of labels that the batch asked.

    A part's F1 weighs as much as it has answers and truths: the weighted mean of parts is the F1 of all.
    """
    tallies = {}
    for name, score in zip(heads, output.label_scores, strict=False):
        if num := float(score.num):
            tallies[f"labels.{name}.loss"] = _Tally(mean=float(score.loss.detach()), count=num)
        if asked := float(score.num_asked):
            tallies[f"labels.{name}.{score.measure}"] = _Tally(
                mean=float(score.num_hits) / asked, count=asked
            )
    return tallies


def _means(counted: Iterable[Mapping[str, _Tally]]) -> dict[str, float]:
    """Return the mean of each metric over all that it counts."""
    sums: dict[str, float] = defaultdict(float)
    counts: dict[str, float] = defaultdict(float)
    for tallies in counted:
        for name, tally in tallies.items():
            counts[name] += tally.count
            sums[name] += tally.mean * tally.count
    return {name: total / counts[name] for name, total in sums.items()}

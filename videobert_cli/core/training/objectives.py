"""What the loop trains: the paper's three losses over a corpus, and classes over labelled segments."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from videobert_cli.core.model.classification import VideoBERTForSequenceClassification
from videobert_cli.core.model.losses import Score
from videobert_cli.core.model.pretraining import PretrainingOutput, VideoBERTForPreTraining
from videobert_cli.core.sequences.dataset import PretrainingSamples
from videobert_cli.core.sequences.joint import JointVocabulary, join, subsample, truncate, unmasked
from videobert_cli.core.sequences.packing import PackedBatch, TokenSequence, pack
from videobert_cli.core.training.loop import StepReport
from videobert_cli.core.training.options import LossWeights
from videobert_cli.runtime import derive_seed

# Shapes: B sequences, T words of one segment.

LOSSES = ("text", "visual", "alignment")


class PretrainingJob:
    """Masked language, masked visual word and alignment: their weighted sum (paper section 3.3)."""

    def __init__(
        self,
        model: VideoBERTForPreTraining,
        *,
        samples: PretrainingSamples,
        held_out: PretrainingSamples | None,
        weights: LossWeights,
        batch_num_sequences: int,
        validate_num_batches: int,
    ) -> None:
        self.model: VideoBERTForPreTraining = model
        self._samples = samples
        self._held_out = held_out
        self._weights = {"text": weights.text, "visual": weights.video, "alignment": weights.alignment}
        self._batch_num_sequences = batch_num_sequences
        self._validate_num_batches = validate_num_batches
        self._device = next(model.parameters()).device

    def step(self, step: int) -> StepReport:
        """Run the forward pass of the batch of `step`."""
        output = self.model(self._batch(self._samples, step))
        return StepReport(loss=self._total(output), metrics=_metrics(output))

    def validate(self) -> Mapping[str, float]:
        """Return the mean losses and accuracies over the first epoch of the held-out videos, weighted by count."""
        if self._held_out is None:
            return {}
        num_batches = min(
            self._validate_num_batches, max(1, self._held_out.epoch_size // self._batch_num_sequences)
        )
        sums: dict[str, float] = defaultdict(float)
        counts: dict[str, float] = defaultdict(float)
        for number in range(num_batches):
            output = self.model(self._batch(self._held_out, number))
            for name, count in _counts(output).items():
                counts[name] += count
                for metric, value in _metrics(output, only=name).items():
                    sums[metric] += value * count
        metrics = {metric: total / counts[metric.split("_")[0]] for metric, total in sums.items()}
        metrics["loss"] = sum(self._weights[name] * metrics.get(f"{name}_loss", 0.0) for name in LOSSES)
        return metrics

    def _batch(self, samples: PretrainingSamples, number: int) -> PackedBatch:
        first = number * self._batch_num_sequences
        sequences = [samples.sequence(first + offset) for offset in range(self._batch_num_sequences)]
        return pack(sequences).to(self._device)

    def _total(self, output: PretrainingOutput) -> Tensor:
        terms = [self._weights[name] * getattr(output, f"{name}_loss") for name in LOSSES]
        return torch.stack(terms).sum()


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

    def step(self, step: int) -> StepReport:
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
        return StepReport(loss=score.loss, metrics={"accuracy": float(score.num_correct) / len(chosen)})

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


def _counts(output: PretrainingOutput) -> dict[str, float]:
    counts = {name: float(getattr(output, f"num_{name}")) for name in LOSSES}
    return {name: count for name, count in counts.items() if count}


def _metrics(output: PretrainingOutput, *, only: str | None = None) -> dict[str, float]:
    """Return loss and accuracy of each objective that had something to predict."""
    metrics = {}
    for name, count in _counts(output).items():
        if only in {None, name}:
            metrics[f"{name}_loss"] = float(getattr(output, f"{name}_loss").detach())
            metrics[f"{name}_accuracy"] = float(getattr(output, f"num_{name}_correct")) / count
    return metrics

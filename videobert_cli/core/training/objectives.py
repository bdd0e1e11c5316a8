"""What the loop trains in a pretraining: the paper's three losses over a corpus, and labels beside them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from videobert_cli.core.model.flops import batch_flops
from videobert_cli.core.model.losses import split_labels
from videobert_cli.core.model.pretraining import PretrainingOutput, VideoBERTForPreTraining
from videobert_cli.core.sequences.batches import Batches
from videobert_cli.core.sequences.packing import NO_LABEL, PackedBatch
from videobert_cli.core.sequences.token_sequence import PAIRINGS
from videobert_cli.core.training.job import PartReport, Tally, share
from videobert_cli.core.training.label_objective import LabelObjective
from videobert_cli.core.training.labelled import PretrainingBatch, SegmentBatch, appended
from videobert_cli.core.training.options import LossWeights
from videobert_cli.core.training.probe import Probe
from videobert_cli.core.training.ranks import ALONE, TrainingRanks

# Shapes: B sequences.

LOSSES = ("text", "visual", "alignment")


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
        ranks: TrainingRanks = ALONE,
        sample_id: Callable[[int], str] | None = None,
    ) -> None:
        """Args:
        batches: The training stream.
        sample_id: Names a sequence of the training stream by its number, for a message.
        held_out: The held-out stream, None where there is none, and how many sequences its epoch has.
        labels: Labels that are learned too, None for none.
        probe: What else a validation asks, None for nothing.
        ranks: The processes that train the model together.
        """
        self._ranks = ranks
        self._parallel = ranks.parallel(model)
        self.model: VideoBERTForPreTraining = model
        self._batches = batches
        self._held_out = held_out
        self._held_out_epoch_size = held_out_epoch_size
        self._weights = {"text": weights.text, "visual": weights.video, "alignment": weights.alignment}
        self._validate_num_batches = validate_num_batches
        self._labels = labels
        self._probe = probe
        self._num_steps_done = 0
        self._sample_id = sample_id
        self._device = next(model.parameters()).device

    def batch(self, step: int, *, first_sequence: int) -> PretrainingBatch:
        """Return the sequences of `step`, and labelled segments beside them where labels are learned."""
        self._num_steps_done = step + 1
        return PretrainingBatch(
            stream=self._batches.batch(step, first_sequence=first_sequence),
            segments=self._labels.train.batch(step) if self._labels else None,
        )

    def counts(self, batch: PretrainingBatch) -> Mapping[str, float]:
        """Return how many masked text tokens, masked visual words and pairs there are, and labels of each head."""
        heads = self.model.config.label_heads
        counts = dict.fromkeys(LOSSES, 0)
        if batch.stream is not None:
            labels_P = batch.stream.labels_S[batch.stream.masked_positions_P]
            is_visual_P, _ = split_labels(labels_P, num_text=self.model.config.vocab_size)
            num_visual = int(is_visual_P.sum())
            counts |= {"text": len(labels_P) - num_visual, "visual": num_visual}
            counts["alignment"] = int((batch.stream.alignment_B != NO_LABEL).sum())
        found = batch.segments.num_labels(heads) if batch.segments is not None else [0] * len(heads)
        return counts | {_label(head.name): num for head, num in zip(heads, found, strict=True)}

    def forward(self, batch: PretrainingBatch, *, counts: Mapping[str, float]) -> PartReport:
        """Run the forward pass of a part of the batch that has `counts`, labelled segments in the same pass."""
        output, tallies = self._forward(batch, model=self._parallel)
        own = self.counts(batch)
        shares = {name: share(own, counts, name) for name in own}
        return PartReport(loss=self._total(output, shares=shares), metrics=tallies)

    def num_flops(self, batch: PretrainingBatch) -> float:
        """Return the operations of a batch, forward and backward."""
        packed = (batch.stream, None if batch.segments is None else batch.segments.packed)
        return sum(batch_flops(self.model.config, part) for part in packed if part is not None)

    def sample_ids(self, step: int, *, first_sequence: int, num_sequences: int) -> tuple[str, ...]:
        """Return document, regime and place of each sequence of a step."""
        if self._sample_id is None:
            return ()
        first = self._batches.first_number(step, first_sequence=first_sequence)
        return tuple(map(self._sample_id, range(first, first + num_sequences)))

    def validate(self, *, num_parts: int = 1) -> Mapping[str, float]:
        """Return the mean losses and accuracies over the first epoch of the held-out videos, weighted by count.

        Whole batches alone, so that no sample counts twice, unless the epoch has not even one. Beside them those of the
        held-out labelled segments (all, or evenly spread as many as the batches may have), and a probe's answers.
        """
        if self._held_out is None:
            return {}
        batches: list[PretrainingBatch] = []
        num_sequences = size = 0
        for number in range(self._validate_num_batches):
            stream = self._held_out.batch(number, first_sequence=num_sequences)
            num_sequences += stream.num_sequences
            size = size or stream.num_sequences
            if number and num_sequences > self._held_out_epoch_size:
                break
            batches.append(PretrainingBatch(stream=stream))
        batches += [PretrainingBatch(segments=segments) for segments in self._held_out_segments(size)]
        parts = (part for batch in batches for part in self._ranks.parts(batch, num_parts=num_parts))
        found: list[Mapping[str, Tally]] = [self._forward(part, model=self.model)[1] for part in parts]
        metrics = _means(self._ranks.of_all(found))
        weights = {name: weight for name, weight in self._loss_weights.items() if name in metrics}
        metrics["loss"] = sum(weight * metrics[name] for name, weight in weights.items())
        return {**self._answers(), **metrics}

    @property
    def _loss_weights(self) -> dict[str, float]:
        """Weights by the names of the losses among the metrics."""
        heads = self._labels.weights if self._labels else {}
        return {
            **{f"{name}_loss": weight for name, weight in self._weights.items()},
            **{f"{_label(name)}.loss": weight for name, weight in heads.items()},
        }

    def _forward(
        self, batch: PretrainingBatch, *, model: nn.Module
    ) -> tuple[PretrainingOutput, dict[str, Tally]]:
        packed, part = appended(batch)
        if part is not None:
            part = replace(part, targets_BL=part.targets_BL.to(self._device))
        output: PretrainingOutput = model(packed.to(self._device), part)
        heads = [head.name for head in self.model.config.label_heads]
        return output, _tallies(output, packed) | _label_tallies(output, heads)

    def _total(self, output: PretrainingOutput, *, shares: Mapping[str, float]) -> Tensor:
        terms = [self._weights[name] * shares[name] * getattr(output, f"{name}_loss") for name in LOSSES]
        if self._labels is not None and output.label_scores:
            scores = zip(self._labels.weights.items(), output.label_scores, strict=True)
            terms += [weight * shares[_label(name)] * score.loss for (name, weight), score in scores]
        return torch.stack(terms).sum()

    def _held_out_segments(self, size: int) -> Iterator[SegmentBatch]:
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
        # Rank 0 asks alone: to ask is no pass that the others share.
        probe, model = self._probe, self._ranks.whole(self.model)
        return self._ranks.said(lambda: probe.ask(model))


def _tallies(output: PretrainingOutput, batch: PackedBatch) -> dict[str, Tally]:
    """Return loss and accuracy of each objective that had something to predict, alignment's for each kind of pair too.

    Negatives from the same video are hard, from another video easy: one number would hide the one behind the other.
    """
    tallies = {}
    # On a CPU the numbers are at hand.
    output = output.read() if output.text_loss.is_cuda else output
    for name in LOSSES:
        count = float(getattr(output, f"num_{name}"))
        if count:
            loss = float(getattr(output, f"{name}_loss").detach())
            accuracy = float(getattr(output, f"num_{name}_correct")) / count
            tallies[f"{name}_loss"] = Tally(mean=loss, count=count)
            tallies[f"{name}_accuracy"] = Tally(mean=accuracy, count=count)
    is_correct_B, pairings_B = output.is_alignment_correct_B.cpu(), batch.pairings_B.cpu()
    for number, pairing in enumerate(PAIRINGS):
        is_meant_B = pairings_B == number
        count = float(is_meant_B.sum())
        if count:
            accuracy = float((is_correct_B & is_meant_B).sum()) / count
            tallies[f"alignment_accuracy_{pairing}"] = Tally(mean=accuracy, count=count)
    return tallies


def _label_tallies(output: PretrainingOutput, heads: Sequence[str]) -> dict[str, Tally]:
    """Return loss and accuracy, or F1, of each head of labels that the batch asked.

    A part's F1 weighs as much as it has answers and truths: the weighted mean of parts is the F1 of all.
    """
    tallies = {}
    for name, score in zip(heads, output.label_scores, strict=False):
        if num := float(score.num):
            tallies[f"{_label(name)}.loss"] = Tally(mean=float(score.loss.detach()), count=num)
        if asked := float(score.num_asked):
            tallies[f"{_label(name)}.{score.measure}"] = Tally(
                mean=float(score.num_hits) / asked, count=asked
            )
    return tallies


def _means(found: Iterable[Mapping[str, Tally]]) -> dict[str, float]:
    """Return the mean of each metric over all that it counts."""
    sums: dict[str, float] = defaultdict(float)
    counts: dict[str, float] = defaultdict(float)
    for tallies in found:
        for name, tally in tallies.items():
            counts[name] += tally.count
            sums[name] += tally.mean * tally.count
    return {name: total / counts[name] for name, total in sums.items()}


def _label(column: str) -> str:
    """Return how a head of labels is called among losses and metrics."""
    return f"labels.{column}"

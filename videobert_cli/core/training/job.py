"""What the loop trains: a model, batches that depend on the step and what is before it, and a held-out measure.

A batch can be cut into parts, each a forward pass of its own (micro-batches, the shares of ranks). Each loss is a mean
over what it counts (masked words, pairs); a job weights a part's losses by the part's share of the whole batch's
counts, so that the parts' losses and gradients sum to those of the batch, whatever it was cut into.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Tally:
    """A mean, and of how many."""

    mean: float
    count: float


@dataclass(frozen=True, kw_only=True)
class PartReport:
    """The weighted loss of one part of a batch (a scalar tensor with its graph), and numbers to log with it."""

    loss: Tensor
    metrics: Mapping[str, Tally]


class StepBatch(Protocol):
    """The sequences of one step, on the CPU."""

    @property
    def num_sequences(self) -> int:
        """How many sequences there are."""

    @property
    def num_tokens(self) -> int:
        """How many tokens they have."""

    def split(self, num_parts: int) -> Sequence[Self]:
        """Return the batch in parts of about equal numbers of tokens; at most one a sequence."""

    def share(self, *, index: int, num_ranks: int) -> Self:
        """Return the sequences that rank `index` computes; where there is none for it, `nothing`."""

    def nothing(self) -> Self:
        """Return one sequence with nothing to predict: what a rank without any runs beside the others."""


BatchT = TypeVar("BatchT", bound=StepBatch)


class TrainingJob(Protocol[BatchT]):
    """What the loop trains."""

    @property
    def model(self) -> nn.Module:
        """The model that is trained."""

    def batch(self, step: int, *, first_sequence: int) -> BatchT:
        """Return the batch of optimizer step `step` (from 0); the steps before took `first_sequence` sequences."""

    def counts(self, batch: BatchT) -> Mapping[str, float]:
        """Return how many each loss of `batch` is a mean over, without a forward pass."""

    def forward(self, batch: BatchT, *, counts: Mapping[str, float]) -> PartReport:
        """Run the forward pass of a part; `counts` are those of the whole batch that it is a part of."""

    def num_flops(self, batch: BatchT) -> float:
        """Return the operations that `batch` takes forward and backward, 0 where nobody counts them."""

    def sample_ids(self, step: int, *, first_sequence: int, num_sequences: int) -> Sequence[str]:
        """Return what people can find the sequences of a step's batch by, in their order; for a message."""

    def validate(self, *, num_parts: int) -> Mapping[str, float]:
        """Return held-out metrics, among them `loss`, lower being better; empty where there is nothing held out.

        Batches are cut into `num_parts`: what memory holds, as while training.
        """


def share(counts: Mapping[str, float], whole: Mapping[str, float], name: str) -> float:
    """Return the weight of a part's mean in the whole's: 1 where the part is the whole, or nothing is counted."""
    return counts[name] / whole[name] if whole[name] else 1.0


def merged(tallies: Iterable[Mapping[str, Tally]]) -> dict[str, Tally]:
    """Return the means over all parts, each weighted by how many it is of; those of a single part are left as they are.

    >>> merged([{"loss": Tally(mean=1.0, count=3)}, {"loss": Tally(mean=5.0, count=1)}])
    {'loss': Tally(mean=2.0, count=4)}
    """
    found: dict[str, Tally] = {}
    for part in tallies:
        for name, tally in part.items():
            before = found.get(name)
            if before is None:
                found[name] = tally
            elif before.count + tally.count:
                count = before.count + tally.count
                total = before.mean * before.count + tally.mean * tally.count
                found[name] = Tally(mean=total / count, count=count)
    return found

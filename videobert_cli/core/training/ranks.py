"""One model trained by several processes: each computes a share of every batch, and all end at the same weights.

A batch is the recipe's, whatever the number of ranks. Each rank's losses are weighted by what they count (masked
tokens, masked words, pairs) of what the whole batch has, so that the ranks' gradients sum to the batch's: a mean of the
ranks' means would weight a masked word by the rank that it fell to.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from videobert_cli.core.model.checkpoint import PretrainedModel
from videobert_cli.core.model.encoder import Layer
from videobert_cli.core.training.job import BatchT, Tally, merged
from videobert_cli.core.training.sharded import gathered
from videobert_cli.ranks import Ranks
from videobert_cli.runtime import StopRequest

Found = TypeVar("Found")
ModelT = TypeVar("ModelT", bound=PretrainedModel)
Sharding = Literal["none", "full"]


class TrainingRanks:
    """The processes that train one model together; by itself, one process that trains alone."""

    def __init__(self, ranks: Ranks | None = None, *, sharding: Sharding = "none") -> None:
        """Args:
        ranks: The processes; None for this one alone.
        sharding: `none`: each has the whole model (DistributedDataParallel); `full`: each has its part of every
            weight, gradient and moment (FSDP2).
        """
        self.all = ranks or Ranks()
        self._sharding = sharding
        self._wrapped: Any = None
        self._model_class: Any = None
        self._names: list[str] = []

    @property
    def num(self) -> int:
        """How many processes there are."""
        return self.all.num

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes and tells."""
        return self.all.is_first

    def parallel(self, model: nn.Module) -> nn.Module:
        """Return what to call in the model's place while training; it gives its gradients to all ranks.

        With `sharding: full` the model itself is changed: its parameters are then DTensors, and every rank must run it
        whenever one does. An optimizer is to be made after this.
        """
        if self.num == 1:
            return model
        if self._sharding == "full":
            # FSDP2 puts a class of its own in its place.
            self._model_class = type(model)
            _shard(model)
            return model
        from torch.nn.parallel import DistributedDataParallel

        wrapped = DistributedDataParallel(model, gradient_as_bucket_view=True)
        self._wrapped = wrapped
        return wrapped

    def whole(self, model: ModelT) -> ModelT:
        """Return the model with all its weights, in evaluation mode; all ranks must ask.

        A model in parts is copied to the CPU.
        """
        if self.num == 1 or self._sharding == "none":
            return model
        weights = gathered(model.state_dict().items(), is_kept=True)
        copy: ModelT = self._model_class(model.config, seed=None)
        copy.load_state_dict(weights, assign=True)
        return copy.eval()

    # --- one step ------------------------------------------------------------------------------------------------

    def seed_parts(self) -> tuple[int, ...]:
        """Return what a seed of this rank's own randomness has beside the step; rank 0 draws what a lone one draws."""
        return () if self.is_first else (self.all.index,)

    def own(self, batch: BatchT) -> BatchT:
        """Return what this rank computes of a batch: whole sequences, about as many tokens as the others."""
        if self.num == 1:
            return batch
        return batch.share(index=self.all.index, num_ranks=self.num)

    def parts(self, batch: BatchT, *, num_parts: int) -> Sequence[BatchT]:
        """Return this rank's share of a batch that is cut into `num_parts` in all, equally many on each rank."""
        if self.num == 1:
            return batch.split(num_parts) if num_parts > 1 else (batch,)
        own, num_own = self.own(batch), -(-num_parts // self.num)
        parts = list(own.split(num_own))
        return parts + [own.nothing()] * (num_own - len(parts))

    def forwards(self, parts: Sequence[BatchT]) -> Iterator[tuple[BatchT, AbstractContextManager[object]]]:
        """Yield each part with the context for its forward and backward pass: gradients are exchanged in the last."""
        for number, part in enumerate(parts, start=1):
            is_alone = self._wrapped is None or number == len(parts)
            yield part, nullcontext() if is_alone else self._wrapped.no_sync()

    def scaled(self, loss: Tensor) -> Tensor:
        """Return a share's loss as it is differentiated: gradients of ranks are averaged, and should be summed."""
        return loss if self.num == 1 else loss * self.num

    def summed(self, loss: float, tallies: Sequence[Mapping[str, Tally]]) -> tuple[float, dict[str, Tally]]:
        """Return the loss of all shares together, and the means over them."""
        own = merged(tallies)
        if self.num == 1:
            return loss, own
        while True:
            # One sum of a few numbers: to gather objects took five times as long, 1 ms.
            totals = self.all.sum(self._numbers(loss, own)).tolist()
            if not totals[1]:
                break
            # A metric that some rank has for the first time.
            self._names = sorted({*self._names}.union(*self.all.gather([*own])))
        found = zip(self._names, totals[2::2], totals[3::2], strict=True)
        return totals[0], {
            name: Tally(mean=total / count, count=count) for name, total, count in found if count
        }

    def _numbers(self, loss: float, tallies: Mapping[str, Tally]) -> Tensor:
        """Return the loss, how many metrics have no place yet, and for each that has one its total and its count."""
        numbers = [loss, float(len(tallies.keys() - {*self._names}))]
        for name in self._names:
            tally = tallies.get(name, Tally(mean=0.0, count=0))
            numbers += [tally.mean * tally.count, tally.count]
        return torch.tensor(numbers, dtype=torch.float64)

    def said(self, find: Callable[[], Found]) -> Found:
        """Return what rank 0 finds: on a disk that is shared the others might see it a moment later."""
        return self.all.say(find() if self.is_first else None)  # type: ignore[no-any-return]

    def of_all(self, found: list[Found]) -> list[Found]:
        """Return what all ranks have found, one after another; meant for little."""
        return found if self.num == 1 else [each for part in self.all.gather(found) for each in part]

    def agree_to_stop(self, stop: StopRequest) -> bool:
        """Return whether any rank was asked to stop; then all of them are."""
        if self.num > 1:
            stop.take(int(self.all.largest(torch.tensor(stop.code))))
        return stop.requested


ALONE = TrainingRanks()


def _shard(model: nn.Module) -> None:
    """Cut every weight into as many parts as there are ranks, to be put together layer by layer when it is needed."""
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    device = next(model.parameters()).device
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    for module in model.modules():
        if isinstance(module, Layer):
            fully_shard(module, mesh=mesh)
    fully_shard(model, mesh=mesh)

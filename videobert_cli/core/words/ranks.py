"""The processes that fit one codebook together, each on its share of the rows.

Every sum that is taken over them is one of whole numbers (in float64, of multiples of one power of two), so how many
there are never changes a bit of it.
"""

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from videobert_cli.core.words.rows import TILE_NUM_ROWS
from videobert_cli.runtime import launched_rank

if TYPE_CHECKING:
    import torch

# Rank 0 may have hours of work before the others are needed.
_PATIENCE = timedelta(days=7)


class Ranks:
    """One process alone: nothing is exchanged."""

    index = 0
    num = 1

    def share(self, num_rows: int) -> tuple[int, int]:
        """Return first and last row of this process's share: whole tiles, consecutive."""
        num_tiles = -(-num_rows // TILE_NUM_ROWS)
        first, last = (num_tiles * part // self.num * TILE_NUM_ROWS for part in (self.index, self.index + 1))
        return min(first, num_rows), min(last, num_rows)

    def sum(self, tensor: "torch.Tensor") -> "torch.Tensor":
        """Return the sum over the processes; the tensor may be written on."""
        return tensor

    def largest(self, tensor: "torch.Tensor") -> "torch.Tensor":
        """Return the largest of each value over the processes; the tensor may be written on."""
        return tensor

    def gather(self, value: Any) -> list[Any]:
        """Return the value of each process, in their order; meant for little."""
        return [value]

    def rows(self, rows_ND: "torch.Tensor") -> "torch.Tensor":
        """Return the rows of all processes, one after another."""
        return rows_ND

    def say(self, value: Any) -> Any:
        """Return what process 0 gives."""
        return value


class LaunchedRanks(Ranks):
    """The processes that `torchrun` started (gloo, and NCCL between GPUs)."""

    def __init__(self, *, index: int, num: int) -> None:
        self.index = index
        self.num = num

    def sum(self, tensor: "torch.Tensor") -> "torch.Tensor":
        """Return the sum over the processes; the tensor is written on."""
        import torch.distributed as dist

        dist.all_reduce(tensor)
        return tensor

    def largest(self, tensor: "torch.Tensor") -> "torch.Tensor":
        """Return the largest of each value over the processes; the tensor is written on."""
        import torch.distributed as dist

        dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
        return tensor

    def gather(self, value: Any) -> list[Any]:
        """Return the value of each process, in their order."""
        import torch.distributed as dist

        found: list[Any] = [None] * self.num
        dist.all_gather_object(found, value)
        return found

    def rows(self, rows_ND: "torch.Tensor") -> "torch.Tensor":
        """Return the rows of all processes, one after another."""
        import torch
        import torch.distributed as dist

        counts = self.gather(len(rows_ND))
        padded_ND = rows_ND.new_zeros(max(counts), *rows_ND.shape[1:])
        padded_ND[: len(rows_ND)] = rows_ND
        found = [torch.empty_like(padded_ND) for _ in counts]
        dist.all_gather(found, padded_ND)
        return torch.cat([rows_ND[:count] for rows_ND, count in zip(found, counts, strict=True)])

    def say(self, value: Any) -> Any:
        """Return what process 0 gives."""
        import torch.distributed as dist

        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]


@contextlib.contextmanager
def launched_ranks() -> Iterator[Ranks]:
    """Yield the processes that `torchrun` started, connected; this one alone where it started none or one."""
    rank = launched_rank()
    if rank is None or rank.num_ranks == 1:
        yield Ranks()
        return
    import torch
    import torch.distributed as dist

    if torch.cuda.is_available():
        torch.cuda.set_device(rank.local_index % torch.cuda.device_count())
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield LaunchedRanks(index=rank.index, num=rank.num_ranks)
    finally:
        dist.destroy_process_group()


def connected_ranks() -> Ranks:
    """Return the processes that `launched_ranks` has connected, this one alone where there are no others."""
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized()):
        return Ranks()
    return LaunchedRanks(index=dist.get_rank(), num=dist.get_world_size())

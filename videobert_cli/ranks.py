"""The processes that `torchrun` started to do one thing together: what they exchange, and how they end.

`torch` is imported inside the functions, so that a command that runs alone does not load its distributed part.
"""

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from videobert_cli.errors import LostRankError, OtherRankFailedError, VideoBERTError
from videobert_cli.runtime import launched_rank

if TYPE_CHECKING:
    import torch
    from torch.distributed import ProcessGroup

# Rank 0 may have hours of work before the others are needed.
_PATIENCE = timedelta(days=7)
_FAILED, _DEVICE = "videobert/failed", "videobert/device"
# torchrun ends all once one has ended: those that have nothing to tell let the one that has speak first.
_SECONDS_TO_TELL = 2.0


class Ranks:
    """One process alone: nothing is exchanged."""

    index = 0
    num = 1

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, the only one that writes and tells."""
        return self.index == 0

    def share(self, num_rows: int, *, unit: int = 1) -> tuple[int, int]:
        """Return first and last row of this process's share: whole units of rows, consecutive."""
        num_units = -(-num_rows // unit)
        first, last = (num_units * part // self.num * unit for part in (self.index, self.index + 1))
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

    def apart(self) -> "Ranks":
        """Return the same processes with a line of their own, between CPUs; all of them must ask for it."""
        return self


class LaunchedRanks(Ranks):
    """The processes that `torchrun` started (gloo, and NCCL between GPUs)."""

    def __init__(self, *, index: int, num: int, group: "ProcessGroup | None" = None) -> None:
        self.index = index
        self.num = num
        self._group = group

    def sum(self, tensor: "torch.Tensor") -> "torch.Tensor":
        """Return the sum over the processes; the tensor is written on."""
        import torch.distributed as dist

        dist.all_reduce(tensor, group=self._group)
        return tensor

    def largest(self, tensor: "torch.Tensor") -> "torch.Tensor":
        """Return the largest of each value over the processes; the tensor is written on."""
        import torch.distributed as dist

        dist.all_reduce(tensor, op=dist.ReduceOp.MAX, group=self._group)
        return tensor

    def gather(self, value: Any) -> list[Any]:
        """Return the value of each process, in their order."""
        import torch.distributed as dist

        found: list[Any] = [None] * self.num
        dist.all_gather_object(found, value, group=self._group)
        return found

    def rows(self, rows_ND: "torch.Tensor") -> "torch.Tensor":
        """Return the rows of all processes, one after another."""
        import torch
        import torch.distributed as dist

        counts = self.gather(len(rows_ND))
        padded_ND = rows_ND.new_zeros(max(counts), *rows_ND.shape[1:])
        padded_ND[: len(rows_ND)] = rows_ND
        found = [torch.empty_like(padded_ND) for _ in counts]
        dist.all_gather(found, padded_ND, group=self._group)
        return torch.cat([rows_ND[:count] for rows_ND, count in zip(found, counts, strict=True)])

    def say(self, value: Any) -> Any:
        """Return what process 0 gives."""
        import torch.distributed as dist

        box = [value]
        dist.broadcast_object_list(box, src=0, group=self._group)
        return box[0]

    def apart(self) -> "Ranks":
        """Return the same processes with a line of their own, on CPUs; all of them must ask for it."""
        import torch.distributed as dist

        group = dist.new_group(backend="gloo", timeout=_PATIENCE)
        return LaunchedRanks(index=self.index, num=self.num, group=group)


@contextlib.contextmanager
def launched_ranks() -> Iterator[Ranks]:
    """Yield the processes that `torchrun` started, connected; this one alone where it started none or one.

    Where one of them fails, all end: whichever failed first raises its error, the others a sign that they need say
    nothing. They notice by the broken connection, or are ended by torchrun.

    Raises:
        OtherRankFailedError: Another process failed before this one.
        LostRankError: Another process is gone without an error of its own.
    """
    rank = launched_rank()
    if rank is None or rank.num_ranks == 1:
        yield Ranks()
        return
    import torch.distributed as dist

    store = _connect()
    try:
        yield LaunchedRanks(index=rank.index, num=rank.num_ranks)
    except BaseException as error:
        # The group is left as it is: taking it down would wait for those that are still at work.
        if _fails_first(store, index=rank.index):
            if _is_broken_line(error):
                raise _lost(rank.index) from error
            raise
        time.sleep(_SECONDS_TO_TELL)
        code = error.exit_code if isinstance(error, VideoBERTError) else 1
        raise OtherRankFailedError(ends_with=code) from error
    dist.destroy_process_group()


def connected_ranks() -> Ranks:
    """Return the processes that `launched_ranks` has connected, this one alone where there are no others."""
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized()):
        return Ranks()
    return LaunchedRanks(index=dist.get_rank(), num=dist.get_world_size())


def _connect() -> Any:
    """Connect this process with the others and return where they find each other."""
    import torch
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    store, index, num = next(iter(rendezvous("env://", timeout=_PATIENCE)))
    num_devices = torch.cuda.device_count()
    device = int(os.environ["LOCAL_RANK"]) % num_devices if num_devices else None
    if device is not None:
        torch.cuda.set_device(device)
    store.set(f"{_DEVICE}/{index}", _device_id(device))
    devices = [store.get(f"{_DEVICE}/{other}").decode() for other in range(num)]
    # NCCL refuses two processes on one GPU; gloo takes them, by way of the host's memory.
    has_nccl = "" not in devices and len({*devices}) == num and dist.is_nccl_available()
    backend = "cpu:gloo,cuda:nccl" if has_nccl else "gloo"
    dist.init_process_group(backend, store=store, rank=index, world_size=num, timeout=_PATIENCE)
    return store


def _device_id(device: int | None) -> str:
    """Return which GPU of all machines this is; "" for none."""
    import torch

    return "" if device is None else f"{socket.gethostname()} {torch.cuda.get_device_properties(device).uuid}"


def _is_broken_line(error: BaseException) -> bool:
    """Return whether this is how gloo or NCCL say that another process does not answer any more."""
    import torch.distributed as dist

    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))


def _lost(index: int) -> LostRankError:
    return LostRankError(
        "another rank of this torchrun is gone and has told nothing: it was killed, as it is where memory runs out, or "
        "its machine is lost",
        at=f"rank {index}, which waited for it",
        fix="run the same command again to go on where it was saved last, with any number of ranks",
    )


def _fails_first(store: Any, *, index: int) -> bool:
    """Return whether no other process has failed before this one; where nobody can be asked, one has."""
    try:
        return bool(store.compare_set(_FAILED, "", str(index)).decode() == str(index))
    except RuntimeError:
        return False

"""Tensors of which each rank holds a part (FSDP2's DTensors): put together to be saved, cut to be loaded."""

from collections.abc import Iterable

import torch
from torch import Tensor

# torch has DTensors only where it is built with its distributed part.
_HAS_PARTS = torch.distributed.is_available()


def is_in_parts(tensor: Tensor) -> bool:
    """Return whether each rank holds a part of this tensor."""
    if not _HAS_PARTS:
        return False
    from torch.distributed.tensor import DTensor

    return isinstance(tensor, DTensor)


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor with all its parts, on its device; every rank must ask for the same ones in the same order."""
    full: Tensor = tensor.full_tensor() if is_in_parts(tensor) else tensor  # type: ignore[attr-defined]
    return full


def gathered(tensors: Iterable[tuple[str, Tensor]], *, is_kept: bool) -> dict[str, Tensor]:
    """Return named tensors with all their parts, those in parts in the CPU's memory, one after another.

    Every rank must ask; one that does not keep them takes part and gets none.
    """
    found = {}
    for name, tensor in tensors:
        detached = tensor.detach()
        full = whole(detached)
        if is_kept:
            found[name] = (full if full is detached else full.cpu()).contiguous()
    return found


def like(value: Tensor, other: Tensor) -> Tensor:
    """Return a whole tensor, the same on each rank, on the device and in the parts of `other`."""
    placed = value.to(other.device)
    if not is_in_parts(other):
        return placed
    from torch.distributed.tensor import distribute_tensor

    mesh, placements = other.device_mesh, other.placements  # type: ignore[attr-defined]
    return distribute_tensor(placed, mesh, placements, src_data_rank=None)

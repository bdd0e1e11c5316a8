"""Points cut into tiles of one node each, so that a product of matrices serves many points of many small nodes."""

from dataclasses import dataclass

import torch

# Shapes: M points picked of a block, S slots (points in tiles), G tiles.

# By how many points a node has, more or less: tiles larger than it would be mostly gaps, smaller ones slow products.
# A GPU's smallest product has 16 rows.
_SIZES = {"cpu": ((32, 8), (512, 32)), "cuda": ((64, 16), (512, 32))}
_LARGEST = {"cpu": 256, "cuda": 128}
_LEAST_IN_PLACE = 64


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """Points sorted by parent and cut into tiles of one parent each; `points_S` may name a point that fills a gap.

    Attributes:
        points_S: Which point of the block each slot holds.
        parents_G: The node of each tile.
        counts_G: How many of its slots are no gap; gaps come last.
        slots_M: The slot of each point, in the order of `order_M`.
        order_M: The points sorted by parent.
        num_slots: Slots of a tile.
        is_together: Whether the points of each tile follow each other in the block.
    """

    points_S: torch.Tensor
    parents_G: torch.Tensor
    counts_G: torch.Tensor
    slots_M: torch.Tensor
    order_M: torch.Tensor
    num_slots: int
    is_together: bool


def cut_into_tiles(parents_M: torch.Tensor, *, picked_M: torch.Tensor | None) -> Tiles:
    """Return tiles of a block's points, at least one: those picked (all where None), of which these are the parents."""
    device, num = parents_M.device, len(parents_M)
    if bool((parents_M[1:] >= parents_M[:-1]).all()):
        # As points in memory are: they are kept sorted by node.
        order_M, sorted_M = torch.arange(num, device=device), parents_M
    else:
        sorted_M, order_M = torch.sort(parents_M, stable=True)
    present_G, counts = torch.unique_consecutive(sorted_M, return_counts=True)
    sources_M = order_M if picked_M is None else picked_M[order_M]
    borders = counts.cumsum(0)[:-1] - 1
    is_next = sources_M[1:] - sources_M[:-1] == 1
    is_next[borders] = True
    is_together = bool(is_next.all())
    size = _tile_num_slots(num // len(present_G), device=device.type, is_together=is_together)
    num_tiles = -(-counts // size)
    num_of_all = int(num_tiles.sum())
    first_slots = (num_tiles.cumsum(0) - num_tiles) * size
    starts = counts.cumsum(0) - counts
    slots_M = torch.arange(num, device=device) + torch.repeat_interleave(first_slots - starts, counts)
    counts_G = torch.full((num_of_all,), size, device=device)
    counts_G[num_tiles.cumsum(0) - 1] = counts - (num_tiles - 1) * size
    points_S = sources_M[:1].repeat(num_of_all * size)
    points_S[slots_M] = sources_M
    return Tiles(
        points_S=points_S,
        parents_G=torch.repeat_interleave(present_G, num_tiles),
        counts_G=counts_G,
        slots_M=slots_M,
        order_M=order_M,
        num_slots=size,
        is_together=is_together,
    )


def _tile_num_slots(typical: int, *, device: str, is_together: bool) -> int:
    """Return the slots of a tile for nodes of so many points.

    >>> [_tile_num_slots(typical, device="cpu", is_together=False) for typical in (10, 100, 1000)]
    [8, 32, 256]
    """
    largest = _LARGEST.get(device, 256)
    if is_together and device == "cpu":
        # Nothing is copied into gaps there.
        return _LEAST_IN_PLACE if typical < 2 * _LEAST_IN_PLACE else largest
    sizes = _SIZES.get(device, _SIZES["cpu"])
    return next((size for below, size in sizes if typical < below), largest)

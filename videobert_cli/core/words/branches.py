"""The children of all nodes of one level, and which of them a point is nearest to; the same at fit and at use.

Which child a point goes to does not depend on the size of the batch, the number of threads or the device:
products in float32 decide where they can; where two children are nearer to each other than the rounding,
float64 does.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch

from videobert_cli.core.words.tiles import Tiles, cut_into_tiles

# Shapes: N points, M of them picked, D feature after the projection, R nodes of a level in use, U those of them that
# change, P nodes of the level above in use, K most children of one node, S slots (points in tiles), G tiles, T slots
# of a tile, A ambiguous points.

# Share of the terms of a score below which a difference of two scores is rounding. Products of lower
# precision than float32 (TF32, bfloat16), which a caller may have allowed, round a thousand times coarser.
_ROUNDING = {"highest": 1e-5}
_COARSE_ROUNDING = 1e-2
_EXACT_BLOCK_ELEMENTS = 1 << 22
# Nodes with more children are bound by arithmetic, and a library's product serves them better than the kernel.
_MOST_IN_KERNEL = 64
# A CPU multiplies what fits in its cache; a GPU wants large products.
_CHUNK_ELEMENTS = {"cpu": 1 << 21, "cuda": 1 << 26}
_CACHED_ELEMENTS = 1 << 18
# A CPU multiplies by 16 rows, four of them zeros, in three quarters of the time that it takes by 12.
_VECTOR_ROWS = 16
# A GPU waits for each launch; what is made of these slots is a few hundred MB.
_NUM_SLOTS = {"cpu": 1 << 16, "cuda": 1 << 22}


class Branches:
    """Children of nodes: row r of `centroids_RD` is one of its parent's children, which are consecutive.

    Args:
        centroids_RD: The children, float32.
        num_children_P: How many each node has, at least one.
        parents_PD: The nodes' own centroids, float32.
    """

    def __init__(
        self, centroids_RD: torch.Tensor, *, num_children_P: torch.Tensor, parents_PD: torch.Tensor
    ) -> None:
        device = centroids_RD.device
        self.centroids_RD = centroids_RD
        self.parents_PD = parents_PD
        self.num_children_P = num_children_P.to(device)
        self.first_P = self.num_children_P.cumsum(0) - self.num_children_P
        self.parent_R = torch.repeat_interleave(self.num_children_P)
        self._most = max(2, int(num_children_P.max()))
        num_parents = len(parents_PD)
        self._child_R = torch.arange(len(centroids_RD), device=device) - self.first_P[self.parent_R]
        # What tells the children of one node apart: float32 then spends its digits on that.
        num_rows = -(-self._most // _VECTOR_ROWS) * _VECTOR_ROWS if device.type == "cpu" else self._most
        self._relative_PKD = torch.zeros(num_parents, num_rows, centroids_RD.shape[1], device=device)
        self._offsets_PK = torch.full((num_parents, self._most), torch.inf, device=device)
        self._lengths_PK = torch.zeros(num_parents, self._most, device=device)
        self._reaches_PK = torch.zeros(num_parents, self._most, device=device)
        self._refresh(torch.arange(len(centroids_RD), device=device))

    def move(self, rows_U: torch.Tensor, *, centroids_UD: torch.Tensor) -> None:
        """Put children elsewhere."""
        self.centroids_RD[rows_U] = centroids_UD
        self._refresh(rows_U)

    def nearest(
        self,
        points_ND: torch.Tensor,
        parents_M: torch.Tensor,
        *,
        lengths_N: torch.Tensor,
        picked_M: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return for each point picked (all where None), at its parent (M,), the row of its nearest child (M,).

        `lengths_N` are the Euclidean lengths of the points, which tell how far products in float32 can be trusted.
        """
        reached_M = torch.empty_like(parents_M)
        if len(parents_M) == 0:
            return reached_M
        tiles = cut_into_tiles(parents_M, picked_M=picked_M)
        num_tiles = max(1, _NUM_SLOTS.get(parents_M.device.type, 1 << 16) // tiles.num_slots)
        children_S = torch.empty_like(tiles.points_S)
        for start in range(0, len(tiles.parents_G), num_tiles):
            part = slice(start, start + num_tiles)
            slots = slice(start * tiles.num_slots, (start + num_tiles) * tiles.num_slots)
            lengths_S = lengths_N[tiles.points_S[slots]]
            children_S[slots] = self._decided(points_ND, tiles, part=part, slots=slots, lengths_S=lengths_S)
        found_M = children_S[tiles.slots_M]
        reached_M[tiles.order_M] = self.first_P[parents_M[tiles.order_M]] + found_M
        return reached_M

    # --- details ----------------------------------------------------------------------------------------------------

    def _refresh(self, rows_U: torch.Tensor) -> None:
        block = max(1, _CACHED_ELEMENTS // self.centroids_RD.shape[1])
        for part_U in torch.split(rows_U, block):
            parents_U, children_U = self.parent_R[part_U], self._child_R[part_U]
            centroids_UD, above_UD = self.centroids_RD[part_U].double(), self.parents_PD[parents_U].double()
            relative_UD = centroids_UD - above_UD
            # A point's squared distance to the child, less that to the parent, is this less twice its product with
            # the relative centroid.
            offsets_U = torch.linalg.vecdot(relative_UD, centroids_UD + above_UD)
            lengths = [
                torch.linalg.vector_norm(found, dim=1) for found in (relative_UD, centroids_UD, above_UD)
            ]
            self._relative_PKD[parents_U, children_U] = relative_UD.float()
            self._offsets_PK[parents_U, children_U] = offsets_U.float()
            self._lengths_PK[parents_U, children_U] = lengths[0].float()
            self._reaches_PK[parents_U, children_U] = (lengths[1] + lengths[2]).float()

    def _decided(
        self,
        points_ND: torch.Tensor,
        tiles: Tiles,
        *,
        part: slice,
        slots: slice,
        lengths_S: torch.Tensor,
    ) -> torch.Tensor:
        """Return the child (S,) of the lowest score, decided anew in float64 where the two lowest are too close."""
        parents_G, points_S = tiles.parents_G[part], tiles.points_S[slots]
        lowest_GT, second_GT, child_GT = self._two_lowest(points_ND, tiles, part=part, slots=slots)
        largest_G1 = self._lengths_PK.amax(dim=1)[parents_G, None]
        reach_G1 = self._reaches_PK.amax(dim=1)[parents_G, None]
        terms_GT = largest_G1 * (2 * lengths_S.view_as(lowest_GT) + reach_G1)
        rounding = _ROUNDING.get(torch.get_float32_matmul_precision(), _COARSE_ROUNDING)
        child_S = child_GT.reshape(-1)
        ambiguous_A = torch.nonzero((second_GT - lowest_GT <= rounding * terms_GT).reshape(-1)).flatten()
        if len(ambiguous_A):
            parents_A = parents_G[ambiguous_A // tiles.num_slots]
            child_S[ambiguous_A] = self._exact(points_ND, points_S[ambiguous_A], parents_A)
        return child_S

    def _two_lowest(
        self, points_ND: torch.Tensor, tiles: Tiles, *, part: slice, slots: slice
    ) -> "_TwoLowest":
        """Return each point's lowest score, the second lowest and whose the lowest is (G, T)."""
        kernel = _kernel() if points_ND.is_cuda and self._most <= _MOST_IN_KERNEL else None
        if kernel is not None:
            found = kernel(
                points_ND,
                points_S=tiles.points_S[slots],
                parents_G=tiles.parents_G[part],
                relative_PKD=self._relative_PKD,
                offsets_PK=self._offsets_PK,
            )
            return _TwoLowest(*found)
        products_GKT = self._products(points_ND, tiles, part=part, slots=slots)
        offsets_GK1 = self._offsets_PK[tiles.parents_G[part], :, None]
        scores_GKT = points_ND.new_empty(products_GKT.shape)
        return two_lowest(torch.add(offsets_GK1, products_GKT, alpha=-2, out=scores_GKT))

    def _products(self, points_ND: torch.Tensor, tiles: Tiles, *, part: slice, slots: slice) -> torch.Tensor:
        """Return each point's products (G, K, T) with its node's children."""
        parents_G, points_S, tile = tiles.parents_G[part], tiles.points_S[slots], tiles.num_slots
        dim = points_ND.shape[1]
        if tiles.is_together and points_ND.device.type == "cpu":
            return self._products_in_place(points_ND, tiles, part=part, slots=slots)
        products_GKT = points_ND.new_empty(len(parents_G), self._most, tile)
        step = max(1, _CHUNK_ELEMENTS.get(points_ND.device.type, 1 << 21) // (dim * tile))
        for start in range(0, len(parents_G), step):
            stop = min(start + step, len(parents_G))
            chunk = slice(start * tile, stop * tile)
            local_SD = points_ND.index_select(0, points_S[chunk])
            relative_GKD = self._relative_PKD.index_select(0, parents_G[start:stop])[:, : self._most]
            torch.bmm(
                relative_GKD, local_SD.view(-1, tile, dim).transpose(1, 2), out=products_GKT[start:stop]
            )
        return products_GKT

    def _products_in_place(
        self, points_ND: torch.Tensor, tiles: Tiles, *, part: slice, slots: slice
    ) -> torch.Tensor:
        """Return what `_products` does where the points of each tile lie together; a gap has products of 0."""
        parents_G, tile = tiles.parents_G[part], tiles.num_slots
        products_GTK = points_ND.new_zeros(len(parents_G), tile, self._relative_PKD.shape[1])
        firsts = tiles.points_S[slots][::tile].tolist()
        for products_TK, parent, first, count in zip(
            products_GTK, parents_G.tolist(), firsts, tiles.counts_G[part].tolist(), strict=True
        ):
            local_TD = points_ND[first : first + count]
            torch.mm(local_TD, self._relative_PKD[parent].T, out=products_TK[:count])
        return products_GTK[:, :, : self._most].transpose(1, 2)

    def _exact(
        self, points_ND: torch.Tensor, points_A: torch.Tensor, parents_A: torch.Tensor
    ) -> torch.Tensor:
        """Return the child of the lowest distance by differences in float64; of equal ones the first."""
        found = []
        children_K = torch.arange(self._most, device=points_A.device)
        block = max(1, _EXACT_BLOCK_ELEMENTS // (self._most * points_ND.shape[1]))
        for points_B, parents_B in zip(
            torch.split(points_A, block), torch.split(parents_A, block), strict=True
        ):
            is_there_BK = children_K < self.num_children_P[parents_B, None]
            rows_BK = torch.where(is_there_BK, self.first_P[parents_B, None] + children_K, 0)
            differences_BKD = self.centroids_RD[rows_BK].double().sub_(points_ND[points_B].double()[:, None])
            distances_BK = differences_BKD.square_().sum(dim=2)
            found.append(distances_BK.masked_fill_(~is_there_BK, torch.inf).argmin(dim=1))
        return torch.cat(found)


class _TwoLowest(NamedTuple):
    lowest_GT: torch.Tensor
    second_GT: torch.Tensor
    child_GT: torch.Tensor


def two_lowest(scores_GKT: torch.Tensor) -> _TwoLowest:
    """Return the lowest score, the second lowest, and whose the lowest is, the first of equals, by whole vectors."""
    lowest_GT = scores_GKT[:, 0].clone()
    second_GT = torch.full_like(lowest_GT, torch.inf)
    child_GT = torch.zeros_like(lowest_GT, dtype=torch.int64)
    for child in range(1, scores_GKT.shape[1]):
        score_GT = scores_GKT[:, child]
        child_GT.masked_fill_(score_GT < lowest_GT, child)
        second_GT = torch.minimum(second_GT, torch.maximum(lowest_GT, score_GT))
        lowest_GT = torch.minimum(lowest_GT, score_GT)
    return _TwoLowest(lowest_GT, second_GT, child_GT)


@cache
def _kernel() -> Callable[..., tuple[torch.Tensor, torch.Tensor, torch.Tensor]] | None:
    """Return the kernel for CUDA; None where Triton, which comes with torch for CUDA, is not installed."""
    try:
        from videobert_cli.core.words.child_kernel import two_lowest_scores
    except ImportError:
        return None
    return two_lowest_scores

"""The children of all nodes of one level, and which of them a point is nearest to; the same at fit and at use.

Which child a point goes to does not depend on the size of the batch, the number of threads or the device:
products in float32 decide where they can; where two children are nearer to each other than the rounding,
float64 does.
"""

from dataclasses import dataclass

import torch

# Shapes: N points, M of them picked, D feature after the projection, R nodes of a level in use, U those of them that
# change, P nodes of the level above in use, K most children of one node, S slots (points in tiles), G tiles, T slots
# of a tile, A ambiguous points.

# Share of the terms of a score below which a difference of two scores is rounding. Products of lower
# precision than float32 (TF32, bfloat16), which a caller may have allowed, round a thousand times coarser.
_ROUNDING = {"highest": 1e-5}
_COARSE_ROUNDING = 1e-2
_EXACT_BLOCK_ELEMENTS = 1 << 22
# A CPU multiplies what fits in its cache; a GPU wants large products.
_CHUNK_ELEMENTS = {"cpu": 1 << 21, "cuda": 1 << 26}
_CACHED_ELEMENTS = 1 << 18
_NUM_SLOTS = 1 << 16


@dataclass(frozen=True, kw_only=True)
class _Tiles:
    """Points sorted by parent and cut into tiles of one parent each; `points_S` may name a point that fills a gap."""

    points_S: torch.Tensor
    parents_G: torch.Tensor
    slots_M: torch.Tensor
    order_M: torch.Tensor
    tile_num_slots: int
    counts_G: torch.Tensor
    is_together: bool


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
        self._relative_PKD = torch.zeros(num_parents, self._most, centroids_RD.shape[1], device=device)
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
        tiles = self._tiles(parents_M, picked_M)
        num_tiles = max(1, _NUM_SLOTS // tiles.tile_num_slots)
        children_S = torch.empty_like(tiles.points_S)
        for start in range(0, len(tiles.parents_G), num_tiles):
            part = slice(start, start + num_tiles)
            slots = slice(start * tiles.tile_num_slots, (start + num_tiles) * tiles.tile_num_slots)
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

    def _tiles(self, parents_M: torch.Tensor, picked_M: torch.Tensor | None) -> _Tiles:
        device, num = parents_M.device, len(parents_M)
        order_M = torch.argsort(parents_M, stable=True)
        present_G, counts = torch.unique_consecutive(parents_M[order_M], return_counts=True)
        sources_M = order_M if picked_M is None else picked_M[order_M]
        # Where the points of a node lie together they are multiplied in place.
        borders = counts.cumsum(0)[:-1] - 1
        is_next = sources_M[1:] - sources_M[:-1] == 1
        is_next[borders] = True
        is_together = device.type == "cpu" and bool(is_next.all())
        # Tiles as large as a typical node: larger ones would be mostly gaps, smaller ones slow products.
        typical = num // len(present_G)
        tile = 8 if typical < 32 else 32 if typical < 512 else 256
        if is_together:
            tile = max(64, tile) if typical < 128 else 256
        num_tiles = -(-counts // tile)
        first_slots = (num_tiles.cumsum(0) - num_tiles) * tile
        starts = counts.cumsum(0) - counts
        slots_M = torch.arange(num, device=device) + torch.repeat_interleave(first_slots - starts, counts)
        counts_G = torch.full((int(num_tiles.sum()),), tile, device=device)
        counts_G[num_tiles.cumsum(0) - 1] = counts - (num_tiles - 1) * tile
        points_S = sources_M[:1].repeat(int(num_tiles.sum()) * tile)
        points_S[slots_M] = sources_M
        return _Tiles(
            points_S=points_S,
            parents_G=torch.repeat_interleave(present_G, num_tiles),
            slots_M=slots_M,
            order_M=order_M,
            tile_num_slots=tile,
            counts_G=counts_G,
            is_together=is_together,
        )

    def _decided(
        self,
        points_ND: torch.Tensor,
        tiles: _Tiles,
        *,
        part: slice,
        slots: slice,
        lengths_S: torch.Tensor,
    ) -> torch.Tensor:
        """Return the child (S,) of the lowest score, decided anew in float64 where the two lowest are too close."""
        parents_G, points_S = tiles.parents_G[part], tiles.points_S[slots]
        products_GKT = self._products(points_ND, tiles, part=part, slots=slots)
        scores_GKT = products_GKT.mul_(-2).add_(self._offsets_PK[parents_G][:, :, None])
        lowest_GT, second_GT, child_GT = _two_lowest(scores_GKT)
        largest_G1 = self._lengths_PK.amax(dim=1)[parents_G, None]
        reach_G1 = self._reaches_PK.amax(dim=1)[parents_G, None]
        terms_GT = largest_G1 * (2 * lengths_S.view_as(lowest_GT) + reach_G1)
        rounding = _ROUNDING.get(torch.get_float32_matmul_precision(), _COARSE_ROUNDING)
        child_S = child_GT.reshape(-1)
        ambiguous_A = torch.nonzero((second_GT - lowest_GT <= rounding * terms_GT).reshape(-1)).flatten()
        if len(ambiguous_A):
            parents_A = parents_G[ambiguous_A // tiles.tile_num_slots]
            child_S[ambiguous_A] = self._exact(points_ND, points_S[ambiguous_A], parents_A)
        return child_S

    def _products(self, points_ND: torch.Tensor, tiles: _Tiles, *, part: slice, slots: slice) -> torch.Tensor:
        """Return each point's products (G, K, T) with its node's children."""
        parents_G, points_S, tile = tiles.parents_G[part], tiles.points_S[slots], tiles.tile_num_slots
        dim = points_ND.shape[1]
        if tiles.is_together:
            return self._products_in_place(points_ND, tiles, part=part, slots=slots)
        products_GKT = points_ND.new_empty(len(parents_G), self._most, tile)
        step = max(1, _CHUNK_ELEMENTS.get(points_ND.device.type, 1 << 21) // (dim * tile))
        for start in range(0, len(parents_G), step):
            stop = min(start + step, len(parents_G))
            chunk = slice(start * tile, stop * tile)
            local_SD = points_ND.index_select(0, points_S[chunk])
            relative_GKD = self._relative_PKD.index_select(0, parents_G[start:stop])
            torch.bmm(
                relative_GKD, local_SD.view(-1, tile, dim).transpose(1, 2), out=products_GKT[start:stop]
            )
        return products_GKT

    def _products_in_place(
        self, points_ND: torch.Tensor, tiles: _Tiles, *, part: slice, slots: slice
    ) -> torch.Tensor:
        """Return what `_products` does where the points of each tile lie together; a gap has products of 0."""
        parents_G, tile = tiles.parents_G[part], tiles.tile_num_slots
        products_GKT = points_ND.new_zeros(len(parents_G), self._most, tile)
        firsts = tiles.points_S[slots][::tile].tolist()
        for products_KT, parent, first, count in zip(
            products_GKT, parents_G.tolist(), firsts, tiles.counts_G[part].tolist(), strict=True
        ):
            local_TD = points_ND[first : first + count]
            torch.mm(self._relative_PKD[parent], local_TD.T, out=products_KT[:, :count])
        return products_GKT

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


def _two_lowest(scores_GKT: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the lowest score, the second lowest, and whose the lowest is, by whole vectors."""
    lowest_GT = scores_GKT[:, 0].clone()
    second_GT = torch.full_like(lowest_GT, torch.inf)
    child_GT = torch.zeros_like(lowest_GT, dtype=torch.int64)
    for child in range(1, scores_GKT.shape[1]):
        score_GT = scores_GKT[:, child]
        child_GT.masked_fill_(score_GT < lowest_GT, child)
        second_GT = torch.minimum(second_GT, torch.maximum(lowest_GT, score_GT))
        lowest_GT = torch.minimum(lowest_GT, score_GT)
    return lowest_GT, second_GT, child_GT

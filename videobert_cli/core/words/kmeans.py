"""Lloyd's iterations of all nodes of a level together: each pass over the points serves every node that still moves.

One code for CPU and GPU. Points lie on a grid (`projection`), so sums of them are exact, whatever their order: an
iteration only moves the points that change their child from one sum to another, and blocks, threads and ranks do not
show in the result.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from videobert_cli.core.words.branches import Branches
from videobert_cli.core.words.points import TrainingPoints
from videobert_cli.core.words.projection import EXACT_NUM_POINTS
from videobert_cli.core.words.repair import Farthest, repaired_children

# Shapes: N points of this process, B points of a block, D feature, P nodes of the level above in use, R their children,
# U children that are looked at, S sums of a few points, K children of the one node there is.

_SUM_ELEMENTS = 1 << 18


@dataclass(frozen=True, kw_only=True)
class Move:
    """What an iteration did to each node: how far its children moved at most, whether some of them have no point."""

    moves_P: torch.Tensor
    is_lacking_P: torch.Tensor


class LevelFit:
    """The children of a level's nodes and which points they have.

    Args:
        points: The points.
        nodes_N: The node of each point, a row of the level above.
        branches: The children; they are moved.

    Attributes:
        is_outdated_P: Whether a node's children have moved since the last sweep over its points, or there was none.
    """

    def __init__(self, points: TrainingPoints, *, nodes_N: torch.Tensor, branches: Branches) -> None:
        self.branches = branches
        self._points = points
        self._nodes_N = nodes_N
        num_children, dim = branches.centroids_RD.shape
        device = points.device
        self.children_N = torch.full((points.num,), -1, dtype=torch.int32, device=device)
        self._sums_RD = torch.zeros(num_children, dim, dtype=torch.float64, device=device)
        self._squares_R = torch.zeros(num_children, dtype=torch.float64, device=device)
        self._counts_R = torch.zeros(num_children, dtype=torch.int64, device=device)
        self.is_outdated_P = torch.ones(len(branches.parents_PD), dtype=torch.bool, device=device)
        self.farthest = Farthest(branches)

    def counts(self) -> torch.Tensor:
        """Return how many points of all processes each child has (R,), int64."""
        return self._points.ranks.sum(self._counts_R.clone())

    def inertias(self) -> torch.Tensor:
        """Return the sum of squared distances of each child's points to its centroid (R,), float64."""
        ranks, counts_R = self._points.ranks, self.counts()
        squares_R = ranks.sum(self._squares_R.clone())
        rows = torch.arange(len(counts_R), device=counts_R.device)
        for rows_U, sums_UD in self._sums(rows):
            centroids_UD = self.branches.centroids_RD[rows_U].double()
            of_centroids_UD = counts_R[rows_U, None] * centroids_UD - 2 * sums_UD
            squares_R[rows_U] += torch.linalg.vecdot(centroids_UD, of_centroids_UD)
        return squares_R.clamp_(min=0)

    def sweep(self, is_active_P: torch.Tensor, *, should_stop: Callable[[], None]) -> torch.Tensor:
        """Give the points of the active nodes to their nearest children; return whether each child's points changed
        (R,).

        Points of nodes that are not active keep the child they have; blocks without others are not even read.
        """
        is_changed_R = torch.zeros(len(self._counts_R), dtype=torch.bool, device=self._points.device)
        is_all = bool(is_active_P.all())
        self.farthest.clear()
        for start, stop in self._points.blocks:
            should_stop()
            nodes_B = self._nodes_N[start:stop].long()
            picked_U = None if is_all else torch.nonzero(is_active_P[nodes_B]).flatten()
            if picked_U is not None and len(picked_U) == 0:
                continue
            self._take_block(start, stop, nodes_B=nodes_B, picked_U=picked_U, is_changed_R=is_changed_R)
        self.is_outdated_P &= ~is_active_P
        return self._points.ranks.largest(is_changed_R.byte()).bool()

    def move(self, is_changed_R: torch.Tensor) -> Move:
        """Put each child whose points changed into their middle, and children without points where they are of use."""
        branches, counts_R = self.branches, self.counts()
        moves_R = torch.zeros(len(counts_R), dtype=torch.float64, device=counts_R.device)
        rows = torch.nonzero(is_changed_R & (counts_R > 0)).flatten()
        for rows_U, sums_UD in self._sums(rows):
            means_UD = (sums_UD / counts_R[rows_U, None]).float()
            before_UD = branches.centroids_RD[rows_U]
            moves_R[rows_U] = torch.linalg.vector_norm((means_UD - before_UD).double(), dim=1)
            branches.move(rows_U, centroids_UD=means_UD)
        found = self.farthest.of_all(self._points.ranks)
        repairs = repaired_children(counts_R.cpu(), parents_R=branches.parent_R.cpu(), farthest=found)
        for row, point_D in repairs.items():
            row_U = torch.tensor([row], device=counts_R.device)
            branches.move(row_U, centroids_UD=torch.from_numpy(point_D).to(counts_R.device)[None])
            moves_R[row] = torch.inf
        moves_P = torch.zeros(len(branches.parents_PD), dtype=torch.float64, device=counts_R.device)
        moves_P.scatter_reduce_(0, branches.parent_R, moves_R, "amax")
        self.is_outdated_P |= moves_P > 0
        is_lacking_P = torch.zeros_like(moves_P, dtype=torch.bool)
        is_lacking_P[branches.parent_R[counts_R == 0]] = True
        # Their farthest points are noted by the next pass. A node that had them noted and found none of use has done
        # what can be done.
        is_tried_P = self.farthest.is_wanted_P
        was_repaired_P = torch.isinf(moves_P)
        is_lacking_P &= ~is_tried_P | was_repaired_P
        self.farthest.want(is_lacking_P & ~was_repaired_P)
        return Move(moves_P=moves_P, is_lacking_P=is_lacking_P)

    # --- details ----------------------------------------------------------------------------------------------------

    def _sums(self, rows: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield children and their sums over all processes, a cache's worth at a time."""
        for rows_U in torch.split(rows, max(1, _SUM_ELEMENTS // self._sums_RD.shape[1])):
            yield rows_U, self._points.ranks.sum(self._sums_RD[rows_U])

    def _take_block(
        self,
        start: int,
        stop: int,
        *,
        nodes_B: torch.Tensor,
        picked_U: torch.Tensor | None,
        is_changed_R: torch.Tensor,
    ) -> None:
        points_BD = self._points.read(start, stop)
        squares_B = self._points.squares_N[start:stop]
        nodes_U = nodes_B if picked_U is None else nodes_B[picked_U]
        reached_U = self.branches.nearest(
            points_BD, nodes_U, lengths_N=squares_B.sqrt().float(), picked_M=picked_U
        )
        children_B = self.children_N[start:stop]
        before_U = (children_B if picked_U is None else children_B[picked_U]).long()
        rows_B = torch.arange(stop - start, device=points_BD.device) if picked_U is None else picked_U
        is_other_U = before_U != reached_U
        changed = rows_B[is_other_U]
        self._add(points_BD, changed, children=reached_U[is_other_U], squares_B=squares_B, sign=1)
        had_one_U = is_other_U & (before_U >= 0)
        self._add(points_BD, rows_B[had_one_U], children=before_U[had_one_U], squares_B=squares_B, sign=-1)
        children_B[changed] = reached_U[is_other_U].int()
        is_changed_R[reached_U[is_other_U]] = True
        is_changed_R[before_U[had_one_U]] = True
        rows_of_all_B = self._points.rows_of_all(start, stop)
        self.farthest.note(points_BD, rows_B, children=reached_U, nodes=nodes_U, rows_of_all_B=rows_of_all_B)

    def _add(
        self,
        points_BD: torch.Tensor,
        rows: torch.Tensor,
        *,
        children: torch.Tensor,
        squares_B: torch.Tensor,
        sign: int,
    ) -> None:
        """Add some of the points to the sums of their children, or take them away; every step is exact."""
        if len(rows) == 0:
            return
        self._counts_R.index_add_(0, children, torch.full_like(children, sign))
        self._squares_R.index_add_(0, children, squares_B[rows], alpha=sign)
        order = torch.argsort(children, stable=True)
        rows, children = rows[order], children[order]
        _, runs = torch.unique_consecutive(children, return_counts=True)
        position = torch.arange(len(rows), device=rows.device)
        in_run = position - torch.repeat_interleave(runs.cumsum(0) - runs, runs)
        starts_S = torch.nonzero(in_run % EXACT_NUM_POINTS == 0).flatten()
        block = max(1, _SUM_ELEMENTS // points_BD.shape[1])
        ends_S = torch.cat([starts_S[1:], starts_S.new_tensor([len(rows)])])
        for part_S in torch.split(torch.arange(len(starts_S), device=rows.device), block):
            first, last = int(starts_S[part_S[0]]), int(ends_S[part_S[-1]])
            sums_SD = F.embedding_bag(rows[first:last], points_BD, starts_S[part_S] - first, mode="sum")
            self._sums_RD.index_add_(0, children[starts_S[part_S]], sums_SD.double(), alpha=sign)

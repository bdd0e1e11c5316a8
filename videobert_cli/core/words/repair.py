"""Children that lost all their points, and where they are of use again.

A dead branch at level 1 would waste 1/branching of the vocabulary for good. So an empty child is moved to a point of
its fullest sibling, the one farthest from that sibling's centroid: halving the fullest loses least.
"""

from dataclasses import dataclass

import numpy as np
import torch

from videobert_cli.core.words.branches import Branches
from videobert_cli.ranks import Ranks

# Shapes: B points of a block, U those of them that are looked at, D feature, P nodes, R their children.

_BLOCK_NUM_ROWS = 1_024


@dataclass(frozen=True, kw_only=True)
class Found:
    """A child's farthest point: its squared distance, which of all points it is, and where it lies."""

    distance: float
    row: int
    point_D: np.ndarray

    def is_farther_than(self, other: "Found | None") -> bool:
        """Return whether it is farther away, or as far and earlier: whichever block or process it was found in."""
        return other is None or (self.distance, -self.row) > (other.distance, -other.row)


class Farthest:
    """Notes, during a pass, the farthest point of each child of the nodes that want it."""

    def __init__(self, branches: Branches) -> None:
        self._branches = branches
        self._found: dict[int, Found] = {}
        self.is_wanted_P = torch.zeros(
            len(branches.parents_PD), dtype=torch.bool, device=branches.parents_PD.device
        )

    def want(self, is_wanted_P: torch.Tensor) -> None:
        """Say of which nodes the next pass is to find them."""
        self.is_wanted_P = is_wanted_P

    def clear(self) -> None:
        """Forget what the pass before found."""
        self._found = {}

    def note(
        self,
        points_BD: torch.Tensor,
        rows_U: torch.Tensor,
        *,
        children: torch.Tensor,
        nodes: torch.Tensor,
        rows_of_all_B: torch.Tensor,
    ) -> None:
        """Look at points of a block: which they are in it, child and node of each, and each block row's place."""
        if not bool(self.is_wanted_P.any()):
            return
        is_wanted_U = self.is_wanted_P[nodes]
        for rows, of_child in zip(
            torch.split(rows_U[is_wanted_U], _BLOCK_NUM_ROWS),
            torch.split(children[is_wanted_U], _BLOCK_NUM_ROWS),
            strict=True,
        ):
            differences = points_BD[rows].double() - self._branches.centroids_RD[of_child].double()
            distances = torch.linalg.vecdot(differences, differences)
            for child in torch.unique(of_child).tolist():
                mine = torch.nonzero(of_child == child).flatten()
                best = mine[distances[mine].argmax()]
                found = Found(
                    distance=float(distances[best]),
                    row=int(rows_of_all_B[rows[best]]),
                    point_D=points_BD[rows[best]].cpu().numpy(),
                )
                if found.is_farther_than(self._found.get(child)):
                    self._found[child] = found

    def of_all(self, ranks: Ranks) -> dict[int, Found]:
        """Return the farthest point of each child over all processes; which nodes want it is the same in all."""
        if not bool(self.is_wanted_P.any()):
            return {}
        farthest: dict[int, Found] = {}
        for found_of_rank in ranks.gather(self._found):
            for child, found in found_of_rank.items():
                if found.is_farther_than(farthest.get(child)):
                    farthest[child] = found
        return farthest


def repaired_children(
    counts_R: torch.Tensor, *, parents_R: torch.Tensor, farthest: dict[int, Found]
) -> dict[int, np.ndarray]:
    """Return where empty children go: the rows of those that can be helped, each with a point.

    A sibling whose points are all alike cannot be halved; the next fullest is taken. No sibling gives two points at
    once.
    """
    repairs: dict[int, np.ndarray] = {}
    for parent in sorted({int(parents_R[child]) for child in farthest}):
        siblings = torch.nonzero(parents_R == parent).flatten()
        by_count = siblings[torch.argsort(counts_R[siblings], descending=True, stable=True)].tolist()
        givers = [
            farthest[child].point_D
            for child in by_count
            if counts_R[child] > 1 and child in farthest and farthest[child].distance > 0
        ]
        empty = [child for child in siblings.tolist() if counts_R[child] == 0]
        repairs |= dict(zip(empty, givers, strict=False))
    return repairs

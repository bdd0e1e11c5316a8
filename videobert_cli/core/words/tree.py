"""The tree of centroids and its descent, one level at a time (`branches` does a level), the same at fit and at use."""

from dataclasses import dataclass

import numpy as np
import torch

from videobert_cli.core.words.branches import Branches

# Shapes: N points, D feature after the projection, M nodes of a level, R those of them in use, P nodes of the
# level above in use.


@dataclass(frozen=True, kw_only=True)
class Level:
    """One level: node m is child `m % branching` of node `m // branching` above.

    `counts_M` int64, training points of each node; `centroids_RD` float32, those of the nodes in use, in
    order of their ids; `inertia` the sum of squared distances of the training points. A node without training
    points is dead: it keeps its id, and no point is ever assigned to it.
    """

    counts_M: torch.Tensor
    centroids_RD: torch.Tensor
    inertia: float

    @property
    def num_used(self) -> int:
        """How many nodes are in use."""
        return len(self.centroids_RD)


@dataclass(frozen=True, kw_only=True)
class Step:
    """A level made ready for descent: its nodes in use, and how a point finds the nearest among its own node's."""

    nodes_R: torch.Tensor
    branches: Branches


def descent(levels: tuple[Level, ...], *, branching: int) -> tuple[Step, ...]:
    """Return the steps from the root to the leaves."""
    above = (None, *levels)[: len(levels)]
    return tuple(
        make_step(level, above=before, branching=branching)
        for level, before in zip(levels, above, strict=True)
    )


def make_step(level: Level, *, above: Level | None, branching: int) -> Step:
    """Return one level ready for descent from the level above (the root where that is None)."""
    is_used_M = level.counts_M > 0
    if above is None:
        parents_PD = level.centroids_RD.mean(dim=0, keepdim=True)
        num_children_P = is_used_M.sum(dim=0, keepdim=True)
    else:
        parents_PD = above.centroids_RD
        num_children_P = is_used_M.view(-1, branching).sum(dim=1)[above.counts_M > 0]
    branches = Branches(level.centroids_RD, num_children_P=num_children_P, parents_PD=parents_PD)
    return Step(nodes_R=torch.nonzero(is_used_M).flatten(), branches=branches)


def descend(points_ND: torch.Tensor, *, steps: tuple[Step, ...]) -> torch.Tensor:
    """Return where the points end (N,), as rows of the last step; without a step all are at the root, row 0."""
    rows_N = torch.zeros(len(points_ND), dtype=torch.int64, device=points_ND.device)
    lengths_N = torch.linalg.vector_norm(points_ND, dim=1)
    for step in steps:
        rows_N = step.branches.nearest(points_ND, rows_N, lengths_N=lengths_N)
    return rows_N


def filled_centroids(levels: tuple[Level, ...], *, branching: int) -> torch.Tensor:
    """Return a row for every leaf (num_words, D): a dead node has its parent's, under the root the fullest node's.

    So a row always stands for something that was seen, and a fresh word starts where its family is.
    """
    filled_MD = levels[0].centroids_RD[levels[0].counts_M[levels[0].counts_M > 0].argmax()][None]
    for depth, level in enumerate(levels):
        filled_MD = filled_MD.repeat_interleave(branching, dim=0) if depth else filled_MD.repeat(branching, 1)
        filled_MD[level.counts_M > 0] = level.centroids_RD
    return filled_MD


def perplexity(counts: torch.Tensor) -> float:
    """Return exp of the entropy of a distribution given as counts; 0 where nothing was counted."""
    if not counts.any():
        return 0.0
    shares = counts[counts > 0].double() / counts.sum()
    return float(torch.exp(-(shares * shares.log()).sum()))


def word_path(word: int, *, branching: int, num_levels: int) -> tuple[int, ...]:
    """Return the child taken at each level on the way to a leaf.

    >>> word_path(20_735, branching=12, num_levels=4)
    (11, 11, 11, 11)
    """
    return tuple(int(digit) for digit in np.unravel_index(word, (branching,) * num_levels))


def word_id(path: tuple[int, ...], *, branching: int) -> int:
    """Return the visual word at the end of a path: the path read as a number in base `branching`.

    >>> word_id((11, 11, 11, 11), branching=12)
    20735
    """
    word = 0
    for child in path:
        word = word * branching + child
    return word

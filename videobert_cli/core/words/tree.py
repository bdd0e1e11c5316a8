"""The tree of centroids and its descent, one level at a time, the same at fit and at use.

Which child a point goes to does not depend on the size of the batch, the number of threads or the device:
products in float32 decide where they can; where two children are nearer to each other than the rounding,
float64 does.
"""

from dataclasses import dataclass

import numpy as np
import torch

# Shapes: N points, D feature after the projection, M nodes of a level, R those of them in use, P nodes of the
# level above in use, K children of one node in use, A ambiguous points.

# Share of the terms of a score below which a difference of two scores is rounding. Products of lower
# precision than float32 (TF32, bfloat16), which a caller may have allowed, round a thousand times coarser.
_ROUNDING = {"highest": 1e-5}
_COARSE_ROUNDING = 1e-2
_EXACT_BLOCK_ELEMENTS = 1 << 23


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
    """A level made ready for descent: centroids relative to their parent's, in the order of `Level.centroids_RD`.

    Relative, because float32 then spends its digits on what tells the children of one node apart. `first_P1`
    is where each parent's children begin, and one end more.
    """

    nodes_R: torch.Tensor
    relative_RD: torch.Tensor
    lengths_R: torch.Tensor
    parents_PD: torch.Tensor
    largest_P: torch.Tensor
    first_P1: tuple[int, ...]


def descent(levels: tuple[Level, ...], *, branching: int) -> tuple[Step, ...]:
    """Return the steps from the root to the leaves."""
    above = (None, *levels[:-1])
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
    parent_R = torch.repeat_interleave(num_children_P)
    relative_RD = level.centroids_RD - parents_PD[parent_R]
    lengths_R = torch.linalg.vecdot(relative_RD, relative_RD)
    largest_P = torch.zeros(len(parents_PD), device=lengths_R.device)
    return Step(
        nodes_R=torch.nonzero(is_used_M).flatten(),
        relative_RD=relative_RD,
        lengths_R=lengths_R,
        parents_PD=parents_PD,
        largest_P=largest_P.scatter_reduce(0, parent_R, lengths_R, "amax").sqrt(),
        first_P1=(0, *num_children_P.cumsum(0).tolist()),
    )


def take_step(points_ND: torch.Tensor, rows_N: torch.Tensor, *, step: Step) -> torch.Tensor:
    """Return where the points go (N,), as rows of the step; `rows_N` says where they are in the level above."""
    if len(points_ND) == 0:
        return rows_N
    order_N = torch.argsort(rows_N, stable=True)
    parents_N = rows_N[order_N]
    local_ND = points_ND[order_N] - step.parents_PD[parents_N]
    parents, counts = (found.tolist() for found in torch.unique_consecutive(parents_N, return_counts=True))
    most_children = max(step.first_P1[parent + 1] - step.first_P1[parent] for parent in parents)
    scores_NK = torch.full((len(points_ND), max(2, most_children)), torch.inf, device=points_ND.device)
    start = 0
    for parent, count in zip(parents, counts, strict=True):
        first, stop = step.first_P1[parent], step.first_P1[parent + 1]
        scores_NK[start : start + count, : stop - first] = torch.addmm(
            step.lengths_R[first:stop],
            local_ND[start : start + count],
            step.relative_RD[first:stop].T,
            alpha=-2,
        )
        start += count
    child_N = _decided(scores_NK, local_ND, parents_N=parents_N, step=step)
    firsts_P1 = torch.tensor(step.first_P1, device=points_ND.device)
    reached_N = torch.empty_like(rows_N)
    reached_N[order_N] = firsts_P1[parents_N] + child_N
    return reached_N


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


def _decided(
    scores_NK: torch.Tensor, local_ND: torch.Tensor, *, parents_N: torch.Tensor, step: Step
) -> torch.Tensor:
    """Return the child of the lowest score, decided anew in float64 where the two lowest are too close to tell."""
    best = scores_NK.topk(2, dim=1, largest=False)
    child_N = best.indices[:, 0].clone()
    largest_N = step.largest_P[parents_N]
    terms_N = largest_N * (largest_N + 2 * torch.linalg.vecdot(local_ND, local_ND).sqrt())
    rounding = _ROUNDING.get(torch.get_float32_matmul_precision(), _COARSE_ROUNDING)
    ambiguous_A = torch.nonzero(best.values[:, 1] - best.values[:, 0] <= rounding * terms_N).flatten()
    for parent in torch.unique(parents_N[ambiguous_A]).tolist():
        of_parent_A = ambiguous_A[parents_N[ambiguous_A] == parent]
        children_KD = step.relative_RD[step.first_P1[parent] : step.first_P1[parent + 1]].double()
        for rows in torch.split(of_parent_A, max(1, _EXACT_BLOCK_ELEMENTS // children_KD.numel())):
            differences = local_ND[rows, None].double() - children_KD
            child_N[rows] = differences.square().sum(dim=2).argmin(dim=1)
    return child_N

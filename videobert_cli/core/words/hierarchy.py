"""Hierarchical k-means: the tree fitted level by level, each node's points among its children."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from videobert_cli.core.words.kmeans import fit_node
from videobert_cli.core.words.tree import Level, make_step, take_step
from videobert_cli.runtime import derive_seed

# Shapes: N points, D feature after the projection, M nodes of a level, R those of them in use.

_BLOCK_NUM_ROWS = 65_536


@dataclass(frozen=True, kw_only=True)
class NodeSettings:
    """How the k-means of one node runs; see `QuantizeOptions`."""

    branching: int
    num_iterations: int
    tolerance: float
    seed: int


def fit_levels(
    points_ND: torch.Tensor, *, num_levels: int, settings: NodeSettings, on_level: Callable[[int], None]
) -> tuple[Level, ...]:
    """Return the levels of the tree (paper section 4.2), root's children first.

    After each level the points go where descent would take them, so their words at use are those of the fit.
    `on_level(n)` is called after n levels.
    """
    # Sorted by node, every node's points are one slice; `rows_N` is the node as a row of the level above.
    rows_N = torch.zeros(len(points_ND), dtype=torch.int64, device=points_ND.device)
    levels: list[Level] = []
    for depth in range(num_levels):
        above = levels[-1] if levels else None
        draft = _fit_level(points_ND, rows_N, above=above, depth=depth, settings=settings)
        rows_N, squared_N = _descended(
            points_ND, rows_N, level=draft, above=above, branching=settings.branching
        )
        # A centroid that the last iteration left without points is dead too: nearest to no training point, it
        # can be left out without moving any.
        counts_R = torch.bincount(rows_N, minlength=draft.num_used)
        counts_M = draft.counts_M.clone()
        counts_M[draft.counts_M > 0] = counts_R
        levels.append(
            Level(
                counts_M=counts_M,
                centroids_RD=draft.centroids_RD[counts_R > 0],
                inertia=float(squared_N.sum(dtype=torch.float64)),
            )
        )
        rows_N = (torch.cumsum(counts_R > 0, dim=0) - 1)[rows_N]
        order_N = torch.argsort(rows_N, stable=True)
        points_ND, rows_N = points_ND[order_N], rows_N[order_N]
        on_level(depth + 1)
    return tuple(levels)


def _fit_level(
    points_ND: torch.Tensor, rows_N: torch.Tensor, *, above: Level | None, depth: int, settings: NodeSettings
) -> Level:
    """Return the level as its nodes' k-means leave it; counts are 1 for a centroid that was found, not yet points."""
    branching = settings.branching
    device = points_ND.device
    parents = [0] if above is None else torch.nonzero(above.counts_M > 0).flatten().tolist()
    is_found_M = torch.zeros(branching ** (depth + 1), dtype=torch.int64, device=device)
    centroids = []
    start = 0
    for parent, count in zip(parents, torch.bincount(rows_N).tolist(), strict=True):
        found_KD = fit_node(
            points_ND[start : start + count],
            branching,
            num_iterations=settings.num_iterations,
            tolerance=settings.tolerance,
            seed=derive_seed(settings.seed, "kmeans", depth, parent),
        ).centroids_KD
        is_found_M[parent * branching : parent * branching + len(found_KD)] = 1
        centroids.append(found_KD)
        start += count
    return Level(counts_M=is_found_M, centroids_RD=torch.cat(centroids), inertia=0.0)


def _descended(
    points_ND: torch.Tensor, rows_N: torch.Tensor, *, level: Level, above: Level | None, branching: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return each point's row of `level` and its squared distance to that centroid."""
    step = make_step(level, above=above, branching=branching)
    reached, squared = [], []
    for start in range(0, len(points_ND), _BLOCK_NUM_ROWS):
        block_ND = points_ND[start : start + _BLOCK_NUM_ROWS]
        reached_N = take_step(block_ND, rows_N[start : start + _BLOCK_NUM_ROWS], step=step)
        differences_ND = block_ND - level.centroids_RD[reached_N]
        reached.append(reached_N)
        squared.append(torch.linalg.vecdot(differences_ND, differences_ND))
    return torch.cat(reached), torch.cat(squared)

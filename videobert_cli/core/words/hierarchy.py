"""Hierarchical k-means: the tree fitted level by level, all nodes of a level in the same passes over the points."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from videobert_cli.core.words.branches import Branches
from videobert_cli.core.words.fit_state import Draft, FitState
from videobert_cli.core.words.kmeans import LevelFit
from videobert_cli.core.words.points import TrainingPoints
from videobert_cli.core.words.seeding import draw_points, first_children, max_seeding_points
from videobert_cli.core.words.tree import Level, descend, descent
from videobert_cli.runtime import derive_seed

# Shapes: N points of this process, D feature after the projection, M nodes of a level, P nodes of the level above in
# use, R the children of those.

_SEEDING_SHARE = 4


@dataclass(frozen=True, kw_only=True)
class NodeSettings:
    """How the k-means of one node runs; see `QuantizeOptions`."""

    branching: int
    num_iterations: int
    tolerance: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class FitHooks:
    """What a fit calls: before each block, after each iteration with what it would go on from, after each level."""

    should_stop: Callable[[], None]
    on_state: Callable[[FitState], None]
    on_progress: Callable[[float], None]


def fit_levels(
    points: TrainingPoints,
    *,
    num_levels: int,
    settings: NodeSettings,
    state: FitState,
    hooks: FitHooks,
    max_memory_bytes: int,
) -> tuple[Level, ...]:
    """Return the levels of the tree (paper section 4.2), root's children first.

    After each level the points go where descent would take them, so their words at use are those of the fit.
    A fit that goes on from a `state` ends at the same bytes as one that was never stopped.
    """
    sum_D, square = points.measure(should_stop=hooks.should_stop)
    nodes_N = _nodes(points, levels=state.levels, branching=settings.branching, should_stop=hooks.should_stop)
    if state.spreads_P is None:
        mean_D = sum_D / points.num_of_all
        variance = square / points.num_of_all - float(torch.linalg.vecdot(mean_D, mean_D))
        spread_P = mean_D.new_tensor([max(0.0, variance)]).sqrt()
        state = replace(state, root_D=mean_D.float(), spreads_P=spread_P)
    for _ in range(len(state.levels), num_levels):
        nodes_N = points.sort(nodes_N)
        level = _LevelWork(points, nodes_N, settings=settings, hooks=hooks, state=state)
        if state.draft is None:
            state = replace(state, draft=level.start(max_memory_bytes=max_memory_bytes))
        state, nodes_N = level.run(state)
        hooks.on_state(state)
        hooks.on_progress(len(state.levels))
    return state.levels


def _nodes(
    points: TrainingPoints, *, levels: tuple[Level, ...], branching: int, should_stop: Callable[[], None]
) -> torch.Tensor:
    """Return the node of each point (N,), int32, as a row of the last level."""
    nodes_N = torch.zeros(points.num, dtype=torch.int32, device=points.device)
    steps = descent(levels, branching=branching)
    for start, stop in points.blocks if levels else []:
        should_stop()
        nodes_N[start:stop] = descend(points.read(start, stop), steps=steps).int()
    return nodes_N


class _LevelWork:
    """One level, from the start of its nodes' children to the end of their iterations."""

    def __init__(
        self,
        points: TrainingPoints,
        nodes_N: torch.Tensor,
        *,
        settings: NodeSettings,
        hooks: FitHooks,
        state: FitState,
    ) -> None:
        self._points = points
        self._nodes_N = nodes_N
        self._settings = settings
        self._hooks = hooks
        self._depth = len(state.levels)
        device = points.device
        assert state.root_D is not None  # noqa: S101 - made before the first level
        if state.levels:
            above = state.levels[-1]
            self._parents_PD = above.centroids_RD
            self._ids_P = torch.nonzero(above.counts_M > 0).flatten()
            self._counts_P = above.counts_M[self._ids_P]
        else:
            self._parents_PD = state.root_D[None]
            self._ids_P = torch.zeros(1, dtype=torch.int64, device=device)
            self._counts_P = torch.tensor([points.num_of_all], device=device)

    def start(self, *, max_memory_bytes: int) -> Draft:
        """Return the first centroids of the children of all nodes."""
        depth, seed, branching = self._depth, self._settings.seed, self._settings.branching
        seeds = [derive_seed(seed, "kmeans", depth, parent) for parent in self._ids_P.tolist()]
        found: dict[int, torch.Tensor] = {}
        for picked_P in self._groups(max_memory_bytes):
            self._hooks.should_stop()
            drawn = draw_points(
                self._points,
                self._nodes_N,
                counts_P=self._counts_P,
                picked_P=picked_P,
                seed=derive_seed(seed, "seeding", depth),
            )
            found |= first_children(drawn, centroids_PD=self._parents_PD, num_children=branching, seeds=seeds)
        children = [found[node] for node in range(len(seeds))]
        num_children_P = torch.tensor(
            [len(centroids) for centroids in children], device=self._counts_P.device
        )
        return Draft(
            centroids_RD=torch.cat(children),
            num_children_P=num_children_P,
            # A node that has fewer distinct points than children wanted has them all as centroids.
            is_active_P=(num_children_P == branching) & (self._counts_P > branching),
            is_lacking_P=torch.zeros_like(num_children_P, dtype=torch.bool),
            num_iterations=0,
        )

    def run(self, state: FitState) -> tuple[FitState, torch.Tensor]:
        """Iterate to the end; return the state with the level in it, and the node of each point in that level."""
        draft = state.draft
        assert draft is not None and state.spreads_P is not None  # noqa: S101, PT018 - given by fit_levels
        branches = Branches(
            draft.centroids_RD.clone(), num_children_P=draft.num_children_P, parents_PD=self._parents_PD
        )
        fit = LevelFit(self._points, nodes_N=self._nodes_N, branches=branches)
        fit.farthest.want(draft.is_lacking_P)
        allowed_P = self._settings.tolerance * state.spreads_P
        should_stop, num_iterations = self._hooks.should_stop, self._settings.num_iterations
        while draft.num_iterations < num_iterations and bool(draft.is_active_P.any()):
            move = fit.move(fit.sweep(draft.is_active_P, should_stop=should_stop))
            is_settled_P = (move.moves_P <= allowed_P) & ~move.is_lacking_P
            draft = replace(
                draft,
                centroids_RD=branches.centroids_RD,
                is_active_P=draft.is_active_P & ~is_settled_P,
                is_lacking_P=fit.farthest.is_wanted_P,
                num_iterations=draft.num_iterations + 1,
            )
            self._hooks.on_state(replace(state, draft=draft))
            self._hooks.on_progress(self._depth + draft.num_iterations / (num_iterations + 1))
        # The children of a settled node lie where its points were last given to them: no need to look again.
        fit.sweep(fit.is_outdated_P.clone(), should_stop=should_stop)
        return self._ended(fit, state)

    def _groups(self, max_memory_bytes: int) -> list[torch.Tensor]:
        """Return which nodes' drawn points are in memory together: as few groups, each a pass, as the memory allows."""
        sizes_P = self._counts_P.clamp(max=max_seeding_points(len(self._counts_P))).cumsum(0)
        # Four bytes a value, and copies of it: what was drawn, joined and sorted.
        limit = max(1, max_memory_bytes // (_SEEDING_SHARE * 4 * self._points.dim))
        group_P = (sizes_P - 1) // limit
        return [group_P == group for group in torch.unique(group_P)]

    def _ended(self, fit: LevelFit, state: FitState) -> tuple[FitState, torch.Tensor]:
        """Return what `run` does.

        A centroid that the last iteration left without points is dead too: nearest to no training point, it can be left
        out without moving any.
        """
        branches, branching = fit.branches, self._settings.branching
        counts_R, inertias_R = fit.counts(), fit.inertias()
        is_used_R = counts_R > 0
        child_R = torch.arange(len(counts_R), device=counts_R.device) - branches.first_P[branches.parent_R]
        counts_M = torch.zeros(branching ** (self._depth + 1), dtype=torch.int64, device=counts_R.device)
        counts_M[self._ids_P[branches.parent_R] * branching + child_R] = counts_R
        level = Level(
            counts_M=counts_M,
            centroids_RD=branches.centroids_RD[is_used_R],
            inertia=math.fsum(inertias_R.tolist()),
        )
        spreads_P = (inertias_R / counts_R)[is_used_R].sqrt()
        ended = replace(state, levels=(*state.levels, level), spreads_P=spreads_P, draft=None)
        rows_R = (torch.cumsum(is_used_R, dim=0) - 1).int()
        return ended, rows_R[fit.children_N.long()]

"""Where the children of a node start: greedy k-means++ (Arthur and Vassilvitskii 2007), many small nodes together.

Each next child is the best of a few points drawn with a chance in proportion to their squared distance from the
children so far. A node with many points is looked at through a sample of them (`max_seeding_points`).
Distances are between points rounded to whole steps, so coarse that float32 has no rounding: neither threads nor the
company in a product decide anything.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from videobert_cli.core.words.points import TrainingPoints

# Shapes: N points of this process, U those drawn, D feature, P nodes, I a node's drawn points at most, C candidates
# of one draw, K children.

# k-means++ looks at so many points of a node, more or less: the start of a node with millions costs as little as that
# of one with these, 340 for each of 12 children. A level with thousands of nodes looks at a million points in all,
# but no node gets fewer than the least: they must be in memory.
_MOST_POINTS, _LEAST_POINTS, _LEVEL_POINTS = 4_096, 512, 1 << 20
# Points nearer to each other than this share of their squared lengths are one point: they differ by float32's rounding.
_SAME_POINT = 1e-12
# A point seen from its node's centroid is at most so many steps long; rounding to them adds a sixth of a step squared
# for each dimension to a squared distance. Where less than a step squared a dimension is left at the end for a point
# not chosen, they are too coarse.
_LONGEST_STEPS, _COARSE_STEPS = 2.0**11, 1.0
_SMALL_NUM_POINTS = 256
_GROUP_ELEMENTS = {"cpu": 1 << 20, "cuda": 1 << 26}
_NUM_BITS = 53


def max_seeding_points(num_nodes: int) -> int:
    """Return how many points of one node are looked at, at most, on a level of so many nodes.

    >>> [max_seeding_points(num_nodes) for num_nodes in (1, 144, 1728)]
    [4096, 4096, 606]
    """
    return min(_MOST_POINTS, max(_LEAST_POINTS, _LEVEL_POINTS // num_nodes))


@dataclass(frozen=True, kw_only=True)
class DrawnPoints:
    """Points that stand for those of some nodes, sorted by node: rows of a table that may hold others too.

    Attributes:
        points_XD: The table.
        rows_U: The rows of those drawn.
        nodes_U: The node of each.
    """

    points_XD: torch.Tensor
    rows_U: torch.Tensor
    nodes_U: torch.Tensor

    def take(self, places: torch.Tensor) -> torch.Tensor:
        """Return a copy of the drawn points of these places, of any shape (..., D)."""
        found_UD = self.points_XD.index_select(0, self.rows_U[places.reshape(-1)])
        return found_UD.view(*places.shape, -1)


def draw_points(
    points: TrainingPoints,
    nodes_N: torch.Tensor,
    *,
    counts_P: torch.Tensor,
    picked_P: torch.Tensor,
    seed: int,
) -> DrawnPoints:
    """Return the points that stand for some nodes' points; where all points are in one place no copies of them.

    Whether a point is drawn depends on the seed, its place among all points and how many its node has: neither on
    blocks nor on ranks. Points of one node stay in order.
    """
    chances_P = (max_seeding_points(len(counts_P)) / counts_P.clamp(min=1).double()).clamp(max=1)
    chances_P = torch.where(picked_P, chances_P, 0.0)
    rows_of_blocks = [
        _drawn_rows(points, nodes_N, block=block, chances_P=chances_P, seed=seed) for block in points.blocks
    ]
    if len(points.blocks) == 1 and points.ranks.num == 1:
        (start, stop), (rows,) = points.blocks[0], rows_of_blocks
        return DrawnPoints(
            points_XD=points.read(start, stop), rows_U=rows, nodes_U=nodes_N[start:stop][rows].long()
        )
    # At one place from the start: small pieces between blocks that come and go would keep the memory of those.
    num_drawn = sum(len(rows) for rows in rows_of_blocks)
    drawn_UD = torch.empty(num_drawn, points.dim, device=points.device)
    nodes_U = torch.empty(num_drawn, dtype=torch.int64, device=points.device)
    num_done = 0
    for (start, stop), rows in zip(points.blocks, rows_of_blocks, strict=True):
        if len(rows):
            part = slice(num_done, num_done + len(rows))
            torch.index_select(points.read(start, stop), 0, rows, out=drawn_UD[part])
            nodes_U[part] = nodes_N[start:stop][rows].long()
            num_done += len(rows)
    drawn_UD, nodes_U = points.ranks.rows(drawn_UD), points.ranks.rows(nodes_U)
    order_U = torch.argsort(nodes_U, stable=True)
    return DrawnPoints(points_XD=drawn_UD, rows_U=order_U, nodes_U=nodes_U[order_U])


def first_children(
    drawn: DrawnPoints,
    *,
    centroids_PD: torch.Tensor,
    num_children: int,
    seeds: Sequence[int],
) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield nodes with the first centroids (K', D) of their children; K' < K where it has fewer distinct points.

    Args:
        drawn: The points to choose from.
        centroids_PD: The nodes' own centroids: distances are taken as seen from there.
        num_children: K.
        seeds: A seed for each of the P nodes.
    """
    present, counts = torch.unique_consecutive(drawn.nodes_U, return_counts=True)
    ends = counts.cumsum(0).tolist()
    nodes = list(zip(present.tolist(), [0, *ends[:-1]], ends, strict=True))
    # Nodes of one size go together, and no more of them than a cache holds.
    nodes.sort(key=lambda node: (node[2] - node[1], node[0]))
    limit = _GROUP_ELEMENTS.get(drawn.points_XD.device.type, 1 << 20) // drawn.points_XD.shape[1]
    group: list[tuple[int, int, int]] = []
    for node in nodes:
        if group and (len(group) + 1) * (node[2] - node[1]) > limit:
            yield from _seed_group(
                drawn, group, centroids_PD=centroids_PD, num_children=num_children, seeds=seeds
            )
            group = []
        group.append(node)
    if group:
        yield from _seed_group(
            drawn, group, centroids_PD=centroids_PD, num_children=num_children, seeds=seeds
        )


# --- details --------------------------------------------------------------------------------------------


def _drawn_rows(
    points: TrainingPoints,
    nodes_N: torch.Tensor,
    *,
    block: tuple[int, int],
    chances_P: torch.Tensor,
    seed: int,
) -> torch.Tensor:
    """Return which rows of a block are drawn, sorted by node."""
    start, stop = block
    nodes_B = nodes_N[start:stop].long()
    values_B = torch.from_numpy(_hashes(points.rows_of_all(start, stop).cpu().numpy(), seed=seed))
    rows = torch.nonzero(values_B.to(points.device) < chances_P[nodes_B]).flatten()
    return rows[torch.argsort(nodes_B[rows], stable=True)]


def _hashes(rows: np.ndarray, *, seed: int) -> np.ndarray:
    """Return a number from [0, 1) for each row, by its place and the seed alone (splitmix64)."""
    values = rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return (values >> np.uint64(64 - _NUM_BITS)).astype(np.float64) / float(1 << _NUM_BITS)


def _seed_group(
    drawn: DrawnPoints,
    group: list[tuple[int, int, int]],
    *,
    centroids_PD: torch.Tensor,
    num_children: int,
    seeds: Sequence[int],
) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield what `first_children` does, for nodes (number, first row, end) of a group."""
    device, largest = drawn.points_XD.device, group[-1][2] - group[-1][1]
    starts = torch.tensor([first for _, first, _ in group], device=device)
    sizes = torch.tensor([end - first for _, first, end in group], device=device)
    numbers = torch.tensor([number for number, _, _ in group], device=device)
    places_PI = torch.arange(largest, device=device).expand(len(group), largest)
    is_point_PI = places_PI < sizes[:, None]
    rows_PI = torch.where(is_point_PI, starts[:, None] + places_PI, starts[:, None])
    points_PID = drawn.take(rows_PI).sub_(centroids_PD[numbers][:, None])
    num_candidates = 2 + int(np.log(num_children))
    firsts, draws = _draws(
        [seeds[number] for number, _, _ in group],
        sizes=[end - first for _, first, end in group],
        num_draws=num_children - 1,
        num_candidates=num_candidates,
    )
    first_P, draws_PKC = torch.from_numpy(firsts).to(device), torch.from_numpy(draws).to(device)
    steps_PID = _in_steps(points_PID, is_point_PI)
    chosen = _choose(steps_PID, is_point_PI, first_P=first_P, draws_PKC=draws_PKC, same_point=0.0)
    chosen_PK, num_chosen_P, total_P = chosen
    # Steps are too coarse where few points are far from all others: there float64 looks again.
    is_coarse_P = total_P < _COARSE_STEPS * points_PID.shape[2] * (sizes - num_chosen_P)
    for place in torch.nonzero(is_coarse_P).flatten().tolist():
        one = slice(place, place + 1)
        chosen_PK[one], num_chosen_P[one], _ = _choose(
            points_PID[one, : int(sizes[place])].double(),
            is_point_PI[one, : int(sizes[place])],
            first_P=first_P[one],
            draws_PKC=draws_PKC[one],
            same_point=_SAME_POINT,
        )
    for place, ((number, first, _), num_chosen) in enumerate(zip(group, num_chosen_P.tolist(), strict=True)):
        yield number, drawn.take(first + chosen_PK[place, :num_chosen])


def _draws(
    seeds: Sequence[int], *, sizes: Sequence[int], num_draws: int, num_candidates: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return each node's first point (P,) and its random numbers (P, K - 1, C)."""
    generators = [np.random.Generator(np.random.Philox(seed)) for seed in seeds]
    firsts = [generator.integers(size) for generator, size in zip(generators, sizes, strict=True)]
    numbers = [generator.random((num_draws, num_candidates)) for generator in generators]
    return np.array(firsts, dtype=np.int64), np.stack(numbers)


def _in_steps(points_PID: torch.Tensor, is_point_PI: torch.Tensor) -> torch.Tensor:
    """Return the points in whole steps, a power of two for each node, so that none is longer than 2^11 of them.

    Products, squared lengths and squared distances are whole numbers up to 2^24 then, and so is every sum on the way to
    them: float32 has them all, in any order.
    """
    longest_P = torch.zeros(len(points_PID), dtype=torch.float64, device=points_PID.device)
    for points_ID, longest in zip(points_PID, longest_P, strict=True):
        longest.copy_(torch.linalg.vector_norm(points_ID, dim=1, dtype=torch.float64).max())
    # Rounding to steps lengthens a point by half of this at most.
    room = _LONGEST_STEPS - points_PID.shape[2] ** 0.5
    _, exponent_P = torch.frexp(longest_P / room)
    scale_P = torch.ldexp(torch.ones_like(longest_P), -exponent_P)
    # Lower precision than TF32 would not have these numbers.
    dtype = torch.float64 if torch.get_float32_matmul_precision() == "medium" else torch.float32
    steps_PID = points_PID.mul(scale_P[:, None, None].float()).round_().to(dtype)
    return steps_PID.mul_(is_point_PI[:, :, None])


def _choose(
    points_PID: torch.Tensor,
    is_point_PI: torch.Tensor,
    *,
    first_P: torch.Tensor,
    draws_PKC: torch.Tensor,
    same_point: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the points chosen (P, K), how many of them count (P,): no more once all are as good as chosen, and the sum
    of squared distances that is left (P,).
    """
    squares_PI = torch.linalg.vecdot(points_PID, points_PID)
    node_P = torch.arange(len(first_P), device=first_P.device)
    last_P1 = is_point_PI.sum(dim=1, keepdim=True) - 1
    # All products at once are faster than the few that are wanted, one after the other.
    is_small = points_PID.shape[1] <= _SMALL_NUM_POINTS and points_PID.dtype == torch.float32
    products_PII = torch.bmm(points_PID, points_PID.transpose(1, 2)) if is_small else None

    def distances(candidates_PC: torch.Tensor) -> torch.Tensor:
        sums_PCI = squares_PI.gather(1, candidates_PC)[:, :, None] + squares_PI[:, None]
        if products_PII is not None:
            found_PCI = sums_PCI - 2 * products_PII[node_P[:, None], candidates_PC]
        else:
            candidates_PCD = points_PID[node_P[:, None], candidates_PC]
            found_PCI = torch.baddbmm(sums_PCI, candidates_PCD, points_PID.transpose(1, 2), alpha=-2)
        return torch.where(found_PCI > same_point * sums_PCI, found_PCI, 0.0)

    nearest_PI = distances(first_P[:, None])[:, 0] * is_point_PI
    chosen = [first_P]
    num_chosen_P = torch.ones_like(first_P)
    for draws_PC in draws_PKC.unbind(1):
        cumulative_PI = nearest_PI.cumsum(1, dtype=torch.float64)
        total_P1 = cumulative_PI[:, -1:]
        # right=True: a draw at the very edge falls on the next point, never on one of weight 0.
        candidates_PC = torch.searchsorted(cumulative_PI, draws_PC * total_P1, right=True)
        candidates_PC = torch.minimum(candidates_PC, last_P1)
        after_PCI = torch.minimum(distances(candidates_PC), nearest_PI[:, None])
        best_P = after_PCI.sum(dim=2, dtype=torch.float64).argmin(dim=1)
        has_more_P = total_P1[:, 0] > 0
        chosen.append(candidates_PC[node_P, best_P])
        num_chosen_P += has_more_P
        nearest_PI = torch.where(has_more_P[:, None], after_PCI[node_P, best_P], nearest_PI)
    return torch.stack(chosen, dim=1), num_chosen_P, nearest_PI.sum(dim=1, dtype=torch.float64)

"""K-means for one node of the codebook: k-means++ start, Lloyd's iterations, repair of empty children.

One code for CPU and GPU. On a CPU the result depends on the points and the seed only: sums are matrix
products (no atomics), and random numbers come from a counter-based generator of our own.
"""

from dataclasses import dataclass

import numpy as np
import torch

from videobert_cli.errors import InputError

# Shapes: N points of one node, K its children, D feature, C candidates of one k-means++ draw.

# k-means++ looks at so many points at most: the start of a node with millions costs as little as that of one
# with these.
MAX_SEEDING_POINTS = 65_536
# Points nearer to each other than this share of their squared lengths are one point to float32.
_SAME_POINT = 1e-6


@dataclass(frozen=True, kw_only=True)
class LloydStep:
    """One iteration: children of the points by the OLD centroids, new centroids, and what the old ones cost.

    `assignment_N` int64; `counts_K` int64, points of each child; `inertia` the sum of squared distances to
    the old centroids; a child without points keeps its centroid.
    """

    assignment_N: torch.Tensor
    centroids_KD: torch.Tensor
    counts_K: torch.Tensor
    inertia: float


@dataclass(frozen=True, kw_only=True)
class NodeCentroids:
    """The centroids (K', D) of one node; K' < K where the node has fewer distinct points than children wanted."""

    centroids_KD: torch.Tensor
    num_iterations: int


def lloyd_step(points_ND: torch.Tensor, centroids_KD: torch.Tensor) -> LloydStep:
    """Return one Lloyd iteration from the given centroids, in float32."""
    return _lloyd_step(points_ND, centroids_KD, _squared_lengths(points_ND))


def fit_node(
    points_ND: torch.Tensor, num_children: int, *, num_iterations: int, tolerance: float, seed: int
) -> NodeCentroids:
    """Return the centroids of a node's children.

    Stops when no point changes child, or when no centroid moves farther than `tolerance` times the root mean
    square distance of the points from their mean. The points are centred first: float32 then spends its
    digits on what distinguishes them.

    Raises:
        InputError: A squared length is no float32 number: distances would all be the same.
    """
    mean_D = points_ND.mean(dim=0)
    centred_ND = points_ND - mean_D
    lengths_N = _squared_lengths(centred_ND)
    if not bool(torch.isfinite(lengths_N).all()):
        raise InputError(
            "features are so large, or not numbers, that their squares are no float32 numbers",
            at="quantize",
            fix="make the features again, or scale them before they are imported",
        )
    centroids_KD = _start(centred_ND, num_children, lengths_N=lengths_N, seed=seed)
    num_done = 0
    if len(centroids_KD) == num_children < len(points_ND):
        allowed_move = tolerance * float(lengths_N.double().mean().sqrt())
        centroids_KD, num_done = _iterate(
            centred_ND,
            centroids_KD,
            lengths_N=lengths_N,
            num_iterations=num_iterations,
            allowed_move=allowed_move,
        )
    return NodeCentroids(centroids_KD=centroids_KD + mean_D, num_iterations=num_done)


def repair_empty_children(points_ND: torch.Tensor, step: LloydStep) -> torch.Tensor:
    """Return the step's new centroids, each empty child moved to a point of the fullest sibling.

    The point is the one farthest from that sibling's centroid: a dead branch at level 1 would waste
    1/branching of the vocabulary for good, and halving the fullest child loses least. A sibling whose points
    are all alike cannot be halved; the next fullest is taken, and with none left the child stays where it
    was.
    """
    centroids_KD = step.centroids_KD.clone()
    counts_K = step.counts_K.clone()
    taken_N = torch.zeros(len(points_ND), dtype=torch.bool, device=points_ND.device)
    for child in torch.nonzero(step.counts_K == 0).flatten().tolist():
        for sibling in torch.argsort(counts_K, descending=True, stable=True).tolist():
            if counts_K[sibling] < 2:
                break
            members = torch.nonzero((step.assignment_N == sibling) & ~taken_N).flatten()
            distances = _squared_lengths(points_ND[members] - step.centroids_KD[sibling])
            farthest = int(distances.argmax())
            if distances[farthest] > 0:
                centroids_KD[child] = points_ND[members[farthest]]
                taken_N[members[farthest]] = True
                # The halves are equal as far as one can know before the next assignment.
                counts_K[child] = counts_K[sibling] // 2
                counts_K[sibling] -= counts_K[child]
                break
    return centroids_KD


# --- details --------------------------------------------------------------------------------------------


def _iterate(
    points_ND: torch.Tensor,
    centroids_KD: torch.Tensor,
    *,
    lengths_N: torch.Tensor,
    num_iterations: int,
    allowed_move: float,
) -> tuple[torch.Tensor, int]:
    previous_N: torch.Tensor | None = None
    for done in range(1, num_iterations + 1):
        step = _lloyd_step(points_ND, centroids_KD, lengths_N)
        has_empty = bool((step.counts_K == 0).any())
        new_KD = repair_empty_children(points_ND, step) if has_empty else step.centroids_KD
        move = float((new_KD - centroids_KD).square().sum(dim=1).max().sqrt())
        is_settled = previous_N is not None and bool(torch.equal(previous_N, step.assignment_N))
        centroids_KD, previous_N = new_KD, step.assignment_N
        if not has_empty and (is_settled or move <= allowed_move):
            return centroids_KD, done
    return centroids_KD, num_iterations


def _lloyd_step(points_ND: torch.Tensor, centroids_KD: torch.Tensor, lengths_N: torch.Tensor) -> LloydStep:
    scores_NK = torch.addmm(_squared_lengths(centroids_KD), points_ND, centroids_KD.T, alpha=-2)
    best_N, assignment_N = scores_NK.min(dim=1)
    # A product with the one-hot matrix sums in a fixed order; index_add would race on a GPU and crawl on a
    # CPU.
    one_hot_NK = torch.zeros_like(scores_NK).scatter_(1, assignment_N[:, None], 1.0)
    sums_KD = one_hot_NK.T @ points_ND
    counts_K = torch.bincount(assignment_N, minlength=len(centroids_KD))
    means_KD = sums_KD / counts_K.clamp(min=1)[:, None]
    return LloydStep(
        assignment_N=assignment_N,
        centroids_KD=torch.where(counts_K[:, None] > 0, means_KD, centroids_KD),
        counts_K=counts_K,
        inertia=float((best_N.double() + lengths_N.double()).clamp(min=0).sum()),
    )


def _start(points_ND: torch.Tensor, num_children: int, *, lengths_N: torch.Tensor, seed: int) -> torch.Tensor:
    """Return greedy k-means++ centroids (Arthur and Vassilvitskii 2007): the best of a few candidates at each draw.

    Fewer than `num_children` come back where the points are fewer or alike.
    """
    generator = np.random.Generator(np.random.Philox(seed))
    if len(points_ND) > MAX_SEEDING_POINTS:
        sample = np.sort(generator.choice(len(points_ND), size=MAX_SEEDING_POINTS, replace=False))
        index = torch.from_numpy(sample).to(points_ND.device)
        points_ND, lengths_N = points_ND[index], lengths_N[index]
    num_candidates = 2 + int(np.log(num_children))
    chosen = [int(generator.integers(len(points_ND)))]
    nearest_N = _distances(points_ND, chosen, lengths_N=lengths_N)[0]
    while len(chosen) < num_children:
        cumulative_N = nearest_N.double().cumsum(0)
        total = float(cumulative_N[-1])
        if total <= 0:
            break
        draws_C = torch.from_numpy(generator.random(num_candidates) * total).to(cumulative_N)
        # right=True: a draw at the very edge falls on the next point, never on one of weight 0.
        candidates = (
            torch.searchsorted(cumulative_N, draws_C, right=True).clamp(max=len(points_ND) - 1).tolist()
        )
        distances_CN = _distances(points_ND, candidates, lengths_N=lengths_N)
        after_CN = torch.minimum(distances_CN, nearest_N)
        best = int(after_CN.double().sum(dim=1).argmin())
        if nearest_N[candidates[best]] > 0:
            chosen.append(candidates[best])
            nearest_N = after_CN[best]
    return points_ND[torch.tensor(chosen, device=points_ND.device)]


def _distances(points_ND: torch.Tensor, candidates: list[int], *, lengths_N: torch.Tensor) -> torch.Tensor:
    """Return squared distances (C, N) to some of the points, exactly 0 where float32 cannot tell the two apart."""
    index = torch.tensor(candidates, device=points_ND.device)
    sums_CN = lengths_N[index, None] + lengths_N
    distances_CN = sums_CN - 2 * (points_ND[index] @ points_ND.T)
    return torch.where(distances_CN > _SAME_POINT * sums_CN, distances_CN, 0.0)


def _squared_lengths(points_ND: torch.Tensor) -> torch.Tensor:
    lengths_N: torch.Tensor = torch.linalg.vecdot(points_ND, points_ND)
    return lengths_N

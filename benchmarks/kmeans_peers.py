"""What `kmeans.py` compares with: trees that are made node by node by other people's k-means.

scikit-learn's with k-means++ (Lloyd, one start), faiss's with its random start on all points (pip install faiss-cpu).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

BRANCHING = 12
NODE_OF_PEER = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A tree: what it took, the squared distances of all features to their leaves, and leaves in use."""

    name: str
    seconds: float
    cpu_seconds: float
    inertia: float
    num_leaves: int


def fit_peer(name: str, node: NODE_OF_PEER, features_ND: np.ndarray, *, num_levels: int) -> Fitted:
    """Fit a tree node by node; a node of no more points than children is left as its points."""
    points_ND = features_ND.astype(np.float32)
    begin, cpu_begin = time.perf_counter(), time.process_time()
    nodes = [np.arange(len(points_ND))]
    inertia, num_leaves = 0.0, 0
    for level in range(num_levels):
        below = []
        inertia, num_leaves = 0.0, 0
        for rows in nodes:
            if len(rows) <= BRANCHING:
                below += [rows[i : i + 1] for i in range(len(rows))]
                num_leaves += len(rows)
                continue
            labels, squared = node(points_ND[rows])
            inertia += float(squared.sum(dtype=np.float64))
            order = np.argsort(labels, kind="stable")
            parts = np.split(rows[order], np.flatnonzero(np.diff(labels[order])) + 1)
            below += parts
            num_leaves += len(parts)
        nodes = below
        print(f"    {name}, level {level + 1}: {time.perf_counter() - begin:.1f} s", flush=True)
    return Fitted(
        name=name,
        seconds=time.perf_counter() - begin,
        cpu_seconds=time.process_time() - cpu_begin,
        inertia=inertia,
        num_leaves=num_leaves,
    )


def scikit_learn_node(num_iterations: int, seed: int) -> NODE_OF_PEER:
    """Return scikit-learn's k-means of one node."""
    from sklearn.cluster import KMeans

    def fit(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = KMeans(BRANCHING, n_init=1, max_iter=num_iterations, tol=0, random_state=seed).fit(points)
        return found.labels_, np.array([found.inertia_])

    return fit


def faiss_node(num_iterations: int, seed: int) -> NODE_OF_PEER:
    """Return faiss's k-means of one node."""
    import faiss

    def fit(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = faiss.Kmeans(
            points.shape[1],
            BRANCHING,
            niter=num_iterations,
            seed=seed + 1,
            min_points_per_centroid=1,
            max_points_per_centroid=1 << 30,
        )
        found.train(points)
        squared, labels = found.index.search(points, 1)
        return labels[:, 0], squared

    return fit


PEERS: dict[str, Callable[[int, int], NODE_OF_PEER]] = {
    "faiss": faiss_node,
    "scikit-learn": scikit_learn_node,
}

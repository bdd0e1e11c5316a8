"""One Lloyd iteration, and a whole tree level, against scikit-learn from the same start."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from videobert_cli.core.words.kmeans import fit_node, lloyd_step


def blobs(num_points, dim, num_blobs, seed):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(num_blobs, dim)) * 3
    return (centres[rng.integers(num_blobs, size=num_points)] + rng.normal(size=(num_points, dim))).astype(
        np.float32
    )


@pytest.mark.parametrize(
    ("num_points", "dim", "num_children"), [(500, 16, 12), (2_000, 128, 12), (300, 2, 3)]
)
def test_one_step_equals_scikit_learns(num_points, dim, num_children):
    points_ND = blobs(num_points, dim, num_children + 3, seed=num_points)
    start_KD = points_ND[np.random.default_rng(1).choice(num_points, num_children, replace=False)]
    theirs = KMeans(num_children, init=start_KD, n_init=1, max_iter=1, tol=0).fit(points_ND)
    ours = lloyd_step(torch.from_numpy(points_ND), torch.from_numpy(start_KD))
    np.testing.assert_allclose(ours.centroids_KD.numpy(), theirs.cluster_centers_, atol=1e-5, rtol=1e-5)
    # scikit-learn reports labels and inertia of the centroids AFTER its last iteration.
    following = lloyd_step(torch.from_numpy(points_ND), ours.centroids_KD)
    assert (following.assignment_N.numpy() == theirs.labels_).all()
    assert following.inertia == pytest.approx(theirs.inertia_, rel=1e-5)


def test_a_fitted_node_costs_no_more_than_scikit_learns_best_of_three():
    points_ND = blobs(1_500, 32, 12, seed=3)
    theirs = KMeans(12, n_init=3, random_state=0).fit(points_ND)
    found = fit_node(torch.from_numpy(points_ND), 12, num_iterations=50, tolerance=1e-4, seed=0)
    ours = lloyd_step(torch.from_numpy(points_ND), found.centroids_KD).inertia
    assert ours <= theirs.inertia_ * 1.02

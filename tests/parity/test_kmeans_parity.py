"""Lloyd's iterations, and a whole node, against scikit-learn from the same start."""

import numpy as np
import pytest
import torch
from level_fit import ALL, go_on, level_fit, step
from sklearn.cluster import KMeans

from videobert_cli.core.words.codebook import fit_codebook
from videobert_cli.core.words.options import QuantizeOptions


def blobs(num_points, dim, num_blobs, seed):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(num_blobs, dim)) * 3
    return (centres[rng.integers(num_blobs, size=num_points)] + rng.normal(size=(num_points, dim))).astype(
        np.float32
    )


@pytest.mark.parametrize("num_iterations", [1, 4])
@pytest.mark.parametrize(
    ("num_points", "dim", "num_children"), [(500, 16, 12), (2_000, 128, 12), (300, 2, 3)]
)
def test_iterations_equal_scikit_learns(num_points, dim, num_children, num_iterations):
    points_ND = blobs(num_points, dim, num_children + 3, seed=num_points)
    start_KD = points_ND[np.random.default_rng(1).choice(num_points, num_children, replace=False)]
    theirs = KMeans(num_children, init=start_KD, n_init=1, max_iter=num_iterations, tol=0).fit(points_ND)
    ours = level_fit(points_ND, start_KD)
    for _ in range(num_iterations):
        step(ours)
    np.testing.assert_allclose(
        ours.branches.centroids_RD.numpy(), theirs.cluster_centers_, atol=2e-5, rtol=1e-5
    )
    # scikit-learn reports labels and inertia of the centroids AFTER its last iteration.
    ours.sweep(ALL, should_stop=go_on)
    assert (ours.children_N.numpy() == theirs.labels_).all()
    assert float(ours.inertias().sum()) == pytest.approx(theirs.inertia_, rel=1e-5)


def test_a_fitted_node_costs_no_more_than_scikit_learns_best_of_three():
    points_ND = blobs(1_500, 32, 12, seed=3)
    theirs = KMeans(12, n_init=3, random_state=0).fit(points_ND)
    ours = fit_codebook(
        points_ND,
        options=QuantizeOptions(num_levels=1, num_iterations=50),
        parts=(32,),
        fingerprint={},
        seed=0,
        device=torch.device("cpu"),
    )
    assert ours.statistics[0].inertia <= theirs.inertia_ * 1.02

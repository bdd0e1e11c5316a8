"""K-means of one node: start, convergence, repair of empty children."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from videobert_cli.core.words.kmeans import fit_node, lloyd_step, repair_empty_children
from videobert_cli.errors import InputError


def points(*rows):
    return torch.tensor(rows, dtype=torch.float32)


def fit(points_ND, num_children=12, seed=0):
    return fit_node(points_ND, num_children, num_iterations=25, tolerance=1e-4, seed=seed).centroids_KD


def test_separate_groups_are_found_whatever_the_seed():
    rng = np.random.default_rng(0)
    centres = np.array([[0, 0], [10, 0], [0, 10], [10, 10]])
    points_ND = torch.from_numpy(
        (np.repeat(centres, 50, axis=0) + rng.normal(size=(200, 2)) * 0.1).astype(np.float32)
    )
    for seed in range(10):
        found = fit(points_ND, 4, seed=seed)
        assert {tuple(row) for row in found.round().tolist()} == {(0, 0), (10, 0), (0, 10), (10, 10)}


def test_fewer_distinct_points_than_children_give_fewer_centroids():
    three = points([1, 2], [3, 4], [-5, 6]).repeat(100, 1)
    found = fit(three)
    assert sorted(map(tuple, found.tolist())) == [(-5, 6), (1, 2), (3, 4)]


def test_points_that_are_all_alike_give_one_centroid():
    assert fit(points([0.1, 1e6, 3]).repeat(500, 1)).shape == (1, 3)
    assert fit(torch.zeros(7, 4)).tolist() == [[0, 0, 0, 0]]
    assert fit(points([4, 2])).tolist() == [[4, 2]]


def test_a_large_common_offset_does_not_hide_the_groups():
    groups = points([0, 0], [1, 0], [0, 1]).repeat(50, 1) + 10_000
    assert len(fit(groups, 3)) == 3


def test_the_seed_decides_and_nothing_else():
    points_ND = torch.from_numpy(np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32))
    torch.manual_seed(1)
    first = fit(points_ND)
    torch.manual_seed(2)
    assert torch.equal(first, fit(points_ND))
    assert not torch.equal(first, fit(points_ND, seed=1))


def test_an_empty_child_is_seeded_from_the_farthest_point_of_the_fullest():
    points_ND = points([0, 0], [0, 1], [0, 9], [50, 0], [50, 1])
    step = lloyd_step(points_ND, points([0, 0], [50, 0], [900, 900]))
    assert step.counts_K.tolist() == [3, 2, 0]
    repaired = repair_empty_children(points_ND, step)
    assert repaired[2].tolist() == [0, 9]
    assert torch.equal(repaired[:2], step.centroids_KD[:2])


def test_a_sibling_whose_points_are_alike_is_not_halved():
    points_ND = points([0, 0], [0, 0], [0, 0], [50, 0], [50, 4])
    step = lloyd_step(points_ND, points([0, 0], [50, 0], [900, 900]))
    assert repair_empty_children(points_ND, step)[2].tolist() in ([50, 0], [50, 4])
    alike = points([1, 1], [1, 1])
    step = lloyd_step(alike, points([1, 1], [900, 900]))
    assert repair_empty_children(alike, step)[1].tolist() == [900, 900]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 5), st.integers(2, 8), st.integers(0, 2**32))
def test_a_step_never_costs_more_than_the_one_before(num_points, dim, num_children, seed):
    rng = np.random.default_rng(seed)
    points_ND = torch.from_numpy(rng.integers(-3, 4, size=(num_points, dim)).astype(np.float32))
    centroids_KD = torch.from_numpy(rng.normal(size=(num_children, dim)).astype(np.float32))
    step = lloyd_step(points_ND, centroids_KD)
    assert step.counts_K.sum() == num_points
    assert lloyd_step(points_ND, step.centroids_KD).inertia <= step.inertia + 1e-3


@pytest.mark.parametrize("value", [1e20, float("inf"), float("nan")])
def test_points_whose_distances_are_no_numbers_are_refused(value):
    with pytest.raises(InputError, match="their squares are no float32 numbers"):
        fit(points([value, 0], [-1, 1], [0, 2]), 2)

"""K-means of one node: start, convergence, repair of empty children."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from level_fit import ALL, go_on, level_fit, step

from videobert_cli.core.words.codebook import fit_codebook
from videobert_cli.core.words.options import QuantizeOptions
from videobert_cli.errors import InputError


def points(*rows):
    return torch.tensor(rows, dtype=torch.float32)


def fit(points_ND, num_children=12, seed=0):
    codebook = fit_codebook(
        np.asarray(points_ND),
        options=QuantizeOptions(branching=num_children, num_levels=1),
        parts=(points_ND.shape[1],),
        fingerprint={},
        seed=seed,
        device=torch.device("cpu"),
    )
    return codebook.levels[0].centroids_RD


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


def test_an_empty_child_is_moved_to_the_farthest_point_of_the_fullest():
    points_ND = points([0, 0], [0, 1], [0, 9], [50, 0], [50, 1])
    of_node = level_fit(points_ND, points([0, 0], [50, 0], [900, 900]))
    assert step(of_node).is_lacking_P.tolist() == [True]
    assert of_node.counts().tolist() == [3, 2, 0]
    # The pass that finds the child without points asks the next one for the farthest.
    moved = step(of_node)
    assert torch.isinf(moved.moves_P).all()
    assert of_node.branches.centroids_RD[2].tolist() == [0, 9]
    step(of_node)
    assert of_node.counts().tolist() == [2, 2, 1]
    assert not step(of_node).is_lacking_P.any()


def test_a_sibling_whose_points_are_alike_is_not_halved():
    points_ND = points([0, 0], [0, 0], [0, 0], [50, 0], [50, 4])
    of_node = level_fit(points_ND, points([0, 0], [50, 0], [900, 900]))
    for _ in range(2):
        step(of_node)
    assert of_node.branches.centroids_RD[2].tolist() in ([50, 0], [50, 4])
    alike = level_fit(points([1, 1], [1, 1]), points([1, 1], [900, 900]))
    assert step(alike).is_lacking_P.all()
    # Nothing can be done, and the node does not wait for it.
    assert not step(alike).is_lacking_P.any()
    assert alike.branches.centroids_RD[1].tolist() == [900, 900]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 5), st.integers(2, 8), st.integers(0, 2**32))
def test_a_step_never_costs_more_than_the_one_before(num_points, dim, num_children, seed):
    rng = np.random.default_rng(seed)
    points_ND = rng.integers(-3, 4, size=(num_points, dim)).astype(np.float32)
    of_node = level_fit(points_ND, rng.normal(size=(num_children, dim)))
    of_node.sweep(ALL, should_stop=go_on)
    before = float(of_node.inertias().sum())
    step(of_node)
    of_node.sweep(ALL, should_stop=go_on)
    assert int(of_node.counts().sum()) == num_points
    assert float(of_node.inertias().sum()) <= before + 1e-3


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 200), st.integers(1, 9), st.integers(2, 9), st.integers(0, 2**32))
def test_sums_and_inertia_are_those_of_a_plain_loop_however_often_points_move(num, dim, num_children, seed):
    rng = np.random.default_rng(seed)
    points_ND = rng.normal(size=(num, dim)).astype(np.float16).astype(np.float32)
    of_node = level_fit(points_ND, rng.normal(size=(num_children, dim)))
    for _ in range(4):
        step(of_node)
    changed = of_node.sweep(ALL, should_stop=go_on)
    children, centroids = of_node.children_N.numpy(), of_node.branches.centroids_RD.double().numpy()
    expected = ((points_ND.astype(np.float64)[:, None] - centroids) ** 2).sum(axis=2)
    assert np.allclose(expected[np.arange(num), children], expected.min(axis=1))
    assert float(of_node.inertias().sum()) == pytest.approx(expected.min(axis=1).sum(), rel=1e-4, abs=1e-4)
    assert of_node.counts().tolist() == np.bincount(children, minlength=num_children).tolist()
    of_node.move(changed)
    for child in np.unique(children[changed[torch.from_numpy(children).long()].numpy()]):
        mean = points_ND[children == child].astype(np.float64).mean(axis=0)
        np.testing.assert_allclose(of_node.branches.centroids_RD[child].numpy(), mean, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(1, 5), st.integers(2, 8), st.integers(0, 2**32))
def test_only_a_node_whose_children_moved_is_looked_at_again(num_points, dim, num_children, seed):
    rng = np.random.default_rng(seed)
    points_ND = rng.integers(-3, 4, size=(num_points, dim)).astype(np.float32)
    of_node = level_fit(points_ND, rng.normal(size=(num_children, dim)))
    assert of_node.is_outdated_P.tolist() == [True]
    for _ in range(200):
        children, centroids = of_node.children_N.clone(), of_node.branches.centroids_RD.clone()
        changed = of_node.sweep(ALL, should_stop=go_on)
        assert not of_node.is_outdated_P.any()
        if not changed.any():
            break
        of_node.move(changed)
        assert bool(of_node.is_outdated_P) == (not torch.equal(of_node.branches.centroids_RD, centroids))
    assert torch.equal(of_node.children_N, children)


@pytest.mark.parametrize(
    ("value", "message"),
    [(1e20, "squares are no float32 numbers"), (float("inf"), "not finite"), (float("nan"), "not finite")],
)
def test_points_whose_distances_are_no_numbers_are_refused(value, message):
    with pytest.raises(InputError, match=message):
        fit(points([value, 0], [-1, 1], [0, 2]), 2)

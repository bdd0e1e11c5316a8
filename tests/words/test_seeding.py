"""Starts of children: points in whole steps, and float64 where steps are too coarse."""

import pytest
import torch

from videobert_cli.core.words.seeding import DrawnPoints, first_children


def starts(points_ND, *, num_children, seed=0):
    nodes_N = torch.zeros(len(points_ND), dtype=torch.int64)
    found = dict(
        first_children(
            DrawnPoints(points_XD=points_ND, rows_U=torch.arange(len(points_ND)), nodes_U=nodes_N),
            centroids_PD=points_ND.mean(dim=0, keepdim=True),
            num_children=num_children,
            seeds=[seed],
        )
    )
    return found[0]


@pytest.mark.parametrize("seed", range(5))
def test_groups_closer_than_a_step_are_told_apart_beside_a_far_point(seed):
    # A step is some 8 here: rounded to steps, the three groups are one point.
    groups = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]).repeat(50, 1)
    points_ND = torch.cat([groups, torch.tensor([[16_000.0, 0.0]])])
    found = starts(points_ND, num_children=4, seed=seed)
    assert sorted(map(tuple, found.tolist())) == [(0, 0), (0, 1), (1, 0), (16_000, 0)]


def test_groups_much_closer_than_a_step_do_not_end_the_choice_early():
    noise = torch.randn(300, 8, generator=torch.Generator().manual_seed(0)) * 1e-3
    points_ND = torch.cat([noise, torch.full((1, 8), 1e4)])
    found = starts(points_ND, num_children=12)
    assert len({tuple(row) for row in found.tolist()}) == 12


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_products_of_lower_precision_choose_the_same_points(precision):
    points_ND = torch.randn(2_000, 24, generator=torch.Generator().manual_seed(1))
    exact = starts(points_ND, num_children=12)
    try:
        torch.set_float32_matmul_precision(precision)
        assert torch.equal(starts(points_ND, num_children=12), exact)
    finally:
        torch.set_float32_matmul_precision("highest")

"""Tiles: every point has one slot, tiles have one parent, gaps come last."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from videobert_cli.core.words.tiles import cut_into_tiles


@settings(deadline=None, max_examples=60)
@given(
    parents=st.lists(st.integers(0, 6), min_size=1, max_size=400),
    is_sorted=st.booleans(),
    has_picked=st.booleans(),
)
def test_each_point_has_one_slot_in_a_tile_of_its_parent(parents, is_sorted, has_picked):
    parents_M = torch.tensor(sorted(parents) if is_sorted else parents)
    # Every other point of a block of twice as many.
    picked_M = 2 * torch.arange(len(parents_M)) if has_picked else None
    tiles = cut_into_tiles(parents_M, picked_M=picked_M)

    assert sorted(tiles.order_M.tolist()) == list(range(len(parents_M)))
    assert len(set(tiles.slots_M.tolist())) == len(parents_M)
    sources_M = tiles.order_M if picked_M is None else picked_M[tiles.order_M]
    assert torch.equal(tiles.points_S[tiles.slots_M], sources_M)
    assert torch.equal(tiles.parents_G[tiles.slots_M // tiles.num_slots], parents_M[tiles.order_M])
    # A tile is filled from its first slot on.
    places_M = tiles.slots_M % tiles.num_slots
    assert bool((places_M < tiles.counts_G[tiles.slots_M // tiles.num_slots]).all())
    assert int(tiles.counts_G.sum()) == len(parents_M)
    assert len(tiles.points_S) == len(tiles.parents_G) * tiles.num_slots


def test_points_that_follow_each_other_are_known_to():
    parents_M = torch.tensor([0, 0, 1, 1, 1, 4])
    assert cut_into_tiles(parents_M, picked_M=None).is_together
    assert cut_into_tiles(parents_M, picked_M=torch.tensor([3, 4, 0, 1, 2, 9])).is_together
    assert not cut_into_tiles(parents_M, picked_M=torch.tensor([3, 5, 0, 1, 2, 9])).is_together
    assert not cut_into_tiles(torch.tensor([0, 1, 0]), picked_M=None).is_together

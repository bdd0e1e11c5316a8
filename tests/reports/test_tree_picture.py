"""The picture of a tree's usage: dead branches are seen, and what lies under one node lies together."""

import numpy as np

from videobert_cli.core.reports.tree_picture import leaf_map_pixels, path_text, shades, tree_picture
from videobert_cli.core.words.tree import word_path

DEAD = [0xDD, 0x9A, 0x6C, 0xFF]


def test_a_dead_branch_is_one_block_of_the_map():
    counts_M = np.arange(1, 82).reshape(3, 3, 3, 3)
    counts_M[1] = 0  # a child of the root: a column of the map
    counts_M[2, 0] = 0  # one of its children: a third of the next column
    pixels_HWC = leaf_map_pixels(counts_M.reshape(-1), branching=3, num_levels=4)
    is_dead = (pixels_HWC == DEAD).all(axis=-1)
    expected = np.zeros((9, 9), dtype=bool)
    expected[:, 3:6] = True
    expected[0:3, 6:9] = True
    assert pixels_HWC.shape == (9, 9, 4)
    assert (is_dead == expected).all()


def test_rows_say_path_clips_and_place_of_each_node():
    levels = [np.array([30, 0]), np.array([10, 20, 0, 0])]
    picture = tree_picture(levels, branching=2)
    assert picture.leaf_map is None
    (first, top), (second, leaves) = picture.rows
    assert (first, second) == (1, 2)
    assert [(node.path, node.num_clips, node.left, node.width) for node in top] == [
        ("0", 30, 0.0, 0.5),
        ("1", 0, 0.5, 0.5),
    ]
    assert [node.path for node in leaves] == ["0/0", "0/1", "1/0", "1/1"]
    assert [node.shade == 0 for node in leaves] == [False, False, True, True]


def test_many_leaves_are_a_map_and_the_levels_above_rows():
    levels = [np.ones(12**level, dtype=np.int64) for level in (1, 2, 3, 4)]
    picture = tree_picture(levels, branching=12)
    assert [level for level, _ in picture.rows] == [1, 2, 3]
    assert picture.leaf_map is not None
    assert picture.leaf_map.startswith("data:image/png;base64,")


def test_a_path_is_the_trees():
    assert path_text(20_735, branching=12, num_levels=4) == "11/11/11/11"
    for word in (0, 5, 143, 1_000):
        assert path_text(word, branching=12, num_levels=4) == "/".join(
            map(str, word_path(word, branching=12, num_levels=4))
        )


def test_one_clip_is_the_lightest_shade_and_none_is_none():
    assert shades(np.array([0, 1, 1_000])).tolist() == [0, 1, 9]
    assert shades(np.array([1, 1])).tolist() == [1, 1]
    assert shades(np.zeros(3, dtype=np.int64)).tolist() == [0, 0, 0]

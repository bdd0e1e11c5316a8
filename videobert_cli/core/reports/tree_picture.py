"""The usage of a tree as a picture: each level a row of nodes, darker where more clips went, marked where none did.

Shapes: M nodes of a level, H height, W width, C colour (RGBA).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from videobert_cli.core.reports.html import png_uri

NUM_SHADES = 9
# More nodes than this are narrower than half a pixel in a row: the leaves of a large tree are drawn as a map instead.
_MAX_ROW_NODES = 2_000
_DEAD = (0xDD, 0x9A, 0x6C, 0xFF)
_LIGHT, _DARK = np.array([0xC7, 0xDF, 0xF2]), np.array([0x10, 0x3A, 0x66])


@dataclass(frozen=True, kw_only=True)
class Node:
    """One node as drawn: where in the row (shares of its width), its shade (0 is dead), its path and clips."""

    left: float
    width: float
    shade: int
    path: str
    num_clips: int


@dataclass(frozen=True, kw_only=True)
class TreePicture:
    """Rows of nodes, root's children first, each as (level, nodes); and the leaves as a map where they are too many."""

    rows: tuple[tuple[int, tuple[Node, ...]], ...]
    leaf_map: str | None


def tree_picture(counts: Sequence[NDArray[np.int64]], *, branching: int) -> TreePicture:
    """Return the picture of a tree whose level k has `branching ** (k + 1)` nodes, with the clips of each."""
    drawn = [(number, counts_M) for number, counts_M in enumerate(counts) if len(counts_M) <= _MAX_ROW_NODES]
    rows = tuple(
        (number + 1, _row(counts_M, branching=branching, num_digits=number + 1)) for number, counts_M in drawn
    )
    is_whole = len(drawn) == len(counts)
    leaf_map = (
        None
        if is_whole
        else png_uri(leaf_map_pixels(counts[-1], branching=branching, num_levels=len(counts)))
    )
    return TreePicture(rows=rows, leaf_map=leaf_map)


def path_text(word: int, *, branching: int, num_levels: int) -> str:
    """Return the way to a node as the children taken.

    >>> path_text(20_735, branching=12, num_levels=4)
    '11/11/11/11'
    """
    digits = []
    for _ in range(num_levels):
        word, digit = divmod(word, branching)
        digits.append(str(digit))
    return "/".join(reversed(digits))


def leaf_map_pixels(counts_M: NDArray[np.int64], *, branching: int, num_levels: int) -> NDArray[np.uint8]:
    """Return the leaves as nested squares [H, W, C]: levels split the picture in columns and rows by turns.

    Every leaf is one pixel, so all that lies under one node is one rectangle, and a dead branch one mark.
    """
    axes = np.arange(num_levels)
    grid = shades(counts_M).reshape((branching,) * num_levels)
    columns, rows = axes[::2], axes[1::2]
    height = branching ** len(rows)
    shades_HW = grid.transpose(*rows, *columns).reshape(height, -1)
    mix = ((shades_HW - 1).clip(min=0) / (NUM_SHADES - 1))[..., None]
    rgb_HWC = np.round(_LIGHT + mix * (_DARK - _LIGHT))
    pixels_HWC = np.concatenate([rgb_HWC, np.full((*shades_HW.shape, 1), 255)], axis=-1)
    pixels_HWC[shades_HW == 0] = _DEAD
    return pixels_HWC.astype(np.uint8)


def shades(counts_M: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 0 for a dead node, else 1 to 9 by the logarithm of its clips against the fullest node's.

    >>> shades(np.array([0, 1, 10, 100])).tolist()
    [0, 1, 5, 9]
    """
    largest = max(2, int(counts_M.max(initial=0)))
    share_M = np.log(counts_M.clip(min=1)) / np.log(largest)
    return np.where(counts_M > 0, 1 + np.round(share_M * (NUM_SHADES - 1)).astype(np.int64), 0)


def _row(counts_M: NDArray[np.int64], *, branching: int, num_digits: int) -> tuple[Node, ...]:
    width = 1.0 / len(counts_M)
    return tuple(
        Node(
            left=number * width,
            width=width,
            shade=int(shade),
            path=path_text(number, branching=branching, num_levels=num_digits),
            num_clips=int(count),
        )
        for number, (count, shade) in enumerate(zip(counts_M, shades(counts_M), strict=True))
    )

"""The training features as the tree sees them: projected, float32, block by block, in memory as far as that reaches.

What is kept in memory, and how large blocks are, changes the time of a fit and nothing else.
"""

from collections.abc import Callable

import torch

from videobert_cli.core.words.projection import Projection, exact_unit, rounded_to
from videobert_cli.core.words.rows import TILE_NUM_ROWS, TrainingRows
from videobert_cli.errors import InputError
from videobert_cli.memory import empty_in_huge_pages
from videobert_cli.ranks import Ranks

# Shapes: N rows of this process, B rows of a block, D feature after the projection.

_BYTES_PER_VALUE = 4
# Of a block that is read anew, besides its float32 values: the float16 it comes from, copies of both.
_BLOCK_COPIES = 4
_BLOCK_ELEMENTS = 1 << 24
_MEASURED_ELEMENTS = 1 << 18
# Points change places by so many of their values at a time, and so many at least: a second copy would take as much
# memory again.
_MOVED_ELEMENTS, _LEAST_MOVED_VALUES = 1 << 22, 16
# Float32 holds squares up to 3e38, and a distance is a sum of a few of them.
_LARGEST_SQUARE = 1e37


class TrainingPoints:
    """This process's share of the training features.

    The first ones are kept in memory (on `device`), as many as `max_memory_bytes` hold; the others are read and
    projected again at each pass. `squares_N` has each point's squared length, float64, in units that sum up without
    rounding.
    """

    def __init__(
        self,
        rows: TrainingRows,
        *,
        projection: Projection,
        device: torch.device,
        ranks: Ranks,
        max_memory_bytes: int,
    ) -> None:
        self._rows = rows
        self.projection = projection
        self.device = device
        self.ranks = ranks
        self.first_row, self._last_row = ranks.share(rows.num_rows, unit=TILE_NUM_ROWS)
        self.num = self._last_row - self.first_row
        self.num_of_all = rows.num_rows
        self.dim = projection.projected_dim
        num_resident, block_num_rows = _plan(self.num, dim=self.dim, num_bytes=max_memory_bytes)
        self._resident_ND = empty_in_huge_pages(num_resident, self.dim, device=device)
        self._num_loaded = 0
        streamed = range(num_resident, self.num, block_num_rows)
        self.blocks = [(0, num_resident)] if num_resident else []
        self.blocks += [(start, min(start + block_num_rows, self.num)) for start in streamed]
        self._loads = [
            (start, min(start + TILE_NUM_ROWS, num_resident))
            for start in range(0, num_resident, TILE_NUM_ROWS)
        ]
        self.squares_N = torch.zeros(self.num, dtype=torch.float64, device=device)
        # Which row each of the kept points is, from this process's first.
        self._resident_rows = torch.arange(num_resident, device=device)

    @property
    def num_resident(self) -> int:
        """How many points are kept in memory."""
        return len(self._resident_ND)

    def read(self, start: int, stop: int) -> torch.Tensor:
        """Return one of the blocks (B, D), or a part of one."""
        if stop <= self._num_loaded:
            return self._resident_ND[start:stop]
        features_BD = self._rows.read(self.first_row + start, self.first_row + stop)
        return self.projection.apply(features_BD, device=self.device)

    def rows_of_all(self, start: int, stop: int) -> torch.Tensor:
        """Return which rows of all the points of a block are (B,)."""
        if stop <= self.num_resident:
            return self.first_row + self._resident_rows[start:stop]
        return torch.arange(self.first_row + start, self.first_row + stop, device=self.device)

    def sort(self, nodes_N: torch.Tensor) -> torch.Tensor:
        """Bring the kept points of one node together, those of a node in the order of their rows; return the node of
        each point then (N,).

        A pass takes a node's points as they lie there: to gather them costs as much as to multiply them.
        """
        num = self.num_resident
        if num == 0 or bool((nodes_N[1:num] >= nodes_N[: num - 1]).all()):
            return nodes_N
        order = torch.argsort(nodes_N[:num], stable=True)
        for start, stop in _closed_ranges(order, num_rows=max(1, _MOVED_ELEMENTS // self.dim)):
            step = max(_LEAST_MOVED_VALUES, _MOVED_ELEMENTS // (stop - start))
            for values_BD in torch.split(self._resident_ND[start:stop], step, dim=1):
                values_BD.copy_(values_BD.index_select(0, order[start:stop] - start))
        self._resident_rows = self._resident_rows[order]
        self.squares_N[:num] = self.squares_N[:num][order]
        return torch.cat([nodes_N[:num][order], nodes_N[num:]])

    def measure(self, *, should_stop: Callable[[], None]) -> tuple[torch.Tensor, float]:
        """Load what is kept, and measure all; return the sum of the points (D,) and of their squared lengths, of all
        ranks.

        Raises:
            InputError: A squared length is no float32 number: distances would all be the same.
        """
        assert self.projection.grid_K is not None  # noqa: S101 - fit_projection gives one
        largest_square = (self.projection.grid_K * 2.0**20).square().sum()
        if float(largest_square) > _LARGEST_SQUARE:
            raise InputError(
                "features are so large that their squares are no float32 numbers",
                at="quantize",
                fix="make the features again, or scale them before they are imported",
            )
        unit = exact_unit(largest_square, num_terms=self.num_of_all).to(self.device)
        sum_D = torch.zeros(self.dim, dtype=torch.float64, device=self.device)
        streamed = [block for block in self.blocks if block[0] >= self.num_resident]
        for start, stop in (*self._loads, *streamed):
            should_stop()
            points_BD = self._load(start, stop) if stop <= self.num_resident else self.read(start, stop)
            step = max(1, _MEASURED_ELEMENTS // self.dim)
            for first in range(start, stop, step):
                part_BD = points_BD[first - start : first - start + step].double()
                sum_D += part_BD.sum(dim=0)
                squares_B = torch.linalg.vecdot(part_BD, part_BD)
                self.squares_N[first : first + len(part_BD)] = rounded_to(squares_B, unit)
        total = self.ranks.sum(self.squares_N.sum(dim=0, keepdim=True))
        return self.ranks.sum(sum_D), float(total)

    def _load(self, start: int, stop: int) -> torch.Tensor:
        """Return points that are kept from now on."""
        features_BD = self._rows.read(self.first_row + start, self.first_row + stop)
        self._num_loaded = stop
        return self.projection.apply(features_BD, device=self.device, out=self._resident_ND[start:stop])


def _closed_ranges(order: torch.Tensor, *, num_rows: int) -> list[tuple[int, int]]:
    """Return ranges of about `num_rows` rows whose rows stay among themselves in this order; longer where none is.

    Children lie where their node's points were: from the second level on a row does not go far.

    >>> _closed_ranges(torch.tensor([1, 0, 2, 5, 3, 4]), num_rows=3)
    [(0, 3), (3, 6)]
    """
    places = torch.arange(len(order), device=order.device)
    ends = torch.nonzero(torch.cummax(order, 0).values == places).flatten() + 1
    ranges: list[tuple[int, int]] = []
    start = 0
    while start < len(order):
        last = int(torch.searchsorted(ends, start + num_rows, right=True)) - 1
        stop = int(ends[last]) if last >= 0 else start
        if stop <= start:
            stop = int(ends[last + 1])
        ranges.append((start, stop))
        start = stop
    return ranges


def _plan(num: int, *, dim: int, num_bytes: int) -> tuple[int, int]:
    """Return how many points are kept in memory, and how many a block has that is not.

    >>> _plan(1000, dim=8, num_bytes=1 << 20)
    (1000, 1000)
    >>> _plan(1_000_000, dim=8, num_bytes=1 << 20)
    (16384, 4096)
    """
    row_bytes = dim * _BYTES_PER_VALUE
    if num * row_bytes <= num_bytes:
        return num, max(1, num)
    # Half for the blocks that are read anew, and what is made of them.
    block = min(_BLOCK_ELEMENTS // dim, num_bytes // 2 // (row_bytes * _BLOCK_COPIES))
    return min(num, num_bytes // 2 // row_bytes), max(1, block)

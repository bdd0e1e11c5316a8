"""The stream of sequences as batches: so many sequences, or as many as a budget of tokens holds.

Shapes: B sequences of one batch.
"""

from typing import Protocol

import numpy as np

from videobert_cli.core.sequences.dataset import PretrainingSamples
from videobert_cli.core.sequences.packing import PackedBatch, pack_block
from videobert_cli.core.sequences.token_sequence import SequenceBlock, block_of, joined_blocks

# Sequences that are prepared at once: few against a batch, so that several workers share one; many against a message.
BLOCK_NUM_SEQUENCES = 64


class BlockLoader(Protocol):
    """Prepares the stream in blocks of `num_sequences`: block n is the sequences from n * `num_sequences` on.

    A loader of part i of n has every n-th block of the stream alone, from block i on.
    """

    @property
    def num_sequences(self) -> int:
        """Sequences of one block."""

    def block(self, number: int) -> SequenceBlock:
        """Return a block; blocks are asked for in ascending order, from any start."""


class InlineLoader:
    """Builds each block when it is asked for, in this process."""

    def __init__(
        self,
        samples: PretrainingSamples,
        *,
        num_sequences: int = BLOCK_NUM_SEQUENCES,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        """Args: `part` is (i, n) for part i of n of the stream's blocks."""
        self._samples = samples
        self.num_sequences: int = num_sequences
        self._part = part

    def block(self, number: int) -> SequenceBlock:
        """Return a block, built now."""
        first = block_of_part(number, part=self._part) * self.num_sequences
        return block_of([self._samples.sequence(first + offset) for offset in range(self.num_sequences)])


def block_of_part(number: int, *, part: tuple[int, int]) -> int:
    """Return which block of the whole stream is block `number` of part i of n."""
    index, num_parts = part
    return number * num_parts + index


class Batches:
    """Batches of the stream, in its order; the same from any loader."""

    def __init__(self, loader: BlockLoader, *, num_sequences: int, max_num_tokens: int | None = None) -> None:
        """Args:
        loader: Prepares the stream.
        num_sequences: Sequences of every batch, unless there is a budget.
        max_num_tokens: The budget: a batch is as many sequences as fit, and at least one.
        """
        self._loader = loader
        self._num_sequences = num_sequences
        self._max_num_tokens = max_num_tokens
        self._kept: tuple[int, SequenceBlock] | None = None

    def first_number(self, step: int, *, first_sequence: int) -> int:
        """Return the number in the stream of the first sequence that the batch of `step` holds."""
        return step * self._num_sequences if self._max_num_tokens is None else first_sequence

    def batch(self, step: int, *, first_sequence: int) -> PackedBatch:
        """Return the batch of `step`: with a budget it begins at `first_sequence`, else the step says where."""
        first_sequence = self.first_number(step, first_sequence=first_sequence)
        size, number = self._loader.num_sequences, first_sequence
        parts: list[SequenceBlock] = []
        num_tokens = 0
        while True:
            block, offset = self._block(number // size), number % size
            num_taken = self._num_fitting(
                block.lengths_B[offset:], num_sequences=number - first_sequence, num_tokens=num_tokens
            )
            if num_taken:
                parts.append(block.cut(offset, offset + num_taken))
                num_tokens += len(parts[-1].input_ids_S)
                number += num_taken
            if offset + num_taken < size or number - first_sequence == self._most:
                return pack_block(joined_blocks(parts))

    @property
    def _most(self) -> int | None:
        return self._num_sequences if self._max_num_tokens is None else None

    def _num_fitting(self, lengths_B: np.ndarray, *, num_sequences: int, num_tokens: int) -> int:
        """Return how many of these go on a batch that has `num_sequences` of `num_tokens` in all."""
        if self._max_num_tokens is None:
            return min(len(lengths_B), self._num_sequences - num_sequences)
        room = self._max_num_tokens - num_tokens
        num_fitting = int(np.searchsorted(np.cumsum(lengths_B), room, side="right"))
        return max(num_fitting, 0 if num_sequences else 1)

    def _block(self, number: int) -> SequenceBlock:
        """Return a block, of which the batch before may have taken a part."""
        if self._kept is None or self._kept[0] != number:
            self._kept = (number, self._loader.block(number))
        return self._kept[1]

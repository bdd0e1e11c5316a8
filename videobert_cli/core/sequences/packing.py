"""Sequences of different lengths as one batch without padding: end to end, and where each one starts.

Shapes: S tokens of one sequence or of a whole batch, B sequences, P tokens that carry a loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from videobert_cli.core.sequences.token_sequence import NO_LABEL, SequenceBlock, TokenSequence, block_of

__all__ = ["NO_LABEL", "PackedBatch", "TokenSequence", "pack", "pack_block", "unpack"]


@dataclass(frozen=True, kw_only=True)
class PackedBatch:
    """B sequences end to end: sequence b is the tokens `cu_seqlens[b]` to `cu_seqlens[b + 1]`.

    Positions start at 0 in each sequence. `masked_positions_P` are the indices (in ascending order) of the
    tokens with a label; they are found here, on the CPU, because finding them on a GPU would stop it once a
    step. `pairings_B` (indices into `PAIRINGS`, -100 for none) is for counting alone; no model reads it.
    """

    input_ids_S: Tensor
    token_type_ids_S: Tensor
    position_ids_S: Tensor
    labels_S: Tensor
    masked_positions_P: Tensor
    cu_seqlens: Tensor
    max_seqlen: int
    alignment_B: Tensor
    pairings_B: Tensor

    @property
    def num_sequences(self) -> int:
        """Number of sequences in the batch."""
        return self.alignment_B.shape[0]

    @property
    def num_tokens(self) -> int:
        """Number of tokens in the batch; there is no padding, so all of them are real."""
        return self.input_ids_S.shape[0]

    def split(self, num_parts: int) -> list[Self]:
        """Return the batch's sequences, in order, as parts of about equal numbers of tokens; at most one a sequence."""
        num_parts = min(num_parts, self.num_sequences)
        if num_parts <= 1:
            return [self]
        ends_B = self.cu_seqlens[1:].numpy()
        wanted = ends_B[-1] * np.arange(1, num_parts) / num_parts
        # Each part has a sequence: bounds that fall together move apart, and those at the end make room.
        bounds = np.searchsorted(ends_B, wanted, side="right")
        edges = [0]
        for number in range(1, num_parts):
            latest = self.num_sequences - (num_parts - number)
            edges.append(min(max(int(bounds[number - 1]), edges[-1] + 1), latest))
        return [self._cut(first, stop) for first, stop in pairwise([*edges, self.num_sequences])]

    def _cut(self, first: int, stop: int) -> Self:
        """Return the sequences from `first` to before `stop`, as views."""
        starts = self.cu_seqlens[first : stop + 1]
        begin, end = int(starts[0]), int(starts[-1])
        lower, upper = torch.searchsorted(self.masked_positions_P, torch.tensor([begin, end])).tolist()
        return type(self)(
            input_ids_S=self.input_ids_S[begin:end],
            token_type_ids_S=self.token_type_ids_S[begin:end],
            position_ids_S=self.position_ids_S[begin:end],
            labels_S=self.labels_S[begin:end],
            masked_positions_P=self.masked_positions_P[lower:upper] - begin,
            cu_seqlens=starts - begin,
            max_seqlen=int(starts.diff().max()),
            alignment_B=self.alignment_B[first:stop],
            pairings_B=self.pairings_B[first:stop],
        )

    def to(self, device: torch.device | str) -> Self:
        """Return the batch on `device`; copies from pinned memory overlap with work."""
        return self._with_tensors(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Self:
        """Return the batch in page-locked memory; a data loader calls this when asked to pin."""
        return self._with_tensors(lambda tensor: tensor.pin_memory())

    def _with_tensors(self, change: Any) -> Self:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return type(self)(**{k: change(v) if isinstance(v, Tensor) else v for k, v in values.items()})


def pack(sequences: Sequence[TokenSequence]) -> PackedBatch:
    """Return the sequences, in the order given, as one batch on the CPU.

    Raises:
        ValueError: There is no sequence, one is empty, or the arrays of one differ in length.
    """
    return pack_block(block_of(sequences))


def pack_block(block: SequenceBlock) -> PackedBatch:
    """Return the block's sequences as one batch on the CPU."""
    ends_B = np.cumsum(block.lengths_B)
    starts_S = np.repeat(ends_B - block.lengths_B, block.lengths_B)
    labels_S = _tensor(block.labels_S)
    return PackedBatch(
        input_ids_S=_tensor(block.input_ids_S),
        token_type_ids_S=_tensor(block.token_type_ids_S),
        position_ids_S=_tensor(np.arange(len(starts_S)) - starts_S),
        labels_S=labels_S,
        masked_positions_P=torch.nonzero(labels_S != NO_LABEL).squeeze(-1),
        cu_seqlens=torch.from_numpy(np.concatenate([[0], ends_B]).astype(np.int32)),
        max_seqlen=int(block.lengths_B.max()),
        alignment_B=_tensor(block.alignment_B),
        pairings_B=_tensor(block.pairings_B),
    )


def unpack(values_S: Tensor, batch: PackedBatch) -> list[Tensor]:
    """Return `values_S` (a row for each token of the batch) cut into its sequences, as views."""
    return list(torch.split(values_S, batch.cu_seqlens.diff().tolist()))


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.int64))

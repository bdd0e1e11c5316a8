"""Sequences of different lengths as one batch without padding: end to end, and where each one starts.

Shapes: S tokens of one sequence or of a whole batch, B sequences, P tokens that carry a loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

NO_LABEL = -100


@dataclass(frozen=True, kw_only=True)
class TokenSequence:
    """One input of the model, as the sequence stage makes it.

    `labels_S` holds the token to be predicted, or -100 where no loss is taken; `alignment` is 1 when text and
    video belong together, 0 when they do not (BERT's next-sentence labels are the other way round), -100 when nobody
    asks.
    """

    input_ids: np.ndarray[Any, np.dtype[np.int64]]
    token_type_ids: np.ndarray[Any, np.dtype[np.int64]]
    labels: np.ndarray[Any, np.dtype[np.int64]]
    alignment: int = NO_LABEL


@dataclass(frozen=True, kw_only=True)
class PackedBatch:
    """B sequences end to end: sequence b is the tokens `cu_seqlens[b]` to `cu_seqlens[b + 1]`.

    Positions start at 0 in each sequence. `masked_positions_P` are the indices (in ascending order) of the
    tokens with a label; they are found here, on the CPU, because finding them on a GPU would stop it once a
    step.
    """

    input_ids_S: Tensor
    token_type_ids_S: Tensor
    position_ids_S: Tensor
    labels_S: Tensor
    masked_positions_P: Tensor
    cu_seqlens: Tensor
    max_seqlen: int
    alignment_B: Tensor

    @property
    def num_sequences(self) -> int:
        """Number of sequences in the batch."""
        return self.alignment_B.shape[0]

    @property
    def num_tokens(self) -> int:
        """Number of tokens in the batch; there is no padding, so all of them are real."""
        return self.input_ids_S.shape[0]

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
    lengths = [len(sequence.input_ids) for sequence in sequences]
    if not lengths or min(lengths) == 0:
        raise ValueError(f"a batch needs at least one sequence of at least one token, got lengths {lengths}")
    for sequence, length in zip(sequences, lengths, strict=True):
        if len(sequence.token_type_ids) != length or len(sequence.labels) != length:
            types, labels = len(sequence.token_type_ids), len(sequence.labels)
            raise ValueError(f"a sequence has {length} ids, {types} types, {labels} labels")
    labels_S = _join([sequence.labels for sequence in sequences])
    return PackedBatch(
        input_ids_S=_join([sequence.input_ids for sequence in sequences]),
        token_type_ids_S=_join([sequence.token_type_ids for sequence in sequences]),
        position_ids_S=_join([np.arange(length) for length in lengths]),
        labels_S=labels_S,
        masked_positions_P=torch.nonzero(labels_S != NO_LABEL).squeeze(-1),
        cu_seqlens=torch.from_numpy(np.cumsum([0, *lengths], dtype=np.int32)),
        max_seqlen=max(lengths),
        alignment_B=torch.tensor([sequence.alignment for sequence in sequences], dtype=torch.int64),
    )


def unpack(values_S: Tensor, batch: PackedBatch) -> list[Tensor]:
    """Return `values_S` (a row for each token of the batch) cut into its sequences, as views."""
    return list(torch.split(values_S, batch.cu_seqlens.diff().tolist()))


def _join(arrays: Sequence[np.ndarray[Any, Any]]) -> Tensor:
    return torch.from_numpy(np.concatenate(arrays).astype(np.int64, copy=False))

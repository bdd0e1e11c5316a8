"""One input of the model, and several end to end: arrays of numpy alone, so that loader workers need no torch.

Shapes: S tokens of one sequence or of several, B sequences.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal, Self

import numpy as np

NO_LABEL = -100
ALIGNED, MISALIGNED = 1, 0
# Where the words of a video-text sequence come from: its own place, elsewhere in its video, another video.
Pairing = Literal["aligned", "same_video", "other_video"]
PAIRINGS: tuple[Pairing, ...] = ("aligned", "same_video", "other_video")


@dataclass(frozen=True, kw_only=True)
class TokenSequence:
    """One input of the model, as the sequence stage makes it.

    `labels_S` holds the token to be predicted, or -100 where no loss is taken; `alignment` is 1 when text and
    video belong together, 0 when they do not (BERT's next-sentence labels are the other way round), -100 when nobody
    asks; `pairing` says where the words of a video-text sequence come from, None for all others.
    """

    input_ids: np.ndarray
    token_type_ids: np.ndarray
    labels: np.ndarray
    alignment: int = NO_LABEL
    pairing: Pairing | None = None


@dataclass(frozen=True, kw_only=True)
class SequenceBlock:
    """B sequences end to end, `lengths_B` tokens each; `pairings_B` are indices into `PAIRINGS`, -100 for None."""

    input_ids_S: np.ndarray
    token_type_ids_S: np.ndarray
    labels_S: np.ndarray
    lengths_B: np.ndarray
    alignment_B: np.ndarray
    pairings_B: np.ndarray

    @property
    def num_sequences(self) -> int:
        """Number of sequences."""
        return len(self.lengths_B)

    def cut(self, first: int, stop: int) -> Self:
        """Return sequences `first` up to, not including, `stop`, as views."""
        start_S, stop_S = int(self.lengths_B[:first].sum()), int(self.lengths_B[:stop].sum())
        bounds = {"S": (start_S, stop_S), "B": (first, stop)}
        return type(self)(
            **{
                field.name: getattr(self, field.name)[slice(*bounds[field.name[-1]])]
                for field in fields(self)
            }
        )


def block_of(sequences: Sequence[TokenSequence]) -> SequenceBlock:
    """Return the sequences, in the order given, end to end.

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
    pairings = [NO_LABEL if s.pairing is None else PAIRINGS.index(s.pairing) for s in sequences]
    return SequenceBlock(
        input_ids_S=_joined([sequence.input_ids for sequence in sequences]),
        token_type_ids_S=_joined([sequence.token_type_ids for sequence in sequences]),
        labels_S=_joined([sequence.labels for sequence in sequences]),
        lengths_B=np.array(lengths, dtype=np.int64),
        alignment_B=np.array([sequence.alignment for sequence in sequences], dtype=np.int64),
        pairings_B=np.array(pairings, dtype=np.int64),
    )


def joined_blocks(blocks: Sequence[SequenceBlock]) -> SequenceBlock:
    """Return the blocks' sequences as one block."""
    if len(blocks) == 1:
        return blocks[0]
    return SequenceBlock(
        **{
            field.name: _joined([getattr(block, field.name) for block in blocks])
            for field in fields(SequenceBlock)
        }
    )


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays).astype(np.int64, copy=False)

"""Labelled segments as batches of pretraining: `[CLS] words [SEP]` with the targets of every head of labels.

Shapes: T words of one segment, N segments, B segments of one batch, L numbers of a target (`core.model.label_heads`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import zip_longest
from typing import Self

import numpy as np
import torch

from videobert_cli.core.model.label_heads import LabelledPart
from videobert_cli.core.model.labels import LabelHead
from videobert_cli.core.sequences.joint import JointVocabulary, join, subsample, truncate, unmasked
from videobert_cli.core.sequences.labelled import LabelledWords
from videobert_cli.core.sequences.packing import NO_LABEL, PackedBatch, pack
from videobert_cli.core.sequences.shares import rank_shares
from videobert_cli.core.training.options import LabelHeadOptions
from videobert_cli.errors import InputError
from videobert_cli.runtime import derive_seed


@dataclass(frozen=True, kw_only=True)
class SegmentBatch:
    """Segments end to end, and their targets (B, L), -100 where a segment has no label of a head."""

    packed: PackedBatch
    targets_BL: torch.Tensor

    @property
    def num_sequences(self) -> int:
        """Number of segments."""
        return self.packed.num_sequences

    @property
    def num_tokens(self) -> int:
        """Number of tokens of all segments."""
        return self.packed.num_tokens

    def num_labels(self, heads: Sequence[LabelHead]) -> list[int]:
        """Return how many segments have a label of each head."""
        columns = torch.split(self.targets_BL, [head.num_targets for head in heads], dim=1)
        return [int((own_BL[:, 0] != NO_LABEL).sum()) for own_BL in columns]

    def share(self, *, index: int, num_ranks: int) -> Self:
        """Return the segments that rank `index` computes; where there is none for it, `nothing`."""
        numbers_B = rank_shares(self.packed.cu_seqlens.diff().numpy(), num_ranks=num_ranks)[index]
        if not len(numbers_B):
            return self.nothing()
        return type(self)(packed=self.packed.take(numbers_B), targets_BL=self.targets_BL[numbers_B])

    def nothing(self) -> Self:
        """Return the first segment without its labels: the heads run, and no loss, gradient or count changes."""
        return type(self)(
            packed=self.packed.nothing(), targets_BL=torch.full_like(self.targets_BL[:1], NO_LABEL)
        )

    def split(self, num_parts: int) -> list[Self]:
        """Return the segments in parts of about equal numbers of tokens."""
        parts = self.packed.split(num_parts)
        targets = torch.split(self.targets_BL, [part.num_sequences for part in parts])
        return [
            type(self)(packed=part, targets_BL=own_BL) for part, own_BL in zip(parts, targets, strict=True)
        ]


@dataclass(frozen=True, kw_only=True)
class PretrainingBatch:
    """Sequences of the stream and labelled segments, which go through the encoder in one pass; either may be missing.

    `num_sequences` counts the stream's alone: it says where the next step goes on.
    """

    stream: PackedBatch | None = None
    segments: SegmentBatch | None = None

    @property
    def num_sequences(self) -> int:
        """Number of the stream's sequences."""
        return 0 if self.stream is None else self.stream.num_sequences

    @property
    def num_tokens(self) -> int:
        """Number of tokens of all, labelled segments too."""
        packed = (self.stream, None if self.segments is None else self.segments.packed)
        return sum(batch.num_tokens for batch in packed if batch is not None)

    def share(self, *, index: int, num_ranks: int) -> Self:
        """Return what rank `index` computes of both."""
        stream, segments = self.stream, self.segments
        return type(self)(
            stream=stream and stream.share(index=index, num_ranks=num_ranks),
            segments=segments and segments.share(index=index, num_ranks=num_ranks),
        )

    def nothing(self) -> Self:
        """Return a batch of which nothing is learned, with segments where this one has some."""
        return type(self)(
            stream=self.stream and self.stream.nothing(), segments=self.segments and self.segments.nothing()
        )

    def split(self, num_parts: int) -> list[Self]:
        """Return stream and segments in parts of about equal numbers of tokens each; at most one a sequence.

        Where there are segments every part has some, if need be without labels: ranks want a gradient of every head
        from each of their last parts.
        """
        streams = [] if self.stream is None else self.stream.split(num_parts)
        segments = [] if self.segments is None else self.segments.split(num_parts)
        parts = [type(self)(stream=part, segments=own) for part, own in zip_longest(streams, segments)]
        if self.segments is None:
            return parts
        return [replace(part, segments=part.segments or self.segments.nothing()) for part in parts]


def label_heads(
    segments: Sequence[LabelledWords], options: Sequence[LabelHeadOptions]
) -> tuple[LabelHead, ...]:
    """Return the heads with the classes that the segments of the training split show, sorted.

    Raises:
        InputError: A column has fewer than two classes there.
    """
    heads = []
    for option in options:
        head = LabelHead(name=option.column, kind=option.kind, separator=option.separator)
        found = {
            value for segment in segments if segment.split == "train" for value in head.values(segment.labels)
        }
        if len(found) < 2:
            raise InputError(
                f"column {option.column!r} has {len(found)} classes in the training split; a head needs two",
                at="pretrain.labels.heads",
                fix="name columns of the manifest that hold classes; `--dry-run` lists the columns there are",
            )
        heads.append(replace(head, classes=tuple(sorted(found))))
    return tuple(heads)


class LabelledSegments:
    """The segments of one split that have a label of at least one head.

    Classes that the training split does not show are passed over; a segment that has no other counts as unlabelled.
    `ids` name the segments, for a message.
    """

    def __init__(
        self,
        segments: Sequence[LabelledWords],
        *,
        heads: Sequence[LabelHead],
        vocabulary: JointVocabulary,
        max_num_tokens: int,
    ) -> None:
        rows = [(segment, targets_of(segment.labels, heads)) for segment in segments]
        kept = [(segment, targets_L) for segment, targets_L in rows if (targets_L != NO_LABEL).any()]
        first_word = int(vocabulary.visual_ids[0])
        self._words = [segment.words_T.astype(np.int64) + first_word for segment, _ in kept]
        self._targets = [targets_L for _, targets_L in kept]
        self.ids = tuple(f"{segment.video_id} at {segment.start_seconds:g} s" for segment, _ in kept)
        self._vocabulary = vocabulary
        self._max_num_tokens = max_num_tokens

    def __len__(self) -> int:
        """Return how many segments there are."""
        return len(self._words)

    def batch(self, numbers: Sequence[int], *, words: Sequence[np.ndarray] | None = None) -> SegmentBatch:
        """Return segments by their numbers, with their own words or those given, which are joint ids."""
        shown = [self._words[number] for number in numbers] if words is None else words
        cut = [truncate(words_T[:0], words_T, max_num_tokens=self._max_num_tokens)[1] for words_T in shown]
        return SegmentBatch(
            packed=pack([join(None, unmasked(words_T), vocabulary=self._vocabulary) for words_T in cut]),
            targets_BL=torch.from_numpy(np.stack([self._targets[number] for number in numbers])),
        )

    def words(self, number: int) -> np.ndarray:
        """Return a segment's words (T,), joint ids."""
        return self._words[number]

    def targets(self) -> np.ndarray:
        """Return the targets of all segments (N, L)."""
        return np.stack(self._targets)

    def spread(self, *, num: int) -> list[int]:
        """Return the numbers of at most `num` segments, evenly spread."""
        if len(self) <= num:
            return list(range(len(self)))
        return [int(position) for position in np.linspace(0, len(self) - 1, num)]


class LabelledStream:
    """Batches of training segments: every segment once an epoch, in an order of the epoch's own, words sub-sampled."""

    def __init__(
        self, segments: LabelledSegments, *, num_segments: int, max_subsampling: int, seed: int
    ) -> None:
        self._segments = segments
        self._num_segments = num_segments
        self._max_subsampling = max_subsampling
        self._seed = seed
        self._order = lru_cache(maxsize=2)(self._draw_epoch)

    def batch(self, step: int) -> SegmentBatch:
        """Return the segments of `step`, which depend on the seed and the step alone."""
        first = step * self._num_segments
        places = [divmod(first + offset, len(self._segments)) for offset in range(self._num_segments)]
        chosen = [(epoch, int(self._order(epoch)[position])) for epoch, position in places]
        words = [self._subsampled(number, epoch=epoch) for epoch, number in chosen]
        return self._segments.batch([number for _, number in chosen], words=words)

    def _subsampled(self, number: int, *, epoch: int) -> np.ndarray:
        generator = np.random.default_rng(derive_seed(self._seed, "labelled words", epoch, number))
        words_T = self._segments.words(number)
        return subsample(words_T, max_rate=self._max_subsampling, min_num_words=2, generator=generator)

    def _draw_epoch(self, epoch: int) -> np.ndarray:
        generator = np.random.default_rng(derive_seed(self._seed, "labelled order", epoch))
        return generator.permutation(len(self._segments))


def targets_of(labels: Mapping[str, str], heads: Sequence[LabelHead]) -> np.ndarray:
    """Return a segment's target (L,): class numbers of single-label heads, 0 or 1 for each class of the others."""
    parts = []
    for head in heads:
        numbers = head.numbers(labels)
        if head.kind == "single":
            parts.append(np.array(numbers[:1] or [NO_LABEL]))
        elif numbers:
            parts.append(np.isin(np.arange(len(head.classes)), numbers).astype(np.int64))
        else:
            parts.append(np.full(len(head.classes), NO_LABEL))
    return np.concatenate(parts).astype(np.int64)


def appended(batch: PretrainingBatch) -> tuple[PackedBatch, LabelledPart | None]:
    """Return the sequences and, after them, the labelled segments as one packed batch, and where the latter are.

    Raises:
        ValueError: There is neither.
    """
    stream, segments = batch.stream, batch.segments
    if segments is None:
        if stream is None:
            raise ValueError("a batch needs sequences or labelled segments")
        return stream, None
    num_sequences, num_tokens = (stream.num_sequences, stream.num_tokens) if stream else (0, 0)
    part = LabelledPart(
        first_sequence=num_sequences,
        first_token=num_tokens,
        max_seqlen=segments.packed.max_seqlen,
        targets_BL=segments.targets_BL,
    )
    return _end_to_end(stream, segments.packed) if stream else segments.packed, part


def _end_to_end(first: PackedBatch, second: PackedBatch) -> PackedBatch:
    def joined(name: str) -> torch.Tensor:
        return torch.cat([getattr(first, name), getattr(second, name)])

    return PackedBatch(
        input_ids_S=joined("input_ids_S"),
        token_type_ids_S=joined("token_type_ids_S"),
        position_ids_S=joined("position_ids_S"),
        labels_S=joined("labels_S"),
        masked_positions_P=torch.cat(
            [first.masked_positions_P, second.masked_positions_P + first.num_tokens]
        ),
        cu_seqlens=torch.cat([first.cu_seqlens, second.cu_seqlens[1:] + first.num_tokens]),
        max_seqlen=max(first.max_seqlen, second.max_seqlen),
        alignment_B=joined("alignment_B"),
        pairings_B=joined("pairings_B"),
    )

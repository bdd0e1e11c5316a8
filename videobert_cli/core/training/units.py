"""What a classifier gives one answer about: a labelled segment, or a whole video by its labelled segments.

Shapes: T words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from videobert_cli.core.model.labels import LabelHead
from videobert_cli.core.sequences.labelled import LabelledWords
from videobert_cli.core.training.finetune_options import Unit
from videobert_cli.errors import InputError


@dataclass(frozen=True, kw_only=True)
class LabelledUnit:
    """A segment alone, or all labelled segments of a video in the manifest's order, and the classes of all of them."""

    unit: Unit
    segments: tuple[LabelledWords, ...]
    values: tuple[str, ...]

    @property
    def video_id(self) -> str:
        """The video it is of."""
        return self.segments[0].video_id

    @property
    def split(self) -> str:
        """The split of its video."""
        return self.segments[0].split

    def words(self) -> np.ndarray:
        """Return its visual words (T,), segment after segment."""
        return np.concatenate([segment.words_T for segment in self.segments])

    def parts(self, *, max_num_words: int) -> list[LabelledWords]:
        """Return what the model reads at once: a segment as it is, a video in as few equal parts as there is room for.

        Each has the times of the whole and no label.
        """
        words = (
            [self.words()]
            if self.unit == "segment"
            else word_parts(self.words(), max_num_words=max_num_words)
        )
        first, last = self.segments[0], self.segments[-1]
        return [
            LabelledWords(
                video_id=first.video_id,
                split=first.split,
                start_seconds=first.start_seconds,
                end_seconds=last.end_seconds,
                words_T=words_T,
                labels={},
            )
            for words_T in words
        ]


def labelled_units(
    segments: Sequence[LabelledWords], *, head: LabelHead, unit: Unit
) -> tuple[LabelledUnit, ...]:
    """Return the units that have a value in the head's column, in the order of their first segments.

    Raises:
        InputError: The head wants one class, and the segments of a video have several.
    """
    groups: dict[Any, list[LabelledWords]] = {}
    for number, segment in enumerate(segments):
        if head.values(segment.labels):
            groups.setdefault(segment.video_id if unit == "video" else number, []).append(segment)
    units = tuple(
        LabelledUnit(
            unit=unit,
            segments=tuple(group),
            values=tuple(dict.fromkeys(value for each in group for value in head.values(each.labels))),
        )
        for group in groups.values()
    )
    if head.kind == "single":
        _require_one_class({each.video_id: each.values for each in units if len(each.values) > 1}, head=head)
    return units


def word_parts(words_T: np.ndarray, *, max_num_words: int) -> list[np.ndarray]:
    """Return the words in as few parts as the model can read, equal but for one word.

    >>> [len(part_T) for part_T in word_parts(np.arange(10), max_num_words=4)]
    [4, 3, 3]
    """
    return np.array_split(words_T, max(1, -(-len(words_T) // max_num_words)))


def _require_one_class(mixed: Mapping[str, tuple[str, ...]], *, head: LabelHead) -> None:
    if mixed:
        video, values = next(iter(mixed.items()))
        raise InputError(
            f"column {head.name!r} has several classes in one video, in {len(mixed):,} of them: "
            f"{video} has {', '.join(values[:3])}",
            at="finetune.unit",
            fix="--set finetune.labels=multi, or --set finetune.unit=segment",
        )

"""Where the words of a training sequence come from: video and clip of each, and the token that each position had.

A sequence does not say it. But which words it holds is decided before anything is masked, and from their places alone:
drawn once more from documents whose words are numbered, the same sample tells the number of each clip.

Shapes: T clips of one video, S tokens of one sequence.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np

from videobert_cli.core.sequences.dataset import Document, PretrainingSamples, Regime
from videobert_cli.core.sequences.joint import JointVocabulary
from videobert_cli.core.sequences.mask import NO_LOSS
from videobert_cli.core.sequences.options import SequenceOptions
from videobert_cli.core.sequences.packing import TokenSequence


@dataclass(frozen=True, kw_only=True)
class ClipOrigin:
    """A clip of one document, by its number in time."""

    document_id: str
    clip: int


@dataclass(frozen=True, kw_only=True)
class TracedSequence:
    """A sequence as the model sees it, and what it was before it was masked.

    `original_ids_S` are the ids without any mask; `origins` has the clip of each position, None for all but words.
    `document_id` is whose sample and text it is; the words of an unaligned one are of another place.
    `sentences` are the sentences that the text joins, first and one past the last, None without text.
    """

    sequence: TokenSequence
    regime: Regime
    document_id: str
    original_ids_S: np.ndarray
    origins: tuple[ClipOrigin | None, ...]
    sentences: tuple[int, int] | None


class SequenceTracer:
    """The samples of a corpus with their origins: `trace(n)` tells of `samples.sequence(n)`."""

    def __init__(
        self,
        documents: Sequence[Document],
        *,
        options: SequenceOptions,
        vocabulary: JointVocabulary,
        seed: int,
    ) -> None:
        self._documents = documents
        self._vocabulary = vocabulary
        self._first_number = 1 + int(max(vocabulary.visual_ids.max(initial=0), vocabulary.glue_id))
        # The first number of each document's clips.
        self._starts = [0, *accumulate(len(document.words_T) for document in documents)]
        numbered = [
            replace(document, words_T=self._first_number + np.arange(start, start + len(document.words_T)))
            for document, start in zip(documents, self._starts[:-1], strict=True)
        ]
        self._samples = PretrainingSamples(documents, options=options, vocabulary=vocabulary, seed=seed)
        # Nothing masked in joint sequences; where one side alone is masked, the labels tell what was there.
        plain = options.model_copy(update={"joint_masking": "none"})
        self._numbered = PretrainingSamples(numbered, options=plain, vocabulary=vocabulary, seed=seed)

    @property
    def epoch_size(self) -> int:
        """Number of sequences in one epoch."""
        return self._samples.epoch_size

    def trace(self, number: int) -> TracedSequence:
        """Return sequence `number` of the endless stream and where it comes from."""
        sequence = self._samples.sequence(number)
        twin = self._numbered.sequence(number)
        numbers_S = np.where(twin.labels == NO_LOSS, twin.input_ids, twin.labels)
        origins = tuple(self._origin(int(value)) for value in numbers_S)
        words = {document.id: document.words_T for document in self._documents}
        original_ids_S = np.array(
            [
                int(value) if origin is None else int(words[origin.document_id][origin.clip])
                for value, origin in zip(numbers_S, origins, strict=True)
            ]
        )
        sample, _ = self._samples.sample(number)
        document = self._documents[sample.document]
        text_S = original_ids_S[1 : self._text_end(original_ids_S)]
        return TracedSequence(
            sequence=sequence,
            regime=sample.regime,
            document_id=document.id,
            original_ids_S=original_ids_S,
            origins=origins,
            sentences=None if sample.regime == "video" else _joined(document, text_S, item=sample.item),
        )

    def _origin(self, value: int) -> ClipOrigin | None:
        if value < self._first_number:
            return None
        number = value - self._first_number
        # A document without clips begins where the next one does: the last of those is meant.
        position = bisect_right(self._starts, number) - 1
        return ClipOrigin(document_id=self._documents[position].id, clip=number - self._starts[position])

    def _text_end(self, ids_S: np.ndarray) -> int:
        ends = np.flatnonzero(np.isin(ids_S, [self._vocabulary.glue_id, self._vocabulary.sep_id]))
        return int(ends[0]) if len(ends) else len(ids_S)


def _joined(document: Document, text_S: np.ndarray, *, item: int) -> tuple[int, int] | None:
    """Return the run of sentences around `item` whose tokens the text is, or begins with where it was cut."""
    for first in range(item, -1, -1):
        tokens = np.zeros(0, dtype=np.int64)
        for stop in range(first + 1, len(document.sentences) + 1):
            tokens = np.concatenate([tokens, document.sentences[stop - 1]])
            if stop > item and len(tokens) >= len(text_S):
                if np.array_equal(tokens[: len(text_S)], text_S):
                    return first, stop
                break
    return None

"""All documents of a split as flat arrays: what sequences are made of, opened from disk without reading it.

On disk: the artifact `tokens`, one .npy file for each array, mapped into memory; its manifest names what it was made
from. A million sentences of ten tokens are 56 MB of file, and no Python object each.

Shapes: D documents, N sentences of all documents, L text tokens and C visual words of all documents, each offset array
one longer than what it counts.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from videobert_cli import artifacts
from videobert_cli.artifacts.arrays import ArrayWriter, mapped_array
from videobert_cli.core.sequences.segments import ClipSpan
from videobert_cli.errors import ArtifactError

KIND = "tokens"
FORMAT = 1
NO_CLIP = -1
_COLUMNS: Mapping[str, Any] = {
    "id_bytes": np.uint8,
    "id_offsets": np.int64,
    "words": np.int32,
    "word_offsets": np.int64,
    "tokens": np.int32,
    "token_offsets": np.int64,
    "sentence_offsets": np.int64,
    "spans": np.int32,
}
_OFFSETS = ("id_offsets", "word_offsets", "token_offsets", "sentence_offsets")


@dataclass(frozen=True, kw_only=True)
class Document:
    """One video (or transcript) ready for sequences.

    `words_T` are joint ids of its visual words, empty for a transcript without video; `sentences` the text ids of its
    sentences in order of time, and `spans` the clips each covers (None throughout for a transcript without video).
    """

    id: str
    words_T: np.ndarray
    sentences: tuple[np.ndarray, ...]
    spans: tuple[ClipSpan | None, ...]


class TokenCorpus(Sequence[Document]):
    """Documents by number, in memory or in the artifact at `directory`."""

    def __init__(self, columns: Mapping[str, np.ndarray], *, directory: Path | None = None) -> None:
        self.directory = directory
        self._id_bytes, self._id_offsets = columns["id_bytes"], columns["id_offsets"]
        self._words_C, self.word_offsets_D = columns["words"], columns["word_offsets"]
        self._tokens_L, self._token_offsets_N = columns["tokens"], columns["token_offsets"]
        self.sentence_offsets_D = columns["sentence_offsets"]
        self.spans_N2 = columns["spans"].reshape(-1, 2)

    @classmethod
    def from_documents(cls, documents: Iterable[Document]) -> Self:
        """Return the corpus of a few documents, in memory."""
        parts: dict[str, list[np.ndarray]] = {
            name: [np.zeros(1 if name in _OFFSETS else 0, dtype=kind)] for name, kind in _COLUMNS.items()
        }
        for rows in _rows(documents):
            for name, values in rows.items():
                parts[name].append(values)
        return cls({name: np.concatenate(arrays) for name, arrays in parts.items()})

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Return the corpus at `directory`, its arrays mapped, not read.

        Raises:
            ArtifactError: There is none, or a file is damaged.
        """
        artifacts.require_intact(directory, kind=KIND)
        return cls.open_unchecked(directory)

    @classmethod
    def open_unchecked(cls, directory: Path) -> Self:
        """Return the corpus at `directory`, which this command has checked already (a loader's child)."""
        try:
            return cls(
                {name: mapped_array(directory / f"{name}.npy") for name in _COLUMNS}, directory=directory
            )
        except (OSError, ValueError) as error:
            raise ArtifactError(
                f"the tokens cannot be read ({error})",
                at=str(directory),
                fix="remove the folder; the same command makes it again",
            ) from error

    def __len__(self) -> int:
        """Return the number of documents."""
        return len(self.sentence_offsets_D) - 1

    def __iter__(self) -> Iterator[Document]:
        """Yield every document."""
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: Any) -> Any:
        """Return a document, as views of the arrays."""
        if isinstance(number, slice):
            return [self[index] for index in range(*number.indices(len(self)))]
        if not -len(self) <= number < len(self):
            raise IndexError(number)
        number %= len(self)
        sentences = range(self.num_sentences(number))
        spans = [self.spans_N2[self.sentence_offsets_D[number] + item].tolist() for item in sentences]
        return Document(
            id=self.id(number),
            words_T=self.words(number),
            sentences=tuple(self.text(number, item, item + 1) for item in sentences),
            spans=tuple(
                None if first == NO_CLIP else ClipSpan(first=first, stop=stop) for first, stop in spans
            ),
        )

    @property
    def num_sentences_in_all(self) -> int:
        """Sentences of all documents."""
        return len(self._token_offsets_N) - 1

    def id(self, number: int) -> str:
        """Return a document's id."""
        start, stop = self._id_offsets[number : number + 2]
        return bytes(self._id_bytes[start:stop]).decode("utf-8", "surrogateescape")

    def num_sentences(self, number: int) -> int:
        """Return how many sentences a document has."""
        return int(self.sentence_offsets_D[number + 1] - self.sentence_offsets_D[number])

    def words(self, number: int) -> np.ndarray:
        """Return the words (T,) of a document, joint ids, a view."""
        return self._words_C[self.word_offsets_D[number] : self.word_offsets_D[number + 1]]

    def text(self, number: int, first: int, stop: int) -> np.ndarray:
        """Return the text ids (L,) of a document's sentences `first` up to `stop`, end to end, a view."""
        start = self.sentence_offsets_D[number]
        return self._tokens_L[self._token_offsets_N[start + first] : self._token_offsets_N[start + stop]]

    def spans(self, number: int) -> np.ndarray:
        """Return the clips (sentences, 2) of a document's sentences, [first, stop) each, a view; -1 without video."""
        return self.spans_N2[self.sentence_offsets_D[number] : self.sentence_offsets_D[number + 1]]


def cached_corpus(
    directory: Path,
    documents: Callable[[], Iterable[Document]],
    *,
    settings: Mapping[str, Any],
    parents: Mapping[str, str],
) -> TokenCorpus:
    """Return the corpus at `directory`; where it is missing, damaged or made from other things, it is made first.

    Args:
        directory: Where the artifact lies or will lie.
        documents: Makes the documents; called only if it must be.
        settings: How sentences get their clips.
        parents: Hashes of what the documents come from: words, sentences, tokenizer, ids.
    """
    wanted = {"format": FORMAT, **settings}
    try:
        manifest = artifacts.read_manifest(directory, kind=KIND)
        if (manifest.settings, manifest.parents) == (wanted, parents):
            return TokenCorpus.open(directory)
    except ArtifactError:
        # Missing, or damaged: it holds nothing that cannot be made again.
        artifacts.discard(directory)
    write_corpus(directory, documents(), settings=settings, parents=parents)
    return TokenCorpus.open(directory)


def write_corpus(
    directory: Path,
    documents: Iterable[Document],
    *,
    settings: Mapping[str, Any],
    parents: Mapping[str, str],
) -> None:
    """Write the artifact at `directory` document by document, so that a corpus larger than memory can be written."""
    with artifacts.publish_directory(directory) as temporary:
        columns = {
            name: ArrayWriter(temporary / f"{name}.npy", dtype=np.dtype(kind))
            for name, kind in _COLUMNS.items()
        }
        for name in _OFFSETS:
            columns[name].append(np.zeros(1, dtype=np.int64))
        for rows in _rows(documents):
            for name, values in rows.items():
                columns[name].append(values)
        for column in columns.values():
            column.close()
        facts = {
            "num_documents": columns["sentence_offsets"].length - 1,
            "num_sentences": columns["token_offsets"].length - 1,
            "num_tokens": columns["tokens"].length,
            "num_words": columns["words"].length,
        }
        artifacts.seal(
            temporary, kind=KIND, settings={"format": FORMAT, **settings}, parents=parents, facts=facts
        )


def _rows(documents: Iterable[Document]) -> Iterator[dict[str, np.ndarray]]:
    """Yield what each document adds to every array; offsets run on from one to the next."""
    num_id_bytes = num_words = num_tokens = num_sentences = 0
    for document in documents:
        name = document.id.encode("utf-8", "surrogateescape")
        lengths = np.array([len(sentence) for sentence in document.sentences], dtype=np.int64)
        spans = [(NO_CLIP, NO_CLIP) if s is None else (s.first, s.stop) for s in document.spans]
        token_offsets = num_tokens + np.cumsum(lengths)
        num_id_bytes += len(name)
        num_words += len(document.words_T)
        num_tokens += int(lengths.sum())
        num_sentences += len(lengths)
        yield {
            "id_bytes": np.frombuffer(name, dtype=np.uint8),
            "id_offsets": np.array([num_id_bytes], dtype=np.int64),
            "words": document.words_T.astype(np.int32),
            "word_offsets": np.array([num_words], dtype=np.int64),
            "tokens": np.concatenate([np.zeros(0, dtype=np.int32), *document.sentences]).astype(np.int32),
            "token_offsets": token_offsets,
            "sentence_offsets": np.array([num_sentences], dtype=np.int64),
            "spans": np.array(spans, dtype=np.int32).reshape(-1),
        }

"""Words kept by extraction: a store as of features, but of each clip its visual word alone, a thousandth of the bytes.

The codebook comes from a later folder, so it is handed in (`WordAssigner`). Where features are kept as well, a video's
features are stored before its words: what has words has features, and words that a kill prevented are made from
the stored features.

Shapes: T clips of one video, D feature.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from videobert_cli.core.features.store.format import Item
from videobert_cli.core.features.store.quarantine import FailedItem
from videobert_cli.core.features.store.reader import FeatureStore, read_description
from videobert_cli.core.features.store.writer import FeatureStoreWriter
from videobert_cli.errors import ArtifactError, StaleStageError

KIND = "kept_words"
_MAX_INT16_WORDS = 1 << 15


class WordAssigner(Protocol):
    """A codebook as extraction sees it."""

    @property
    def codebook_hash(self) -> str:
        """The content hash of the codebook."""
        ...

    @property
    def num_words(self) -> int:
        """How many words it has."""
        ...

    def require_fit(self, fingerprint: Mapping[str, Any]) -> None:
        """Refuse features that are not of the kind the codebook was fitted on.

        Raises:
            CodebookMismatchError: They are not.
        """
        ...

    def assign(self, features_TD: NDArray[Any]) -> NDArray[Any]:
        """Return the word (T,) of each feature."""
        ...


@dataclass(frozen=True, kw_only=True)
class StoredWords:
    """One video's words int16 or int32 `[T]`, its clips' start times in seconds, and what extraction noted."""

    words_T: NDArray[Any]
    clip_start_seconds_T: NDArray[np.float64]
    facts: Mapping[str, Any]


class KeptWords:
    """Kept words opened for reading: what was there at that moment."""

    def __init__(self, directory: Path, *, description: Mapping[str, Any]) -> None:
        self.directory = directory
        fingerprint = description["fingerprint"]
        self.features_fingerprint: dict[str, Any] = dict(fingerprint["features"])
        self.codebook_hash = str(fingerprint["codebook"])
        self.num_words = int(fingerprint["num_words"])
        self._store = FeatureStore(directory, description=description)

    @classmethod
    def open(cls, directory: Path) -> "KeptWords":
        """Open the words at `directory`, sealed or still growing.

        Raises:
            ArtifactError: There are none, they are damaged, or of a newer format.
        """
        description = read_description(directory)
        if description.get("kind") != KIND:
            raise ArtifactError("this store holds features, not words", at=str(directory))
        return cls(directory, description=description)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The codebook's hash, how many words it has, and the features' fingerprint."""
        return self._store.fingerprint

    def ids(self) -> list[str]:
        """Return the ids of all videos, sorted."""
        return self._store.ids()

    def read(self, item_id: str) -> StoredWords:
        """Return a video's words, start times and facts.

        Raises:
            ArtifactError: There are none, or their bytes are not what was written.
        """
        stored = self._store.read(item_id)
        return StoredWords(
            words_T=stored.features_TD[:, 0],
            clip_start_seconds_T=stored.clip_start_seconds_T,
            facts=stored.facts,
        )

    def num_clips(self) -> int:
        """Return the clips of all videos."""
        return sum(self._store.item(item_id).num_clips for item_id in self.ids())

    def content_hash(self, ids: Iterable[str]) -> str:
        """Return a hash of the named videos' words and start times."""
        return self._store.content_hash(ids)


@dataclass(frozen=True, kw_only=True)
class WordKeeping:
    """Opens the place for words in extraction's stead (`extract.open_writer`).

    `features` is where features are kept as well, None where they are not.
    """

    assigner: WordAssigner
    features: Path | None

    def __call__(
        self,
        directory: Path,
        *,
        fingerprint: Mapping[str, Any],
        dim: int,
        worker: str,
        ids: Sequence[str],
        should_stop: Callable[[], bool],
    ) -> "WordsWriter":
        """Open the words at `directory`; words that stored features lack are made first.

        Raises:
            CodebookMismatchError: The backbone's features are not of the kind the codebook was fitted on.
            StaleStageError: What is there was made with other settings or another codebook.
        """
        self.assigner.require_fit(fingerprint)
        words = FeatureStoreWriter.create_or_open(
            directory,
            fingerprint={
                "codebook": self.assigner.codebook_hash,
                "num_words": self.assigner.num_words,
                "features": dict(fingerprint),
            },
            dim=1,
            worker=worker,
            kind=KIND,
            # 16 bits where they suffice: the words of HowTo100M are 0.65 GB then.
            dtype="int16" if self.assigner.num_words <= _MAX_INT16_WORDS else "int32",
        )
        if self.features is None:
            return WordsWriter(words=words, features=None, assigner=self.assigner)
        features = FeatureStoreWriter.create_or_open(
            self.features, fingerprint=fingerprint, dim=dim, worker=worker
        )
        writer = WordsWriter(words=words, features=features, assigner=self.assigner)
        writer.catch_up(ids, should_stop=should_stop)
        return writer


class WordsWriter:
    """Keeps the words of each video, and its features where `features` is given."""

    def __init__(
        self, *, words: FeatureStoreWriter, features: FeatureStoreWriter | None, assigner: WordAssigner
    ) -> None:
        self.directory = words.directory
        self._words = words
        self._features = features
        self._assigner = assigner

    @property
    def failed(self) -> Mapping[str, FailedItem]:
        """Return the videos that failed and have not been stored since, by id."""
        return self._words.failed

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._words and (self._features is None or item_id in self._features)

    def item(self, item_id: str) -> Item:
        """Return what is known of a video."""
        return self._words.item(item_id)

    def add(
        self,
        item_id: str,
        *,
        features_TD: NDArray[Any],
        clip_start_seconds_T: NDArray[np.float64],
        facts: Mapping[str, Any],
    ) -> None:
        """Keep one video; when this returns it survives any crash."""
        if self._features is not None and item_id not in self._features:
            self._features.add(
                item_id, features_TD=features_TD, clip_start_seconds_T=clip_start_seconds_T, facts=facts
            )
        if item_id in self._words:
            _require_same_source(item_id, then=self._words.item(item_id).facts, now=facts)
        else:
            # As float16, which is what a store of features would have handed to the codebook.
            words_T = self._assigner.assign(features_TD.astype(np.float16))
            self._words.add(
                item_id, features_TD=words_T[:, None], clip_start_seconds_T=clip_start_seconds_T, facts=facts
            )

    def catch_up(self, ids: Iterable[str], *, should_stop: Callable[[], bool]) -> None:
        """Make the words of those videos whose features are stored already."""
        if self._features is None:
            return
        lacking = [item_id for item_id in ids if item_id in self._features and item_id not in self._words]
        if not lacking:
            return
        store = FeatureStore.open(self._features.directory)
        for item_id in lacking:
            if should_stop():
                return
            stored = store.read(item_id)
            self.add(
                item_id,
                features_TD=stored.features_TD,
                clip_start_seconds_T=stored.clip_start_seconds_T,
                facts=stored.facts,
            )

    def quarantine(self, item_id: str, *, path: Path, reason: str, detail: str) -> None:
        """Note that a video failed, in each place where it is missed."""
        for store in (self._words, self._features):
            if store is not None:
                store.quarantine(item_id, path=path, reason=reason, detail=detail)

    def seal(self) -> None:
        """Pack everything and write the manifests, that of the words last."""
        if self._features is not None:
            self._features.seal()
        self._words.seal()


def _require_same_source(item_id: str, *, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse features of a video that has changed since its words were kept."""
    if then.get("source") != now.get("source"):
        raise StaleStageError(
            "the video changed since its words were kept",
            at=item_id,
            fix="restore the file, or use another run directory (--set run=DIR)",
        )

"""What `videobert export` can write out: a feature store, kept words, or the words that quantize made.

Shapes: T clips of one video, D feature.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from videobert_cli.artifacts import is_finished, read_manifest, sweep_of
from videobert_cli.core.features.store.export import ExportReport, ExportSource, Form, export_store
from videobert_cli.core.features.store.format import STORE_NAME
from videobert_cli.core.features.store.kept_words import KIND as KEPT_WORDS
from videobert_cli.core.features.store.kept_words import KeptWords
from videobert_cli.core.features.store.reader import FeatureStore, read_description
from videobert_cli.core.words.table import KIND as WORDS
from videobert_cli.core.words.table import WordTable
from videobert_cli.errors import ArtifactError, LockedError, UsageError
from videobert_cli.pipeline.reporter import Reporter
from videobert_cli.runtime import StopRequest


def export(
    directory: Path,
    *,
    out: Path,
    form: Form,
    on_existing: Literal["keep", "replace"],
    stop: StopRequest,
    reporter: Reporter,
) -> ExportReport:
    """Write the store or word table at `directory` to `out`.

    Raises:
        ArtifactError: There is none, or it is damaged.
        UsageError: Something is at `out`, or `out` holds what is to be exported.
        LockedError: Another process exports to `out`.
        InputError: h5py is not installed.
    """
    source = open_source(directory)
    if directory.resolve().is_relative_to(out.resolve()):
        raise UsageError(
            "the export would replace what it is made from", at=str(out), fix="name another place"
        )

    def on_progress(done: int, total: int) -> None:
        stop.raise_if_requested("nothing: an export appears when it is whole")
        reporter.progress("export", done=done, total=total, detail="videos")

    with _alone(out):
        return export_store(source, out=out, form=form, on_existing=on_existing, on_progress=on_progress)


def open_source(directory: Path) -> ExportSource:
    """Return what is to be exported.

    Raises:
        ArtifactError: There is nothing that can be.
    """
    if (directory / STORE_NAME).is_file():
        if read_description(directory).get("kind") == KEPT_WORDS:
            return _KeptSource(KeptWords.open(directory))
        return _FeatureSource(FeatureStore.open(directory))
    if is_finished(directory) and read_manifest(directory).kind == WORDS:
        content_hash = read_manifest(directory).content_hash
        return _TableSource(WordTable.load(directory), content_hash=content_hash)
    found = sorted(path.parent for path in directory.glob(f"*/*/{STORE_NAME}"))
    raise ArtifactError(
        "this is no feature store and holds no words",
        at=str(directory),
        fix=f"videobert export {found[0] if found else 'runs/demo/extract/features'} OUT --to npy",
    )


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Hold the place, and clean up after a killed export to it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    path = out.parent / f".{out.name}.lock"
    try:
        with FileLock(path, timeout=0):
            sweep_of(out)
            yield
            path.unlink(missing_ok=True)
    except Timeout as error:
        raise LockedError(
            "another process exports to this place", at=str(out), fix="wait for it, or name another place"
        ) from error


class _FeatureSource:
    kind = "features"

    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        self.fingerprint = store.fingerprint

    def ids(self) -> list[str]:
        return self._store.ids()

    def num_clips(self) -> int:
        return sum(self._store.item(item_id).num_clips for item_id in self.ids())

    def read(self, item_id: str) -> tuple[NDArray[Any], NDArray[np.float64]]:
        stored = self._store.read(item_id)
        return stored.features_TD, stored.clip_start_seconds_T

    def content_hash(self) -> str:
        return self._store.content_hash(self.ids())


class _KeptSource:
    kind = "words"

    def __init__(self, kept: KeptWords) -> None:
        self._kept = kept
        self.fingerprint = kept.fingerprint

    def ids(self) -> list[str]:
        return self._kept.ids()

    def num_clips(self) -> int:
        return self._kept.num_clips()

    def read(self, item_id: str) -> tuple[NDArray[Any], NDArray[np.float64]]:
        stored = self._kept.read(item_id)
        return stored.words_T, stored.clip_start_seconds_T

    def content_hash(self) -> str:
        return self._kept.content_hash(self.ids())


class _TableSource:
    kind = "words"

    def __init__(self, table: WordTable, *, content_hash: str) -> None:
        self._table = table
        self._content_hash = content_hash
        self.fingerprint = {
            "codebook": table.codebook_hash,
            "num_words": table.num_words,
            "clip_seconds": table.clip_length_seconds,
            "clip_stride_seconds": table.clip_seconds,
        }

    def ids(self) -> list[str]:
        return self._table.ids()

    def num_clips(self) -> int:
        return int(self._table.counts().sum())

    def read(self, item_id: str) -> tuple[NDArray[Any], NDArray[np.float64]]:
        return self._table.words(item_id), self._table.clip_start_seconds(item_id)

    def content_hash(self) -> str:
        return self._content_hash

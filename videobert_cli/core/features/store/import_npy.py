"""Published features, one `.npy` file a video, become a feature store that the later stages read as their own.

Shapes: T clips of one video, D feature.
"""

import contextlib
import json
import tokenize
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from videobert_cli.core.features.backbones.imported import imported_fingerprint
from videobert_cli.core.features.store.export import INDEX_NAME
from videobert_cli.core.features.store.format import STORE_NAME
from videobert_cli.core.features.store.quarantine import printable
from videobert_cli.core.features.store.reader import read_description
from videobert_cli.core.features.store.source import source_fingerprint
from videobert_cli.core.features.store.writer import FeatureStoreWriter
from videobert_cli.errors import InputError, StaleStageError, VideoError

_STAGE = "import"
# What numpy raises for headers that are no header: it parses them as Python, and takes what begins as a zip for one.
_NOT_AN_ARRAY = (
    ValueError,
    EOFError,
    SyntaxError,
    TypeError,
    MemoryError,
    OverflowError,
    RecursionError,
    tokenize.TokenError,
    zipfile.BadZipFile,
)


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """What became of the files: features stored now, stored before, and failed by reason; `num_clips` of all stored."""

    num_done: int
    num_kept: int
    num_clips: int
    dim: int
    failures_by_reason: Mapping[str, int]

    @property
    def num_failed(self) -> int:
        """How many files are in quarantine."""
        return sum(self.failures_by_reason.values())


@dataclass(kw_only=True)
class _Counts:
    num_done: int = 0
    num_kept: int = 0
    num_clips: int = 0
    failed: Counter[str] = field(default_factory=Counter)


def import_npy(
    folder: Path,
    *,
    directory: Path,
    clip_seconds: float,
    backbone_name: str,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> ImportReport:
    """Fill the feature store at `directory` from the `.npy` files under `folder`, and seal it.

    An id is the file's path under `folder` without its suffix, or what the index of an export of ours says. Row k of a
    file starts at k * `clip_seconds`. The size of a feature is the one that most files have.
    Killed, the next call goes on where this one was.

    Args:
        folder: Files of float16, float32 or float64 `[T, D]`; no file is unpickled.
        directory: The store's.
        clip_seconds: Time from one row to the next, and the time that a row stands for.
        backbone_name: The user's name for what made the features.
        on_progress: Called with files done and files in all; what it raises ends the import, and what is done is kept.

    Raises:
        InputError: There is no file, or none can be used.
        StaleStageError: The store was made with other settings, or a file has changed since it was imported.
        ResourceError: The disk is full.
    """
    files = _files(folder)
    dim = _stored_dim(directory) or _usual_dim(files.values(), folder=folder)
    writer = FeatureStoreWriter.create_or_open(
        directory, fingerprint=imported_fingerprint(backbone_name, clip_seconds=clip_seconds), dim=dim
    )
    counts = _Counts()
    for done, (item_id, path) in enumerate(files.items(), start=1):
        _take(writer, item_id, path=path, clip_seconds=clip_seconds, counts=counts)
        on_progress(done, len(files))
    if not counts.num_done + counts.num_kept:
        words = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.failed.items()))
        raise InputError(
            f"no file could be used: {words}",
            at=str(directory / "quarantine.jsonl"),
            fix="look at the reasons in that file; a file holds one array [rows, size] of floating-point numbers",
        )
    writer.seal()
    return ImportReport(
        num_done=counts.num_done,
        num_kept=counts.num_kept,
        num_clips=counts.num_clips,
        dim=dim,
        failures_by_reason=dict(sorted(counts.failed.items())),
    )


def _take(
    writer: FeatureStoreWriter, item_id: str, *, path: Path, clip_seconds: float, counts: _Counts
) -> None:
    source = source_fingerprint(path)
    if item_id in writer:
        if source is not None and source != writer.item(item_id).facts.get("source"):
            raise StaleStageError(
                "the file changed since it was imported",
                at=str(path),
                fix=f"restore it, import into another directory (--out DIR), or remove {writer.directory}",
            )
        counts.num_kept += 1
        counts.num_clips += writer.item(item_id).num_clips
        return
    try:
        features_TD = _read_features(path, dim=writer.dim)
        writer.add(
            item_id,
            features_TD=features_TD,
            clip_start_seconds_T=clip_seconds * np.arange(len(features_TD), dtype=np.float64),
            facts={"source": source},
        )
        counts.num_done += 1
        counts.num_clips += len(features_TD)
    except VideoError as error:
        writer.quarantine(item_id, path=path, reason=error.reason, detail=error.what, stage=_STAGE)
        counts.failed[error.reason] += 1


def _files(folder: Path) -> dict[str, Path]:
    """Return the `.npy` files by id, sorted; hidden ones are left out. An export of ours says itself which is whose."""
    found: dict[str, Path] = {}
    ids = _exported_ids(folder)
    for path in sorted(folder.rglob("*.npy")):
        name = path.relative_to(folder)
        if not any(part.startswith(".") for part in name.parts):
            item_id = ids.get(name.as_posix()) or printable(name.with_suffix("").as_posix())
            if item_id in found:
                raise InputError(
                    f"two files would have the id {item_id!r}", at=str(path), fix="rename one of them"
                )
            found[item_id] = path
    if not found:
        raise InputError(
            "there is no .npy file here",
            at=str(folder),
            fix="name the folder with one .npy file for each video, [rows, size]",
        )
    return dict(sorted(found.items()))


def _exported_ids(folder: Path) -> dict[str, str]:
    """Return the ids by file name that `videobert export` wrote, none where it did not write this folder."""
    try:
        lines = (folder / INDEX_NAME).read_text(encoding="utf-8").splitlines()
        return {str(entry["file"]): str(entry["id"]) for entry in map(json.loads, lines)}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _stored_dim(directory: Path) -> int | None:
    """Return the size of the features of a store that has been begun, None where there is none."""
    return int(read_description(directory)["dim"]) if (directory / STORE_NAME).is_file() else None


def _usual_dim(files: Iterable[Path], *, folder: Path) -> int:
    """Return the size of a feature that most files have, by their headers; of equally many the smallest."""
    sizes: Counter[int] = Counter()
    for path in files:
        with contextlib.suppress(VideoError):
            sizes[_open_array(path).shape[1]] += 1
    usable = [(-count, size) for size, count in sizes.items() if size > 0]
    if not usable:
        raise InputError(
            "no file holds an array [rows, size] of floating-point numbers",
            at=str(folder),
            fix="name the folder with one such .npy file for each video; pickled objects are never read",
        )
    return min(usable)[1]


def _read_features(path: Path, *, dim: int) -> NDArray[np.float16]:
    """Return a file's features in float16.

    Raises:
        VideoError: They cannot be used; `reason` is one of docs/formats.md.
    """
    array = _open_array(path)
    if len(array) == 0:
        raise VideoError("there are no rows", reason="empty", at=str(path))
    if array.shape[1] != dim:
        raise VideoError(
            f"a feature has {array.shape[1]} numbers, those of the other files {dim}",
            reason="wrong-shape",
            at=str(path),
        )
    with np.errstate(over="ignore", invalid="ignore"):
        features_TD = np.asarray(array).astype(np.float16)
    if not np.isfinite(features_TD).all():
        raise VideoError("a value is not a finite float16 number", reason="not-finite", at=str(path))
    return features_TD


def _open_array(path: Path) -> NDArray[np.floating]:
    """Return a file's array, not yet read: a header may claim any size."""
    try:
        if not path.is_file():
            raise VideoError("this is not a file", reason="not-a-file", at=str(path))
        if path.stat().st_size == 0:
            raise VideoError("the file is empty", reason="empty", at=str(path))
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise VideoError(f"cannot be read ({error})", reason="not-a-file", at=str(path)) from error
    except _NOT_AN_ARRAY as error:
        raise VideoError(f"not an array of numbers ({error})", reason="not-npy", at=str(path)) from error
    if not isinstance(array, np.ndarray) or not np.issubdtype(array.dtype, np.floating):
        kind = array.dtype if isinstance(array, np.ndarray) else "an archive"
        raise VideoError(f"holds {kind}, not floating-point numbers", reason="not-npy", at=str(path))
    if array.ndim != 2:
        raise VideoError(
            f"has the shape {list(array.shape)}, not [rows, size]", reason="wrong-shape", at=str(path)
        )
    return array

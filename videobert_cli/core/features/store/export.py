"""A store's videos as files that any program reads: a tree of `.npy` files, or one HDF5 file.

Names are made from ids so that any file system takes them and the id can be had back: what is not a letter, digit,
`.`, `_` or `-` is written as `%` and two hexadecimal digits of its UTF-8, as in a URL.

Shapes: T clips of one video, D feature.
"""

import io
import json
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Protocol

import numpy as np
import xxhash
from numpy.typing import NDArray

from videobert_cli import artifacts
from videobert_cli.errors import ArtifactError, InputError, UsageError

KIND = "export"
INDEX_NAME = "index.jsonl"
Form = Literal["npy", "hdf5"]
# Names that Windows keeps for devices, whatever their suffix.
_RESERVED = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
)
# A file's name may have 255 bytes on the usual file systems, ".npy" and a temporary name's prefix among them.
_MAX_PART_LENGTH = 200
_MAX_NAME_LENGTH = 800


class ExportSource(Protocol):
    """What is exported: features or words of videos, and what they were made with."""

    @property
    def kind(self) -> str:
        """Return what it is: `features` or a kind of words."""
        ...

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        """Return what it was made with."""
        ...

    def ids(self) -> list[str]:
        """Return the ids of all videos, sorted."""
        ...

    def read(self, item_id: str) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Return a video's features `[T, D]` or words `[T]`, and its clips' start times in seconds."""
        ...

    def num_clips(self) -> int:
        """Return the rows of all videos."""
        ...

    def content_hash(self) -> str:
        """Return a hash of all that is exported."""
        ...


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What was written: videos, rows and bytes; nothing where `is_new` is False, as it was there already."""

    num_videos: int
    num_clips: int
    num_bytes: int
    is_new: bool


def export_store(
    source: ExportSource,
    *,
    out: Path,
    form: Form,
    on_existing: Literal["keep", "replace"] = "keep",
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> ExportReport:
    """Write `source` at `out`, a folder for `npy`, a file for `hdf5`; it appears under that name only when whole.

    Args:
        source: What is exported.
        out: Where.
        form: `npy` or `hdf5`.
        on_existing: `replace` what is there; with `keep` an export of the same content is left as it is.
        on_progress: Called with videos done and videos in all; what it raises ends the export, and nothing is left.

    Raises:
        UsageError: Something else is at `out`; a folder that is no export is never replaced.
        InputError: h5py is not installed.
        ArtifactError: An item of the source is damaged.
        ResourceError: The disk is full.
    """
    library = _h5py() if form == "hdf5" else None
    content = artifacts.hash_json([source.kind, dict(source.fingerprint), source.content_hash()])
    found = _exported_content(out, library=library) if out.exists() else None
    if found is None and out.is_dir() and any(out.iterdir()):
        raise UsageError(
            "there is a folder with something else already",
            at=str(out),
            fix="name another place, or remove it",
        )
    if out.exists() and on_existing == "keep":
        if found == content:
            return _counted(source, out, is_new=False)
        raise UsageError(
            "there is an export of another content" if found else "there is something else already",
            at=str(out),
            fix="name another place, or replace it: the same command with --overwrite",
        )
    if library is None:
        _write_npy(source, out, content=content, on_progress=on_progress)
    else:
        _write_hdf5(source, out, content=content, library=library, on_progress=on_progress)
    return _counted(source, out, is_new=True)


def file_names(ids: list[str]) -> dict[str, str]:
    """Return for each id the file's path under the export, with `/`: no two are one, also where case is ignored.

    An id whose name would be too long, reserved, or another's, is named by a hash; `index.jsonl` has the id.

    >>> file_names(["dQw4w9WgXcQ", "late/tuesday?"])
    {'dQw4w9WgXcQ': 'dQw4w9WgXcQ.npy', 'late/tuesday?': 'late/tuesday%3F.npy'}
    """
    names: dict[str, str] = {}
    files: set[str] = {INDEX_NAME, artifacts.MANIFEST_NAME}
    folders: set[str] = set()
    for item_id in ids:
        parts = [safe_name(part) for part in item_id.split("/")]
        name = "/".join(parts) + ".npy"
        key = name.lower()
        above = {"/".join(key.split("/")[:depth]) for depth in range(1, len(parts))}
        is_fit = all(_is_fit(part) for part in parts) and len(name) <= _MAX_NAME_LENGTH
        if not is_fit or key in files or key in folders or above & files:
            # `~` is in no other name.
            name = f"~{xxhash.xxh3_128_hexdigest(item_id.encode())}.npy"
            key, above = name, set()
        files.add(key)
        folders |= above
        names[item_id] = name
    return names


def safe_name(text: str) -> str:
    """Return `text` with all but letters, digits, `.`, `_` and `-` as in a URL; `urllib.parse.unquote` undoes it.

    >>> safe_name("a b/c~..")
    'a%20b%2Fc%7E..'
    """
    quoted = urllib.parse.quote(text, safe="").replace("~", "%7E")
    return quoted.replace(".", "%2E") if quoted in {".", ".."} else quoted


def _is_fit(part: str) -> bool:
    """Return whether a file system takes a part of a path; one that begins with a dot would be hidden."""
    stem = part.lower().partition(".")[0]
    return (
        0 < len(part) <= _MAX_PART_LENGTH
        and not part.startswith(".")
        and not part.endswith(".")
        and stem not in _RESERVED
    )


def _write_npy(
    source: ExportSource, out: Path, *, content: str, on_progress: Callable[[int, int], None]
) -> None:
    names = file_names(source.ids())
    facts = {"num_videos": len(names), "exported": source.kind}
    with artifacts.publish_directory(out) as temporary:
        entries = _written(source, temporary, names=names, on_progress=on_progress)
        artifacts.publish_lines(temporary / INDEX_NAME, entries)
        artifacts.seal(
            temporary,
            kind=KIND,
            settings=dict(source.fingerprint),
            parents={"content": content},
            facts=facts,
        )


def _written(
    source: ExportSource, folder: Path, *, names: Mapping[str, str], on_progress: Callable[[int, int], None]
) -> Iterator[str]:
    """Write the files one by one, and yield the line of each for the index."""
    for item_id, rows, starts_T in _items(source, on_progress=on_progress):
        artifacts.publish_bytes(folder / names[item_id], _npy_bytes(rows))
        entry = {
            "id": item_id,
            "file": names[item_id],
            "num_clips": len(rows),
            "clip_start_seconds": starts_T.tolist(),
        }
        yield json.dumps(entry, ensure_ascii=False, allow_nan=False)


def _npy_bytes(rows: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.ascontiguousarray(rows), allow_pickle=False)
    return stream.getvalue()


def _write_hdf5(
    source: ExportSource,
    out: Path,
    *,
    content: str,
    library: ModuleType,
    on_progress: Callable[[int, int], None],
) -> None:
    def write(temporary: Path) -> None:
        with library.File(temporary, "w") as file:
            file.attrs["fingerprint"] = json.dumps(dict(source.fingerprint), sort_keys=True)
            file.attrs["kind"] = source.kind
            # The other half of the names: both groups are there, be there no video.
            rows_of, starts_of = file.create_group(source.kind), file.create_group("clip_start_seconds")
            for item_id, rows, starts_T in _items(source, on_progress=on_progress):
                name = safe_name(item_id)
                rows_of.create_dataset(name, data=rows, track_times=False).attrs["id"] = item_id
                starts_of.create_dataset(name, data=starts_T, track_times=False)
            file.attrs["content"] = content

    artifacts.publish(out, write)


def _items(
    source: ExportSource, *, on_progress: Callable[[int, int], None]
) -> Iterator[tuple[str, NDArray[Any], NDArray[np.float64]]]:
    ids = source.ids()
    for done, item_id in enumerate(ids, start=1):
        yield item_id, *source.read(item_id)
        on_progress(done, len(ids))


def _exported_content(out: Path, *, library: ModuleType | None) -> str | None:
    """Return what an export at `out` says it holds, None where that is no export of this form."""
    try:
        if library is None:
            return artifacts.read_manifest(out, kind=KIND).parents.get("content")
        with library.File(out, "r") as file:
            found = file.attrs.get("content")
            return None if found is None else str(found)
    except (ArtifactError, OSError):
        return None


def _counted(source: ExportSource, out: Path, *, is_new: bool) -> ExportReport:
    files = [path for path in out.rglob("*") if path.is_file()] if out.is_dir() else [out]
    return ExportReport(
        num_videos=len(source.ids()),
        num_clips=source.num_clips(),
        num_bytes=sum(path.stat().st_size for path in files),
        is_new=is_new,
    )


def _h5py() -> ModuleType:
    try:
        import h5py
    except ImportError as error:
        raise InputError(
            f"h5py is not installed ({error})", at="--to hdf5", fix="pip install 'videobert-cli[hdf5]'"
        ) from error
    library: ModuleType = h5py
    return library

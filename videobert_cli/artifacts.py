"""The one writer of everything that must survive: temp file in place, fsync, rename, manifest with hashes last.

A reader never sees half a file, and `kill -9` loses nothing that was acknowledged. An *artifact* is a directory
with a `manifest.json`, written last, that holds the size and xxh3 hash of every file beside it. `content_hash`
covers names and contents of the files only (no times, host names or paths), so equal work means equal hash.
"""

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import xxhash

from videobert_cli.errors import ArtifactError, ResourceError

MANIFEST_NAME = "manifest.json"
FORMAT_VERSION = 1
TRASH_PREFIX = ".trash-"
TEMPORARY_PREFIX = ".tmp-"
_BLOCK_BYTES = 1 << 22


@dataclass(frozen=True, kw_only=True)
class FileRecord:
    """Size in bytes and xxh3-128 hash of one file of an artifact."""

    num_bytes: int
    xxh3: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What `manifest.json` says of an artifact.

    `kind` is the artifact's kind (`features`, `codebook`, `words`, `model`, ...), `settings` what it was made with,
    `parents` the content hashes of what it was made from, `facts` numbers worth showing without opening the files.
    """

    kind: str
    content_hash: str
    files: Mapping[str, FileRecord]
    parents: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION


@dataclass(frozen=True, kw_only=True)
class Damage:
    """One file of an artifact that is not what its manifest says, and how."""

    path: Path
    problem: str


# --- writing -----------------------------------------------------------------------------------------------------


def publish(path: Path, write: Callable[[Path], None]) -> None:
    """Call `write` on a temporary file beside `path`, flush it to disk and rename it to `path`.

    Raises:
        ResourceError: The disk is full or the file grew over a limit; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex[:12]}-{path.name}"
    try:
        write(temporary)
        _fsync(temporary)
        temporary.replace(path)
        _fsync(path.parent)
    except OSError as error:
        raise _resource_error(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def publish_bytes(path: Path, data: bytes) -> None:
    """Publish `data` as the file `path`."""
    publish(path, lambda temporary: _write_bytes(temporary, data))


def publish_text(path: Path, text: str) -> None:
    """Publish `text` as the UTF-8 file `path`, line ends as given."""
    publish_bytes(path, text.encode())


def publish_json(path: Path, value: object) -> None:
    """Publish `value` as indented JSON with sorted keys; refuses NaN and infinity."""
    publish_text(
        path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    )


def append_line(path: Path, value: object) -> None:
    """Append `value` as one JSON line by a single write, so that lines of parallel writers never mix."""
    line = json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _resource_error(path, error) from error


def seal(
    directory: Path,
    *,
    kind: str,
    settings: Mapping[str, Any] | None = None,
    parents: Mapping[str, str] | None = None,
    facts: Mapping[str, Any] | None = None,
    ignore: Iterable[str] = (),
) -> Manifest:
    """Write the manifest of all files under `directory`, last: from now on the artifact exists.

    Hidden files (a leading dot) and top-level entries named in `ignore` are not part of the artifact.
    """
    files = {name: _record(directory / name) for name in _artifact_files(directory, ignore=frozenset(ignore))}
    manifest = Manifest(
        kind=kind,
        content_hash=_content_hash(files),
        files=files,
        parents=dict(parents or {}),
        settings=dict(settings or {}),
        facts=dict(facts or {}),
    )
    publish_json(directory / MANIFEST_NAME, asdict(manifest))
    return manifest


@contextlib.contextmanager
def publish_directory(path: Path) -> Iterator[Path]:
    """Yield a temporary directory beside `path`; on a clean exit it is renamed to `path`, else removed.

    The caller seals it (`seal`) before leaving. A directory already at `path` is moved to the trash first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex[:12]}-{path.name}"
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.rglob("*"):
            _fsync(file)
        discard(path)
        temporary.rename(path)
        _fsync(path.parent)
    except OSError as error:
        raise _resource_error(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def discard(path: Path) -> None:
    """Remove a file or directory so that no reader sees it half gone: rename to the trash, then delete."""
    if not path.exists() and not path.is_symlink():
        return
    trash = path.parent / f"{TRASH_PREFIX}{uuid.uuid4().hex[:12]}-{path.name}"
    path.rename(trash)
    if trash.is_dir():
        shutil.rmtree(trash, ignore_errors=True)
    else:
        trash.unlink()


def sweep(directory: Path) -> None:
    """Delete what a killed process left in `directory`: temporary files and unfinished deletions."""
    for pattern in (f"{TEMPORARY_PREFIX}*", f"{TRASH_PREFIX}*"):
        for path in directory.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


# --- reading -----------------------------------------------------------------------------------------------------


def read_manifest(directory: Path, *, kind: str | None = None) -> Manifest:
    """Return the manifest of the artifact at `directory`.

    Raises:
        ArtifactError: There is none, it is not readable, of another `kind`, or from a newer videobert.
    """
    path = directory / MANIFEST_NAME
    try:
        raw = json.loads(path.read_text())
        files = {name: FileRecord(**record) for name, record in raw.pop("files").items()}
        manifest = Manifest(**raw, files=files)
    except FileNotFoundError as error:
        raise ArtifactError(
            "this is not a finished artifact: it has no manifest.json", at=str(directory)
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ArtifactError(f"the manifest cannot be read ({error})", at=str(path)) from error
    if manifest.format_version > FORMAT_VERSION:
        raise ArtifactError(
            f"format version {manifest.format_version} is newer than this videobert knows ({FORMAT_VERSION})",
            at=str(path),
            fix="pip install --upgrade videobert-cli",
        )
    if kind is not None and manifest.kind != kind:
        raise ArtifactError(f"this is a {manifest.kind!r} artifact, not {kind!r}", at=str(directory))
    return manifest


def is_finished(directory: Path) -> bool:
    """Return whether `directory` holds a sealed artifact (its manifest was written)."""
    return (directory / MANIFEST_NAME).is_file()


def verify(directory: Path) -> list[Damage]:
    """Re-hash every file of the artifact and return what differs from its manifest, empty when all is well.

    Raises:
        ArtifactError: The directory has no readable manifest.
    """
    manifest = read_manifest(directory)
    damages = []
    for name, expected in manifest.files.items():
        path = directory / name
        if not path.is_file():
            damages.append(Damage(path=path, problem="is missing"))
        elif path.stat().st_size != expected.num_bytes:
            damages.append(
                Damage(path=path, problem=f"has {path.stat().st_size} bytes, not {expected.num_bytes}")
            )
        elif hash_file(path) != expected.xxh3:
            damages.append(Damage(path=path, problem="has the right size and another content"))
    if not damages and _content_hash(manifest.files) != manifest.content_hash:
        damages.append(
            Damage(path=directory / MANIFEST_NAME, problem="does not hash to its own content_hash")
        )
    return damages


def require_intact(directory: Path, *, kind: str | None = None) -> Manifest:
    """Return the manifest of the artifact after re-hashing all its files.

    Raises:
        ArtifactError: A file is damaged, or `read_manifest` refuses.
    """
    manifest = read_manifest(directory, kind=kind)
    damages = verify(directory)
    if damages:
        raise ArtifactError(
            f"{damages[0].path.name} {damages[0].problem}",
            at=str(damages[0].path),
            fix=f"videobert verify {directory}; then remove the artifact and run its stage again",
        )
    return manifest


def hash_file(path: Path) -> str:
    """Return the xxh3-128 hash of a file, as hexadecimal text."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def hash_json(value: object) -> str:
    """Return the xxh3-128 hash of a JSON value, whatever the order of its keys."""
    return xxhash.xxh3_128(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


# --- details -----------------------------------------------------------------------------------------------------


def _artifact_files(directory: Path, *, ignore: frozenset[str]) -> list[str]:
    names = (path.relative_to(directory) for path in directory.rglob("*") if path.is_file())
    kept = (
        name
        for name in names
        if name.parts[0] not in ignore
        and not any(part.startswith(".") for part in name.parts)
        and name.as_posix() != MANIFEST_NAME
    )
    return sorted(name.as_posix() for name in kept)


def _record(path: Path) -> FileRecord:
    return FileRecord(num_bytes=path.stat().st_size, xxh3=hash_file(path))


def _content_hash(files: Mapping[str, FileRecord]) -> str:
    return hash_json({name: record.xxh3 for name, record in files.items()})


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _resource_error(path: Path, error: OSError) -> ResourceError:
    return ResourceError(
        f"cannot write: {error.strerror or error}",
        at=str(path),
        fix="free some space or choose another place (--set run=DIR), then run the same command again",
    )

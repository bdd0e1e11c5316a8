"""Artifacts: a directory with a `manifest.json`, written last, that holds size and xxh3 of every file beside it.

`content_hash` covers names and contents of the files only (no times, host names or paths): equal work, equal hash.
A feature store's covers its items instead, however they are spread over files.
The manifest holds its own hash too.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from videobert_cli.artifacts.files import hash_file, hash_json, publish_json
from videobert_cli.errors import ArtifactError

MANIFEST_NAME = "manifest.json"
FORMAT_VERSION = 1


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
    manifest_xxh3: str = ""

    def own_hash(self) -> str:
        """Return the hash of all the other fields, which `manifest_xxh3` must be."""
        return hash_json(json.loads(json.dumps(asdict(replace(self, manifest_xxh3="")))))


@dataclass(frozen=True, kw_only=True)
class Damage:
    """One file of an artifact that is not what its manifest says, and how."""

    path: Path
    problem: str


def seal(
    directory: Path,
    *,
    kind: str,
    settings: Mapping[str, Any] | None = None,
    parents: Mapping[str, str] | None = None,
    facts: Mapping[str, Any] | None = None,
    ignore: Iterable[str] = (),
    content_hash: str | None = None,
) -> Manifest:
    """Write the manifest of all files under `directory`, last: from now on the artifact exists.

    Hidden files (a leading dot) and top-level entries named in `ignore` are not part of the artifact. `content_hash`
    is given where it means nothing how the contents are spread over files; whoever gives it also verifies it.
    """
    files = {name: _record(directory / name) for name in _artifact_files(directory, ignore=frozenset(ignore))}
    manifest = Manifest(kind=kind, content_hash=content_hash or _content_hash(files), files=files)
    manifest = replace(manifest, parents=parents or {}, settings=settings or {}, facts=facts or {})
    manifest = replace(manifest, manifest_xxh3=manifest.own_hash())
    publish_json(directory / MANIFEST_NAME, asdict(manifest))
    return manifest


def read_manifest(directory: Path, *, kind: str | None = None) -> Manifest:
    """Return the manifest of the artifact at `directory`.

    Raises:
        ArtifactError: There is none, it is not readable, of another `kind`, or from a newer videobert.
    """
    path = directory / MANIFEST_NAME
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        _require_known_format(raw["format_version"], path=path)
        files = {name: FileRecord(**record) for name, record in raw.pop("files").items()}
        manifest = Manifest(**raw, files=files)
    except (FileNotFoundError, NotADirectoryError) as error:
        what = "this is not a finished artifact: it has no manifest.json"
        fix = "name a finished one (`videobert verify FOLDER` lists them), or run the command that makes it again"
        raise ArtifactError(what, at=str(directory), fix=fix) from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        what, fix = f"the manifest cannot be read ({error})", "remove the artifact and run its stage again"
        raise ArtifactError(what, at=str(path), fix=fix) from error
    if kind is not None and manifest.kind != kind:
        what, fix = (
            f"this is a {manifest.kind!r} artifact, not {kind!r}",
            f"name an artifact of kind {kind!r}",
        )
        raise ArtifactError(what, at=str(directory), fix=fix)
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
    found = [
        (directory / name, _problem(directory / name, record)) for name, record in manifest.files.items()
    ]
    damages = [Damage(path=path, problem=problem) for path, problem in found if problem]
    # Manifests written before they held their own hash have none.
    if manifest.manifest_xxh3 not in {"", manifest.own_hash()}:
        damages.append(Damage(path=directory / MANIFEST_NAME, problem="does not hash to its own hash"))
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


def _artifact_files(directory: Path, *, ignore: frozenset[str]) -> list[str]:
    names = (path.relative_to(directory) for path in directory.rglob("*") if path.is_file())
    return sorted(
        name.as_posix()
        for name in names
        if name.parts[0] not in {*ignore, MANIFEST_NAME}
        and not any(part.startswith(".") for part in name.parts)
    )


def _problem(path: Path, expected: FileRecord) -> str:
    if not path.is_file():
        return "is missing"
    if path.stat().st_size != expected.num_bytes:
        return f"has {path.stat().st_size} bytes, not {expected.num_bytes}"
    return "" if hash_file(path) == expected.xxh3 else "has the right size and another content"


def _record(path: Path) -> FileRecord:
    return FileRecord(num_bytes=path.stat().st_size, xxh3=hash_file(path))


def _content_hash(files: Mapping[str, FileRecord]) -> str:
    return hash_json({name: record.xxh3 for name, record in files.items()})


def _require_known_format(version: object, *, path: Path) -> None:
    """Refuse a newer format before its fields are looked at: it may have others."""
    if not isinstance(version, int):
        raise TypeError(f"format_version is {version!r}")
    if version > FORMAT_VERSION:
        raise ArtifactError(
            f"format version {version} is newer than this videobert knows ({FORMAT_VERSION})",
            at=str(path),
            fix="pip install --upgrade videobert-cli",
        )

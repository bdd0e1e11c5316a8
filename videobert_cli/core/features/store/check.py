"""Whether a feature store is what was written: sealed or growing, while others write in it or not."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from videobert_cli import artifacts
from videobert_cli.core.features.store.format import (
    KIND,
    SHARDS_NAME,
    SPOOL_NAME,
    Location,
    read_index,
    read_rows,
    read_spool_item,
)
from videobert_cli.core.features.store.reader import (
    hash_items,
    index_paths,
    locate_items,
    paths_now,
    read_description,
    spool_paths,
    store_facts,
)
from videobert_cli.errors import ArtifactError

Depth = Literal["files", "items"]
# A writer changes the store every few milliseconds at most; so many changes in a row mean that it is not the writer.
_NUM_TRIES = 20


def verify_store(directory: Path, *, depth: Depth = "items") -> list[artifacts.Damage]:
    """Return what is damaged in the store at `directory`, empty when all is well.

    What changes while it is looked at is looked at again: a store that is being written is not damaged.

    Args:
        directory: The store's.
        depth: `files` compares every file of a sealed store with its manifest, and reads the heads of the items that
        no manifest knows yet; `items` also compares every item with its own hash.

    Raises:
        ArtifactError: `directory` is not a feature store at all.
    """
    description = read_description(directory)
    for _ in range(_NUM_TRIES - 1):
        before = _state(directory)
        damages = _damages(directory, description=description, depth=depth)
        if not damages or _state(directory) == before:
            return damages
    return _damages(directory, description=description, depth=depth)


def _state(directory: Path) -> list[tuple[str, int]]:
    """Return what tells that files have come or gone."""
    paths = [directory, directory / SHARDS_NAME, *paths_now(directory, f"{SPOOL_NAME}/*")]
    found = []
    for path in paths:
        try:
            found.append((path.name, path.stat().st_mtime_ns))
        except OSError:
            found.append((path.name, 0))
    return found


def _damages(directory: Path, *, description: Mapping[str, Any], depth: Depth) -> list[artifacts.Damage]:
    is_sealed = artifacts.is_finished(directory)
    try:
        damages = list(artifacts.verify(directory)) if is_sealed else []
    except ArtifactError as error:
        return [artifacts.Damage(path=directory / artifacts.MANIFEST_NAME, problem=error.what)]
    damaged = {damage.path for damage in damages}
    for path in (*index_paths(directory), *spool_paths(directory)):
        if path not in damaged:
            found = _verify_items(path, depth=depth)
            damages.extend(damage for damage in found if damage.path not in damaged)
    if is_sealed and not damages:
        damages.extend(_verify_manifest(directory, description=description))
    return damages


def _verify_manifest(directory: Path, *, description: Mapping[str, Any]) -> Iterator[artifacts.Damage]:
    """Yield where the manifest's own words, which no hash of a file covers, contradict the store."""
    path = directory / artifacts.MANIFEST_NAME
    try:
        manifest = artifacts.read_manifest(directory, kind=description.get("kind", KIND))
    except ArtifactError as error:
        yield artifacts.Damage(path=path, problem=error.what)
        return
    locations = locate_items(directory)
    facts = store_facts(locations, dim=description["dim"])
    is_same = (
        manifest.settings == description["fingerprint"] and manifest.facts == facts and not manifest.parents
    )
    if not is_same or manifest.content_hash != hash_items(locations.values()):
        yield artifacts.Damage(path=path, problem="contradicts store.json or the items")


def _verify_items(path: Path, *, depth: Depth) -> Iterator[artifacts.Damage]:
    try:
        locations = [read_spool_item(path)] if path.suffix == ".safetensors" else read_index(path)
    except (ArtifactError, OSError) as error:
        yield artifacts.Damage(path=path, problem=_words(error))
        return
    for location in locations if depth == "items" else []:
        problem = _problem(location)
        if problem:
            yield artifacts.Damage(path=location.path, problem=f"item {location.item.id!r}: {problem}")


def _problem(location: Location) -> str:
    try:
        read_rows(location)
    except (ArtifactError, OSError) as error:
        return _words(error)
    return ""


def _words(error: ArtifactError | OSError) -> str:
    return error.what if isinstance(error, ArtifactError) else f"cannot be read ({error.strerror})"

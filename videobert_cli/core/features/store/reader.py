"""Reading the feature store: one video is one item, found in the spool or in a shard alike, its hash checked.

Shapes: T clips of one video, D feature.
"""

import glob
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from videobert_cli import artifacts
from videobert_cli.core.features.store.format import (
    FORMAT_VERSION,
    KIND,
    SHARDS_NAME,
    SPOOL_NAME,
    STORE_NAME,
    Item,
    Location,
    StoredFeatures,
    read_index,
    read_rows,
    read_spool_item,
)
from videobert_cli.errors import ArtifactError


class FeatureStore:
    """A store opened for reading: what it held at that moment. Sealing it meanwhile is harmless."""

    def __init__(self, directory: Path, *, description: Mapping[str, Any]) -> None:
        self.directory = directory
        self._description = description
        self._locations = locate_items(directory)

    @classmethod
    def open(cls, directory: Path) -> "FeatureStore":
        """Open the store at `directory`, sealed or still growing.

        Raises:
            ArtifactError: There is none, it is damaged, of a newer format, or holds words and no features.
        """
        description = read_description(directory)
        if description.get("kind", KIND) != KIND:
            raise ArtifactError(
                "this store holds words, their features were not kept",
                at=str(directory),
                fix="videobert extract RECIPE --set extract.keep=features --set run=OTHER_DIR makes features",
            )
        return cls(directory, description=description)

    @property
    def dim(self) -> int:
        """Return the size of a feature."""
        return int(self._description["dim"])

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Return what the features were made with: backbone, weights' hash, preprocessing, rate, geometry,
        reader.
        """
        return dict(self._description["fingerprint"])

    def ids(self) -> list[str]:
        """Return the ids of all items, sorted."""
        return sorted(self._locations)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._locations

    def __len__(self) -> int:
        return len(self._locations)

    def item(self, item_id: str) -> Item:
        """Return what is known of an item without opening its features: clips, hash, facts.

        Raises:
            ArtifactError: The store does not hold it.
        """
        return self._locate(item_id).item

    def read(self, item_id: str) -> StoredFeatures:
        """Return an item's features, start times and facts.

        Raises:
            ArtifactError: The store does not hold it, or its bytes are not what was written.
        """
        location = self._locate(item_id)
        try:
            return read_rows(location)
        except FileNotFoundError:
            # Sealed since the store was opened: the item is in a shard now.
            self._locations = locate_items(self.directory)
        try:
            return read_rows(self._locate(item_id))
        except FileNotFoundError as error:
            raise ArtifactError(f"the features of {item_id!r} are gone", at=str(location.path)) from error

    def content_hash(self, ids: Iterable[str]) -> str:
        """Return a hash of the named items' contents, whatever their order and wherever they lie."""
        return hash_items(self._locate(item_id) for item_id in set(ids))

    def _locate(self, item_id: str) -> Location:
        if item_id not in self._locations:
            raise ArtifactError(
                f"the store has no features of {item_id!r}",
                at=str(self.directory),
                fix="see its quarantine.jsonl for the reason; `videobert extract` makes what is missing",
            )
        return self._locations[item_id]


def read_description(directory: Path) -> dict[str, Any]:
    """Return `store.json`.

    Raises:
        ArtifactError: There is none, it is damaged, or of a newer format.
    """
    path = directory / STORE_NAME
    try:
        description = json.loads(path.read_text())
        version, complete = description["format_version"], {"dim", "fingerprint"} <= description.keys()
    except FileNotFoundError as error:
        raise ArtifactError("this is not a feature store: it has no store.json", at=str(directory)) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"store.json cannot be read ({error})", at=str(path)) from error
    if not complete or not isinstance(version, int):
        raise ArtifactError("store.json lacks dim, fingerprint or format_version", at=str(path))
    if version > FORMAT_VERSION:
        raise ArtifactError(
            f"format version {version} is newer than this videobert knows ({FORMAT_VERSION})",
            at=str(path),
            fix="pip install --upgrade videobert-cli",
        )
    return dict(description)


def locate_items(directory: Path) -> dict[str, Location]:
    """Return every item of the store by id; one that lies in spool and shard alike is taken from the
    shard.
    """
    # The spool first: what is sealed in between is then found twice, and never missed.
    spooled = list(_spooled(directory))
    sealed = (location for path in index_paths(directory) for location in read_index(path))
    return {location.item.id: location for location in (*spooled, *sealed)}


def index_paths(directory: Path) -> list[Path]:
    """Return the indexes of all shards that exist, sorted."""
    return paths_now(directory / SHARDS_NAME, "*.index.json")


def spool_paths(directory: Path, *, worker: str = "*") -> list[Path]:
    """Return the files of all items in flight, or of one worker's, sorted."""
    return paths_now(directory / SPOOL_NAME, f"{worker}/*.safetensors")


def paths_now(directory: Path, pattern: str) -> list[Path]:
    """Return what is there by a pattern, sorted, without temporary files; folders may vanish meanwhile.

    `Path.glob` fails where another worker removes its emptied folder between the listing and the look into it.
    """
    return sorted(directory / name for name in glob.glob(pattern, root_dir=directory))  # noqa: PTH207


def hash_items(locations: Iterable[Location]) -> str:
    """Return a hash of ids and contents, whatever their order and wherever they lie."""
    return artifacts.hash_json({location.item.id: location.item.xxh3 for location in locations})


def store_facts(locations: Mapping[str, Location], *, dim: int) -> dict[str, int]:
    """Return the numbers that a sealed store's manifest shows."""
    num_clips = sum(location.item.num_clips for location in locations.values())
    return {"num_videos": len(locations), "num_clips": num_clips, "dim": dim}


def _spooled(directory: Path) -> Iterator[Location]:
    for path in spool_paths(directory):
        try:
            yield read_spool_item(path)
        except FileNotFoundError:
            # Sealed between the listing and now: its shard is read next.
            continue

"""How the feature store looks on disk: the names, one item's file, one shard and its index.

    store.json                       format version, dim, dtype, fingerprint of the features
    spool/<worker>/<hash>.safetensors  one video each, in flight
    shards/<worker>-<n>.safetensors  ~256 MB of videos, rows one after another
    shards/<worker>-<n>.index.json   which rows are whose, written last: a shard without it does not exist
    quarantine.jsonl                 the videos that failed
    manifest.json                    written when sealed (kind `features`)

A store of kept words (`kept_words`) looks the same: its rows are words `[T, 1]`, its tensor is called `words`.

Shapes: T clips of one video, R clips of a shard, D feature.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from videobert_cli import artifacts
from videobert_cli.core.features.store.tensor_rows import TensorRows, as_bytes
from videobert_cli.errors import ArtifactError

STORE_NAME = "store.json"
SPOOL_NAME = "spool"
SHARDS_NAME = "shards"
FORMAT_VERSION = 1
KIND = "features"
_FEATURES, _WORDS, _STARTS = "features", "words", "clip_start_seconds"
_ITEM_KEY = "item"
_HASH_KEY = "item_xxh3"
_FIX = "remove the damaged file and its index, then run `videobert extract` again: it makes what is missing"


@dataclass(frozen=True, kw_only=True)
class Item:
    """What the store knows of one video without opening its features; `xxh3` covers features and start
    times.
    """

    id: str
    num_clips: int
    xxh3: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Location:
    """Where an item's rows are: `path` from row `start_row` on."""

    item: Item
    path: Path
    start_row: int


@dataclass(frozen=True, kw_only=True)
class StoredFeatures:
    """One video's features float16 `[T, D]`, its clips' start times in seconds, and what extraction noted.

    Of kept words `features_TD` are the words, int16 or int32 `[T, 1]`.
    """

    features_TD: NDArray[Any]
    clip_start_seconds_T: NDArray[np.float64]
    facts: Mapping[str, Any]


def hash_rows(features_TD: NDArray[Any], *, clip_start_seconds_T: NDArray[np.float64]) -> str:
    """Return the xxh3-128 hash of one item's shape, values and start times."""
    digest = xxhash.xxh3_128(f"{features_TD.shape}".encode())
    digest.update(as_bytes(features_TD))
    digest.update(as_bytes(clip_start_seconds_T))
    return digest.hexdigest()


def spool_name(item_id: str) -> str:
    """Return the file name of an item in flight: a hash, as an id may hold any character and any length."""
    return f"{xxhash.xxh3_128_hexdigest(item_id.encode())}.safetensors"


def spool_bytes(stored: StoredFeatures, *, item_id: str) -> bytes:
    """Return the content of an item's own file: its rows, and in the header the item with a hash of that
    text.
    """
    rows = hash_rows(stored.features_TD, clip_start_seconds_T=stored.clip_start_seconds_T)
    item = Item(id=item_id, num_clips=len(stored.features_TD), xxh3=rows, facts=stored.facts)
    text = json.dumps(asdict(item), sort_keys=True)
    metadata = {_ITEM_KEY: text, _HASH_KEY: xxhash.xxh3_128_hexdigest(text.encode())}
    return save(
        _tensors(stored.features_TD, clip_start_seconds_R=stored.clip_start_seconds_T), metadata=metadata
    )


def read_spool_item(path: Path) -> Location:
    """Return the item of a spool file.

    Raises:
        ArtifactError: The file is damaged.
        FileNotFoundError: It has just been moved into a shard.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata()
        text = metadata[_ITEM_KEY]
        if xxhash.xxh3_128_hexdigest(text.encode()) != metadata[_HASH_KEY]:
            raise ArtifactError(
                "the item's header has another content than was written", at=str(path), fix=_FIX
            )
        return Location(item=Item(**json.loads(text)), path=path, start_row=0)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"the item's file cannot be read ({error})", at=str(path), fix=_FIX) from error


def shard_bytes(items: Sequence[StoredFeatures]) -> bytes:
    """Return the content of a shard: the rows of `items`, one video after another."""
    return save(
        _tensors(
            np.concatenate([item.features_TD for item in items]),
            clip_start_seconds_R=np.concatenate([item.clip_start_seconds_T for item in items]),
        )
    )


def index_path(shard: Path) -> Path:
    """Return where a shard's index is."""
    return shard.with_name(f"{shard.stem}.index.json")


def publish_index(shard: Path, items: Sequence[Item]) -> None:
    """Publish the index of a shard: from now on the shard exists."""
    entries = [asdict(item) for item in items]
    artifacts.publish_json(index_path(shard), {"items": entries, "items_xxh3": artifacts.hash_json(entries)})


def read_index(path: Path) -> list[Location]:
    """Return the items of a shard from its index, in row order.

    Raises:
        ArtifactError: The index is damaged.
    """
    try:
        index = json.loads(path.read_text())
        if artifacts.hash_json(index["items"]) != index["items_xxh3"]:
            raise ArtifactError("the index has another content than was written", at=str(path), fix=_FIX)
        items = [Item(**entry) for entry in index["items"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"the index cannot be read ({error})", at=str(path), fix=_FIX) from error
    shard = path.with_name(path.name.removesuffix(".index.json") + ".safetensors")
    starts = np.cumsum([0, *(item.num_clips for item in items)])
    return [
        Location(item=item, path=shard, start_row=int(start))
        for item, start in zip(items, starts, strict=False)
    ]


def read_rows(location: Location) -> StoredFeatures:
    """Return an item's features, their hash checked: a flipped bit is never handed out.

    Raises:
        ArtifactError: The rows are not what was written.
        FileNotFoundError: The file has just been moved into a shard.
    """
    start, stop = location.start_row, location.start_row + location.item.num_clips
    try:
        with TensorRows(location.path) as file:
            name = _WORDS if _WORDS in file else _FEATURES
            features_TD = file.read(name, start=start, stop=stop)
            clip_start_seconds_T = file.read(_STARTS, start=start, stop=stop)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ArtifactError(
            f"the features cannot be read ({error})", at=str(location.path), fix=_FIX
        ) from error
    if hash_rows(features_TD, clip_start_seconds_T=clip_start_seconds_T) != location.item.xxh3:
        raise ArtifactError(
            f"the features of {location.item.id!r} have another content than was written",
            at=str(location.path),
            fix=_FIX,
        )
    return StoredFeatures(
        features_TD=features_TD, clip_start_seconds_T=clip_start_seconds_T, facts=location.item.facts
    )


def _tensors(
    features_RD: NDArray[Any], *, clip_start_seconds_R: NDArray[np.float64]
) -> dict[str, np.ndarray]:
    name = _WORDS if np.issubdtype(features_RD.dtype, np.integer) else _FEATURES
    return {
        name: np.ascontiguousarray(features_RD),
        _STARTS: np.ascontiguousarray(clip_start_seconds_R),
    }

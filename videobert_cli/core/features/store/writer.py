"""Writing the feature store: an item is safe once `add` returns, and sealing can be killed and started again.

Shapes: T clips of one video, D feature.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from videobert_cli import artifacts
from videobert_cli.core.features.backbones.arithmetic import fingerprint_difference
from videobert_cli.core.features.store.format import (
    FORMAT_VERSION,
    KIND,
    SHARDS_NAME,
    SPOOL_NAME,
    STORE_NAME,
    Item,
    Location,
    StoredFeatures,
    index_path,
    publish_index,
    read_rows,
    read_spool_item,
    shard_bytes,
    spool_bytes,
    spool_name,
)
from videobert_cli.core.features.store.quarantine import MAIN_WORKER, FailedItem, Quarantine
from videobert_cli.core.features.store.reader import (
    hash_items,
    index_paths,
    locate_items,
    read_description,
    spool_paths,
    store_facts,
)
from videobert_cli.core.features.store.source import source_num_bytes
from videobert_cli.errors import StaleStageError, UsageError

SHARD_NUM_BYTES = 256_000_000
# Videos of one clip would put 125,000 of them into a shard: a directory and an index that are slow to read.
SHARD_NUM_ITEMS = 8192
# What the manifest covers: whatever else is put beside it later is not the store's.
_SEALED_NAMES = frozenset({STORE_NAME, SHARDS_NAME})


class FeatureStoreWriter:
    """A store opened for writing by one worker; several workers may share a directory, one of them seals."""

    def __init__(
        self, directory: Path, *, worker: str, description: Mapping[str, Any], shard_num_bytes: int
    ) -> None:
        self.directory = directory
        self.worker = worker
        self.dim = int(description["dim"])
        self.fingerprint = dict(description["fingerprint"])
        self.kind = str(description.get("kind", KIND))
        self._dtype = np.dtype(description["dtype"])
        self._shard_num_bytes = shard_num_bytes
        self._locate()
        self._quarantine = Quarantine(directory, worker=worker, stored=self._items)

    @classmethod
    def create_or_open(
        cls,
        directory: Path,
        *,
        fingerprint: Mapping[str, Any],
        dim: int,
        worker: str = MAIN_WORKER,
        shard_num_bytes: int = SHARD_NUM_BYTES,
        kind: str = KIND,
        dtype: str = "float16",
    ) -> "FeatureStoreWriter":
        """Open the store at `directory`, or start one. A sealed store stays sealed until something is added.

        `kind` and `dtype` are those of the rows: features in float16, or `kept_words` (`store.kept_words`).

        Raises:
            StaleStageError: The store there was made with other settings; the difference is shown.
            ArtifactError: The store there is damaged.
            UsageError: There is no store, and something else.
        """
        directory.mkdir(parents=True, exist_ok=True)
        if not (directory / STORE_NAME).is_file():
            _require_nothing_else(directory)
            start = {
                "format_version": FORMAT_VERSION,
                "dim": dim,
                "dtype": dtype,
                "fingerprint": dict(fingerprint),
                **({} if kind == KIND else {"kind": kind}),
            }
            artifacts.publish_json(directory / STORE_NAME, start)
        description = read_description(directory)
        difference = fingerprint_difference(
            {**description["fingerprint"], "dim": description["dim"], "kind": description.get("kind", KIND)},
            {**fingerprint, "dim": dim, "kind": kind},
        )
        if difference:
            raise StaleStageError(
                f"the features there were made otherwise: {difference}",
                at=str(directory),
                fix="go back to those settings, use another run directory (--set run=DIR), or remove this store",
            )
        return cls(directory, worker=worker, description=description, shard_num_bytes=shard_num_bytes)

    @classmethod
    def open(cls, directory: Path) -> "FeatureStoreWriter":
        """Open the store that is at `directory`, whatever it was made with, to seal it.

        Raises:
            ArtifactError: There is none, or it is damaged.
        """
        description = read_description(directory)
        return cls(directory, worker=MAIN_WORKER, description=description, shard_num_bytes=SHARD_NUM_BYTES)

    @property
    def failed(self) -> dict[str, FailedItem]:
        """Return the items that failed and have not been stored since, by id."""
        return self._quarantine.failed

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._items

    def item(self, item_id: str) -> Item:
        """Return what is known of an item of the store."""
        return self._items[item_id]

    def add(
        self,
        item_id: str,
        *,
        features_TD: NDArray[Any],
        clip_start_seconds_T: NDArray[np.float64],
        facts: Mapping[str, Any],
    ) -> None:
        """Store one video; when this returns it survives any crash. It leaves the quarantine if it was there.

        `facts` are JSON values; no path, host or wall time, so that equal work gives equal bytes.

        Raises:
            ValueError: The shapes do not fit the store, or the store holds the item already.
            ResourceError: The disk is full.
        """
        if item_id in self._items:
            raise ValueError(f"the store holds {item_id!r} already")
        num_clips = len(clip_start_seconds_T)
        if features_TD.shape != (num_clips, self.dim) or num_clips == 0:
            raise ValueError(
                f"features of shape {features_TD.shape} for {num_clips} clips of size {self.dim}"
            )
        # A reader may trust the manifest only while nothing changes, so it goes before the first new item
        # comes.
        artifacts.discard(self.directory / artifacts.MANIFEST_NAME)
        stored = StoredFeatures(
            features_TD=features_TD.astype(self._dtype),
            clip_start_seconds_T=clip_start_seconds_T.astype(np.float64),
            facts=facts,
        )
        content = spool_bytes(stored, item_id=item_id)
        artifacts.publish_bytes(self.directory / SPOOL_NAME / self.worker / spool_name(item_id), content)
        self._items[item_id] = Item(id=item_id, num_clips=num_clips, xxh3="", facts=facts)
        self._quarantine.forget(item_id)
        self._spool_num_bytes += len(content)
        self._spool_num_items += 1
        # Millions of small files are slow to list: full shards are packed as soon as there are some.
        if self._spool_num_bytes > 2 * self._shard_num_bytes or self._spool_num_items > 2 * SHARD_NUM_ITEMS:
            self.pack(which="full")

    def quarantine(
        self, item_id: str, *, path: Path, reason: str, detail: str, stage: str = "extract"
    ) -> None:
        """Note that an item failed: one line for each id, its attempts counted."""
        self._quarantine.record(
            item_id,
            path=path,
            reason=reason,
            detail=detail,
            stage=stage,
            num_bytes=source_num_bytes(path),
        )

    def pack(self, *, which: Literal["full", "all"]) -> None:
        """Move items from the spool into shards, in id order.

        `full` takes this worker's items and leaves the last, open shard; `all` takes every worker's, to the
        last.
        Killed at any point it loses nothing: a shard exists once its index does, and only then its spool
        files go.
        """
        for group in self._groups(self._waiting(which=which), which=which):
            self._write_shard(group)
        self._count_spool()

    def seal(self) -> artifacts.Manifest:
        """Pack everything and write the manifest, last; a sealed store is left as it is.

        No other worker may be at work: what each of them has stored and put into quarantine becomes one.
        """
        artifacts.sweep(self.directory)
        if artifacts.is_finished(self.directory):
            self._quarantine.merge(stored=self._items)
            return artifacts.read_manifest(self.directory, kind=self.kind)
        artifacts.sweep(self.directory / SHARDS_NAME)
        self._locate()
        self.pack(which="all")
        self._drop_leavings()
        locations = self._locate()
        self._quarantine.merge(stored=self._items)
        return artifacts.seal(
            self.directory,
            kind=self.kind,
            settings=self.fingerprint,
            facts=store_facts(locations, dim=self.dim),
            ignore=[path.name for path in self.directory.iterdir() if path.name not in _SEALED_NAMES],
            # How the items are spread over shards depends on who was killed when; what they are does not.
            content_hash=hash_items(locations.values()),
        )

    def _locate(self) -> dict[str, Location]:
        """Look at what is on disk, of all workers."""
        locations = locate_items(self.directory)
        shards = self.directory / SHARDS_NAME
        self._items = {item_id: location.item for item_id, location in locations.items()}
        self._sealed = {item_id for item_id, location in locations.items() if location.path.parent == shards}
        self._count_spool()
        return locations

    def _count_spool(self) -> None:
        sizes = [path.stat().st_size for path in spool_paths(self.directory, worker=self.worker)]
        self._spool_num_items, self._spool_num_bytes = len(sizes), sum(sizes)

    def _waiting(self, *, which: Literal["full", "all"]) -> list[Location]:
        """Return the items in flight by id; a copy of what a shard or another worker holds is deleted."""
        waiting: dict[str, Location] = {}
        for path in spool_paths(self.directory, worker="*" if which == "all" else self.worker):
            location = read_spool_item(path)
            if location.item.id in self._sealed or location.item.id in waiting:
                path.unlink()
            else:
                waiting[location.item.id] = location
        return [waiting[item_id] for item_id in sorted(waiting)]

    def _groups(self, waiting: list[Location], *, which: Literal["full", "all"]) -> Iterator[list[Location]]:
        group: list[Location] = []
        num_bytes = 0
        for location in waiting:
            item_num_bytes = 2 * self.dim * location.item.num_clips
            is_full = num_bytes + item_num_bytes > self._shard_num_bytes or len(group) == SHARD_NUM_ITEMS
            if group and is_full:
                yield group
                group, num_bytes = [], 0
            group.append(location)
            num_bytes += item_num_bytes
        if group and which == "all":
            yield group

    def _write_shard(self, group: list[Location]) -> None:
        shard = self.directory / SHARDS_NAME / f"{self.worker}-{self._next_shard_number():06d}.safetensors"
        content = shard_bytes([read_rows(location) for location in group])
        artifacts.publish_bytes(shard, content)
        publish_index(shard, [location.item for location in group])
        self._sealed.update(location.item.id for location in group)
        for location in group:
            location.path.unlink()

    def _next_shard_number(self) -> int:
        """Return the number after the last of this worker's shards; some before it may have been removed as damaged.

        A shard that a kill left without an index has this number, and is written over.
        """
        own = re.compile(rf"{re.escape(self.worker)}-(\d+)\.index\.json")
        found = (own.fullmatch(path.name) for path in index_paths(self.directory))
        return max((int(match[1]) + 1 for match in found if match), default=0)

    def _drop_leavings(self) -> None:
        """Delete what killed processes left: shards without an index, temporary files, the emptied spool."""
        for shard in (self.directory / SHARDS_NAME).glob("*.safetensors"):
            if not index_path(shard).is_file():
                artifacts.discard(shard)
        artifacts.discard(self.directory / SPOOL_NAME)


def _require_nothing_else(directory: Path) -> None:
    """Refuse to begin a store among other files: who removes a store removes its folder. Locks are hidden."""
    others = sorted(path.name for path in directory.iterdir() if not path.name.startswith("."))
    # Another shard may have begun the store since it was looked for.
    if others and not (directory / STORE_NAME).is_file():
        raise UsageError(
            f"the folder is no feature store and holds something else ({others[0]!r})",
            at=str(directory),
            fix="name a new or an empty folder (--out DIR)",
        )

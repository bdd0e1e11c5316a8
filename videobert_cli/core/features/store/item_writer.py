"""What extraction needs of the place where its results go: a feature store, words kept in place of features, or both.

Shapes: T clips of one video, D feature.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from videobert_cli.core.features.store.format import Item
from videobert_cli.core.features.store.quarantine import FailedItem
from videobert_cli.core.features.store.writer import FeatureStoreWriter


class ItemWriter(Protocol):
    """A place for videos one by one, each safe once `add` returns; the methods are `FeatureStoreWriter`'s."""

    directory: Path

    @property
    def failed(self) -> Mapping[str, FailedItem]:
        """The items that failed and have not been stored since, by id."""
        ...

    def __contains__(self, item_id: object) -> bool:
        """Return whether all that is to be kept of the video is there."""
        ...

    def item(self, item_id: str) -> Item:
        """Return what is known of an item."""
        ...

    def add(
        self,
        item_id: str,
        *,
        features_TD: NDArray[Any],
        clip_start_seconds_T: NDArray[np.float64],
        facts: Mapping[str, Any],
    ) -> None:
        """Store one video."""
        ...

    def quarantine(self, item_id: str, *, path: Path, reason: str, detail: str) -> None:
        """Note that a video failed."""
        ...

    def seal(self) -> object:
        """Pack everything and write the manifest."""
        ...


class OpenWriter(Protocol):
    """Opens the place at `directory` for videos `ids`; `should_stop` is asked where opening takes long."""

    def __call__(
        self,
        directory: Path,
        *,
        fingerprint: Mapping[str, Any],
        dim: int,
        worker: str,
        ids: Sequence[str],
        should_stop: Callable[[], bool],
    ) -> ItemWriter:
        """Return it, or raise where it was made with other settings."""
        ...


def open_features(
    directory: Path,
    *,
    fingerprint: Mapping[str, Any],
    dim: int,
    worker: str,
    ids: Sequence[str],  # noqa: ARG001 - of use to words alone
    should_stop: Callable[[], bool],  # noqa: ARG001 - opening is quick
) -> FeatureStoreWriter:
    """Open the feature store at `directory`, or start one; raises as `FeatureStoreWriter.create_or_open`."""
    return FeatureStoreWriter.create_or_open(directory, fingerprint=fingerprint, dim=dim, worker=worker)

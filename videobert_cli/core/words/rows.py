"""Training features as rows of one long table, read piece by piece: from a feature store, or from an array.

Shapes: N rows asked for, T clips of one video, D feature.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np

# Work over rows that is not a sum of whole numbers (`projection`) goes by tiles of so many rows, counted from the first
# row of all: then neither memory nor ranks move the borders. Ranks get whole tiles.
TILE_NUM_ROWS = 8_192


class StoredVideo(Protocol):
    """One video's features (T, D) and when its clips start (T,), in seconds from the first frame."""

    @property
    def features_TD(self) -> np.ndarray:  # noqa: N802 - a shape suffix
        """Float16 or float32."""
        ...

    @property
    def clip_start_seconds_T(self) -> np.ndarray:  # noqa: N802 - a shape suffix
        """Ascending."""
        ...


class StoredItem(Protocol):
    """What is known of a video without reading its features."""

    @property
    def num_clips(self) -> int:
        """How many rows it has."""
        ...


class FeatureSource(Protocol):
    """What quantize needs of a feature store."""

    @property
    def dim(self) -> int:
        """Size of a feature."""
        ...

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What the features were made with; it must hold the rate and the geometry of the clips."""
        ...

    def read(self, item_id: str, /) -> StoredVideo:
        """Return one video's features."""
        ...

    def item(self, item_id: str, /) -> StoredItem:
        """Return what is known of a video without reading its features."""
        ...

    def content_hash(self, ids: Iterable[str], /) -> str:
        """Return a hash of the named videos' features."""
        ...


class TrainingRows(Protocol):
    """A table of features that need not fit in memory."""

    @property
    def num_rows(self) -> int:
        """How many features there are."""
        ...

    @property
    def dim(self) -> int:
        """Size of a feature."""
        ...

    def read(self, start: int, stop: int, /) -> np.ndarray:
        """Return rows `start` to `stop` (N, D), float16 or float32."""
        ...


class ArrayRows:
    """Rows of an array (N, D)."""

    def __init__(self, features_ND: np.ndarray) -> None:
        self._features_ND = features_ND
        self.num_rows, self.dim = features_ND.shape

    def read(self, start: int, stop: int, /) -> np.ndarray:
        """Return rows `start` to `stop`."""
        return self._features_ND[start:stop]


class StoreRows:
    """The clips of videos of a feature store, one video after another in the order of `ids`."""

    def __init__(self, store: FeatureSource, *, ids: Sequence[str]) -> None:
        self._store = store
        self._ids = list(ids)
        lengths = [store.item(video_id).num_clips for video_id in self._ids]
        self._borders = np.cumsum([0, *lengths])
        self.num_rows, self.dim = int(self._borders[-1]), store.dim
        # A video that one piece ends in is the one that the next begins in.
        self._last: tuple[int, np.ndarray] | None = None

    def read(self, start: int, stop: int, /) -> np.ndarray:
        """Return rows `start` to `stop`.

        Raises:
            ArtifactError: The store's bytes are not what was written.
        """
        stop = min(stop, self.num_rows)
        if start >= stop:
            return np.zeros((0, self.dim), dtype=np.float16)
        number = int(np.searchsorted(self._borders, start, side="right")) - 1
        pieces = []
        while number < len(self._ids) and self._borders[number] < stop:
            first = int(self._borders[number])
            pieces.append(self._video(number)[max(0, start - first) : stop - first])
            number += 1
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _video(self, number: int) -> np.ndarray:
        if self._last is None or self._last[0] != number:
            self._last = (number, self._store.read(self._ids[number]).features_TD)
        return self._last[1]


def tiles(start: int, stop: int) -> Iterable[tuple[int, int]]:
    """Return the borders of the tiles between two borders of tiles (the last may be a part of one).

    >>> list(tiles(8192, 20000))
    [(8192, 16384), (16384, 20000)]
    """
    return [(first, min(first + TILE_NUM_ROWS, stop)) for first in range(start, stop, TILE_NUM_ROWS)]

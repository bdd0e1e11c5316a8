"""Features made elsewhere under the ids of the videos at hand: `cooking/abc` finds `abc` where only one is called so.

Shapes: T clips of one video, D feature.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from videobert_cli.core.features.store.format import Item, StoredFeatures
from videobert_cli.core.features.store.reader import FeatureStore


class MatchedFeatures:
    """A feature store read by the ids of videos; a video without features is not in it."""

    def __init__(self, store: FeatureStore, *, video_ids: Sequence[str]) -> None:
        self._store = store
        self._item_ids = match_ids(video_ids, item_ids=store.ids())

    @property
    def dim(self) -> int:
        """Return the size of a feature."""
        return self._store.dim

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Return what the features were made with."""
        return self._store.fingerprint

    def ids(self) -> list[str]:
        """Return the ids of the videos that have features, sorted."""
        return sorted(self._item_ids)

    def num_clips(self) -> int:
        """Return the clips of all these videos."""
        return sum(self._store.item(item_id).num_clips for item_id in self._item_ids.values())

    def item(self, video_id: str) -> Item:
        """Return what is known of a video without opening its features."""
        return self._store.item(self._item_ids[video_id])

    def read(self, video_id: str) -> StoredFeatures:
        """Return a video's features."""
        return self._store.read(self._item_ids[video_id])

    def content_hash(self, ids: Iterable[str]) -> str:
        """Return a hash of the named videos' features."""
        return self._store.content_hash(self._item_ids[video_id] for video_id in ids)


def match_ids(video_ids: Iterable[str], *, item_ids: Iterable[str]) -> dict[str, str]:
    """Return which item is whose: the one of the same id, else the only one of the same last part of the path.

    >>> match_ids(["cook/a", "b", "x/c", "y/c"], item_ids=["a", "deep/b", "c"])
    {'cook/a': 'a', 'b': 'deep/b'}
    """
    videos, items = list(video_ids), list(item_ids)
    known = set(items)
    exact = {video_id: video_id for video_id in videos if video_id in known}
    num_videos, num_items = Counter(map(_stem, videos)), Counter(map(_stem, items))
    by_stem = {_stem(item_id): item_id for item_id in items}
    loose = {
        video_id: by_stem[_stem(video_id)]
        for video_id in videos
        if video_id not in exact and num_videos[_stem(video_id)] == num_items[_stem(video_id)] == 1
    }
    return {**exact, **loose}


def _stem(item_id: str) -> str:
    return item_id.rpartition("/")[2]

"""The raw features of segments' clips, from the features of a run: what captioners and linear classifiers read.

Shapes: T clips of a segment, D feature.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from videobert_cli.errors import InputError
from videobert_cli.pipeline.gallery import features_of_run
from videobert_cli.pipeline.run import Run


class SegmentFeatures:
    """Features by video and clips. The video asked for last is kept: each is read once where segments go by videos."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._video_id: str | None = None
        self._features_TD = np.zeros((0, 0), dtype=np.float16)

    def clips(self, video_id: str, *, first: int, num: int) -> np.ndarray:
        """Return the features (T, D), float16, of `num` clips of a video."""
        if video_id != self._video_id:
            self._features_TD = self._store.read(video_id).features_TD
            self._video_id = video_id
        return self._features_TD[first : first + num]

    def content_hash(self, video_ids: Iterable[str]) -> str:
        """Return a hash of all features of these videos."""
        return str(self._store.content_hash(video_ids))


def segment_features(run: Run) -> SegmentFeatures | None:
    """Return the features of the run's segments, None where extraction kept words alone."""
    store = features_of_run(run)
    return None if store is None else SegmentFeatures(store)


def require_segment_features(run: Run, *, reader: str, otherwise: str) -> SegmentFeatures:
    """Return the features of the run's segments; `reader` is what reads them, `otherwise` what can be done without.

    Raises:
        InputError: Extraction kept words alone.
    """
    found = segment_features(run)
    if found is None:
        raise InputError(
            f"{reader} reads features, and extraction kept words alone",
            at="extract.keep",
            fix=f"--set extract.keep=both and extract again, or {otherwise}",
        )
    return found

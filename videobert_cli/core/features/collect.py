"""One video's batches become one array of features, checked to be storable.

Shapes: N clips of a batch, T clips of a video, D feature.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from videobert_cli.core.features.backbones import Backbone
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.video.frames import ClipBatch, VideoSummary
from videobert_cli.core.video.reader import VideoReader
from videobert_cli.errors import ResourceError, VideoError


@dataclass(frozen=True, kw_only=True)
class VideoFeatures:
    """One video's features float16 `[T, D]` as the store keeps them, its clips' start times, the reader's
    summary.
    """

    features_TD: NDArray[np.float16]
    clip_start_seconds_T: NDArray[np.float64]
    summary: VideoSummary


class FeatureCollector:
    """Takes the batches of one video after another; `finish` returns a video's features and starts the
    next.
    """

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        self._features_ND: list[np.ndarray] = []
        self._starts_N: list[np.ndarray] = []

    def take(self, batch: ClipBatch) -> None:
        """Compute the features of a batch.

        Raises:
            ResourceError: The batch does not fit into memory.
        """
        try:
            features_ND = self._backbone.features(batch)
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise ResourceError(
                f"out of memory with {len(batch.frame_index_NT)} clips in a batch",
                at="extract.batch_num_clips",
                fix="take a smaller one (--set extract.batch_num_clips=1), then run the same command again",
            ) from error
        self._features_ND.append(features_ND)
        self._starts_N.append(batch.clip_start_seconds_N)

    def drop(self) -> None:
        """Forget the batches taken: their video failed."""
        self._features_ND, self._starts_N = [], []

    def finish(self, summary: VideoSummary, *, path: Path) -> VideoFeatures:
        """Return the video's features from all batches taken.

        Raises:
            VideoError: There were none, or a value is not a finite float16 number.
        """
        batches_ND, starts_N = self._features_ND, self._starts_N
        self.drop()
        if not batches_ND:
            raise VideoError("the video gave no clip", reason="no-frames", at=str(path))
        with np.errstate(over="ignore"):
            features_TD = np.concatenate(batches_ND).astype(np.float16)
        if not np.isfinite(features_TD).all():
            raise VideoError("a feature is not a finite float16 number", reason="not-finite", at=str(path))
        return VideoFeatures(
            features_TD=features_TD,
            clip_start_seconds_T=np.concatenate(starts_N).astype(np.float64),
            summary=summary,
        )


def features_of_video(
    path: Path, *, backbone: Backbone, options: ExtractOptions, reader: VideoReader
) -> VideoFeatures:
    """Return the features of one video that is in no store: what `predict` needs.

    Raises:
        VideoError: The file cannot be read; `reason` says why.
        ResourceError: A batch does not fit into memory.
    """
    collector = FeatureCollector(backbone)
    for content in reader.read(path, backbone.frame_request(options)):
        if isinstance(content, VideoSummary):
            return collector.finish(content, path=path)
        collector.take(content)
    raise VideoError("the reader gave no summary", reason="no-frames", at=str(path))

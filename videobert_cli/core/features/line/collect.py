"""One video's clips become one array of features, checked to be storable.

Shapes: N clips of a batch, T clips of a video, D feature.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from videobert_cli.core.features.backbones.registry import Backbone
from videobert_cli.core.features.line.device import enough_memory
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.video.decoder_pool import portioned
from videobert_cli.core.video.frames import VideoSummary
from videobert_cli.core.video.reader import VideoReader
from videobert_cli.errors import VideoError


@dataclass(frozen=True, kw_only=True)
class VideoFeatures:
    """One video's features float16 `[T, D]` as the store keeps them, its clips' start times, the reader's
    summary.
    """

    features_TD: NDArray[np.float16]
    clip_start_seconds_T: NDArray[np.float64]
    summary: VideoSummary


class FeatureCollector:
    """Takes the features of one video's clips as they are computed."""

    def __init__(self) -> None:
        self._features_ND: list[NDArray[np.float32]] = []
        self._starts_N: list[NDArray[np.float64]] = []

    def take(self, features_ND: NDArray[np.float32], *, clip_start_seconds_N: NDArray[np.float64]) -> None:
        """Add the features of the next N clips."""
        self._features_ND.append(features_ND)
        self._starts_N.append(clip_start_seconds_N)

    def finish(self, summary: VideoSummary, *, path: Path) -> VideoFeatures:
        """Return the video's features from all that was taken.

        Raises:
            VideoError: There were none, or a value is not a finite float16 number.
        """
        if not self._features_ND:
            raise VideoError("the video gave no clip", reason="no-frames", at=str(path))
        with np.errstate(over="ignore"):
            features_TD = np.concatenate(self._features_ND).astype(np.float16)
        if not np.isfinite(features_TD).all():
            raise VideoError("a feature is not a finite float16 number", reason="not-finite", at=str(path))
        return VideoFeatures(
            features_TD=features_TD,
            clip_start_seconds_T=np.concatenate(self._starts_N).astype(np.float64),
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
    collector = FeatureCollector()
    for content in reader.read(path, portioned(backbone.frame_request(options))):
        if isinstance(content, VideoSummary):
            return collector.finish(content, path=path)
        with enough_memory(len(content.frame_index_NT)):
            features_ND = backbone.features(content)
        collector.take(features_ND, clip_start_seconds_N=content.clip_start_seconds_N)
    raise VideoError("the reader gave no summary", reason="no-frames", at=str(path))

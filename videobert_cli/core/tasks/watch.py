"""A raw video as models see it: decoded, through the backbone, quantised, cut into segments; once for all tasks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from videobert_cli.artifacts import read_manifest
from videobert_cli.core.features.backbones.imported import ImportedBackbone
from videobert_cli.core.features.line.collect import features_of_video
from videobert_cli.core.sequences.segments import clips_between
from videobert_cli.core.text.options import TextOptions
from videobert_cli.core.text.subtitles import read_subtitles
from videobert_cli.core.text.transcripts import sentences_of
from videobert_cli.core.training.model_directory import LoadedModel
from videobert_cli.core.video.reader import VideoReader
from videobert_cli.errors import CodebookMismatchError

# Shapes: T clips of the video or of a segment, D feature.


@dataclass(frozen=True, kw_only=True)
class WatchedSegment:
    """A stretch of the video: what is said in it, and the clips `first` to `stop` (left out) that it covers."""

    start_seconds: float
    end_seconds: float
    text: str
    first: int
    stop: int


@dataclass(frozen=True, kw_only=True)
class WatchedVideo:
    """The clips of one video, in order of time: visual words (T,), features (T, D), starts in seconds (T,)."""

    path: Path
    words_T: np.ndarray
    features_TD: np.ndarray
    starts_T: np.ndarray
    clip_seconds: float
    segments: tuple[WatchedSegment, ...]

    def words_of(self, segment: WatchedSegment) -> np.ndarray:
        """Return the words (T,) of a segment."""
        return self.words_T[segment.first : segment.stop]

    def features_of(self, segment: WatchedSegment) -> np.ndarray:
        """Return the raw features (T, D) of a segment's clips."""
        return self.features_TD[segment.first : segment.stop]


class Watcher:
    """The backbone and the codebook that some models share, ready for one video after another.

    Raises:
        CodebookMismatchError: The models were trained with different codebooks.
        InputError: They were trained on features made elsewhere.
    """

    def __init__(self, models: Sequence[LoadedModel], *, segment_seconds: float) -> None:
        hashes = {
            read_manifest(model.directory / "codebook").content_hash: model.directory for model in models
        }
        if len(hashes) > 1:
            raise CodebookMismatchError(
                f"the models have different codebooks: {', '.join(f'{h[:12]} ({d})' for h, d in hashes.items())}",
                fix="give models of one run",
            )
        self._segment_seconds = segment_seconds
        self._codebook = models[0].codebook
        self._backbone, self._extract = models[0].backbone()
        if isinstance(self._backbone, ImportedBackbone):
            raise self._backbone.refusal()
        self._reader = VideoReader(self._extract.reader)

    def close(self) -> None:
        """Stop the decoder."""
        self._reader.close()

    def stills(self, video: Path, *, seconds: Sequence[float], num_pixels: int) -> list[np.ndarray]:
        """Return a picture (num_pixels, num_pixels, 3) for each of `seconds`, ascending; fewer where there is damage.

        Raises:
            VideoError: The video cannot be read.
        """
        return self._reader.stills(video, seconds=seconds, num_pixels=num_pixels) if len(seconds) else []

    def watch(self, video: Path, *, captions: Path | None) -> WatchedVideo:
        """Return the clips of a video and its segments.

        Segments are the sentences of `captions` that begin before the video ends, and none lies between them; without
        captions, or where these hold no such sentence, stretches of `segment_seconds`.

        Raises:
            VideoError: The video cannot be read.
            InputError: The captions cannot be read.
        """
        features = features_of_video(
            video, backbone=self._backbone, options=self._extract, reader=self._reader
        )
        starts_T = features.clip_start_seconds_T
        clip_seconds = self._extract.clip_num_frames / self._extract.frames_per_second
        end = float(starts_T[-1]) + clip_seconds
        segments = []
        for start, stop, text in self._pieces(captions, end_seconds=end):
            span = clips_between(start, stop, clip_start_seconds_T=starts_T, clip_seconds=clip_seconds)
            segments.append(
                WatchedSegment(
                    start_seconds=start,
                    end_seconds=min(stop, end),
                    text=text,
                    first=span.first,
                    stop=span.stop,
                )
            )
        return WatchedVideo(
            path=video,
            words_T=self._codebook.assign(features.features_TD),
            features_TD=features.features_TD,
            starts_T=starts_T,
            clip_seconds=clip_seconds,
            segments=tuple(segments),
        )

    def _pieces(self, captions: Path | None, *, end_seconds: float) -> list[tuple[float, float, str]]:
        if captions is not None:
            sentences = sentences_of(read_subtitles(captions), options=TextOptions())
            pieces = [
                (s.start_seconds, s.end_seconds, s.text) for s in sentences if s.start_seconds < end_seconds
            ]
            if pieces:
                return pieces
        num = max(1, round(end_seconds / self._segment_seconds))
        edges = [end_seconds * number / num for number in range(num + 1)]
        return [(edges[number], edges[number + 1], "") for number in range(num)]

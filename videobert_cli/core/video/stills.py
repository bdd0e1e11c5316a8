"""Pictures of a video at given times, for people to look at: found by seeking, in the decoder child.

What a feature is made from is never read this way: a seek is as exact as the file's index, and decodes a few frames
where reading from the start would decode hours.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from videobert_cli.core.video.frames import FrameRequest, ReadLimits, VideoSummary
from videobert_cli.core.video.image_frames import ImageSource
from videobert_cli.core.video.picture import PictureMaker
from videobert_cli.core.video.probe import MEDIA_ERRORS, open_media, open_regular_file, reason_of
from videobert_cli.core.video.pyav_frames import facts_of
from videobert_cli.core.video.sampling import SampledClips
from videobert_cli.core.video.source import SourceFacts
from videobert_cli.errors import VideoError

# A frame nearer than this is reached sooner by decoding on than by a seek to the key frame before it.
_SECONDS_WITHOUT_SEEK = 2.0


def read_stills(
    path: Path, *, seconds: Sequence[float], request: FrameRequest, limits: ReadLimits
) -> Iterator[SampledClips | VideoSummary]:
    """Yield one picture for each of `seconds` (ascending, from the first shown frame), then a summary.

    A picture is the last frame that starts at or before its time, or the first that can be decoded after it. Whatever
    the recipe's reader, PyAV decodes; a folder of pictures is looked up by its times.

    Raises:
        VideoError: The file cannot be opened, or not one frame of it can be decoded.
    """
    is_folder = os.path.isdir(path)  # noqa: PTH112 - `Path.is_dir` raises for a name that is too long
    source = _Pictures(path, request, limits) if is_folder else _SeekingSource(path, request, limits)
    try:
        num_shown = 0
        for number, picture in enumerate(source.pictures(seconds)):
            num_shown += 1
            yield SampledClips(pictures=[picture], rows_NT=[[0]], starts_N=[number])
        yield _summary(source.facts, num_shown=num_shown)
    finally:
        source.close()


class _SeekingSource:
    """One file whose frames are looked up by time."""

    def __init__(self, path: Path, request: FrameRequest, limits: ReadLimits) -> None:
        self._path = path
        self._limits = limits
        self._file = open_regular_file(path, max_bytes=limits.max_file_bytes)
        self._media = open_media(self._file, path=path, limits=limits)
        self._maker = PictureMaker(request)
        self._frames = self._decoded()
        self.facts = facts_of(self._media, decoder="pyav")

    def pictures(self, seconds: Sequence[float]) -> Iterator[NDArray[np.uint8]]:
        shown = next(self._frames, None)
        if shown is None:
            raise VideoError("not one frame can be decoded", reason="no-frames", at=str(self._path))
        origin = _ticks(shown) or 0
        for second in seconds:
            target = origin + round(second / self.facts.tick_seconds)
            if target - (_ticks(shown) or 0) > _SECONDS_WITHOUT_SEEK / self.facts.tick_seconds:
                self._seek(target)
                shown = next(self._frames, shown)
            shown = self._walk(shown, target)
            yield self._rgb(shown)

    def close(self) -> None:
        self._media.container.close()
        self._file.close()

    def _seek(self, target: int) -> None:
        try:
            self._media.container.seek(target, stream=self._media.stream)
        except MEDIA_ERRORS:
            return  # no index: what lies between is decoded
        self._frames = self._decoded()

    def _walk(self, shown: av.VideoFrame, target: int) -> av.VideoFrame:
        """Return the last frame at or before `target`, from `shown` on; the one after it is put back."""
        for frame in self._frames:
            ticks = _ticks(frame)
            if ticks is not None and ticks > target:
                self._frames = _put_back(frame, self._frames)
                return shown
            shown = frame
        return shown

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """Yield frames from where the container stands; damage ends them, as nobody trains on these."""
        try:
            for frame in self._media.container.decode(self._media.stream):
                if frame.width * frame.height > self._limits.max_pixels:
                    what = f"a frame of {frame.width}x{frame.height} is more than max_pixels {self._limits.max_pixels}"
                    raise VideoError(what, reason="too-large", at=str(self._path))
                yield frame
        except MemoryError:
            raise
        except MEDIA_ERRORS:
            self._file.require_read(self._path)

    def _rgb(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        try:
            return self._maker.rgb(frame, sample_aspect=self._media.stream.sample_aspect_ratio)
        except MemoryError:
            raise
        except MEDIA_ERRORS as error:
            what = f"a {frame.format.name} frame cannot be converted: {reason_of(error)}"
            raise VideoError(what, reason="decode-error", at=str(self._path)) from error


class _Pictures:
    """A folder of time-stamped pictures, of which only those asked for are decoded."""

    def __init__(self, path: Path, request: FrameRequest, limits: ReadLimits) -> None:
        self._source = ImageSource(path, request=request, limits=limits)
        self.facts = self._source.facts

    def pictures(self, seconds: Sequence[float]) -> Iterator[NDArray[np.uint8]]:
        frames = list(self._source.frames())
        first = frames[0].pts_ticks or 0
        starts = np.array([(frame.pts_ticks or 0) - first for frame in frames])
        for second in seconds:
            row = int(np.searchsorted(starts, round(second / self.facts.tick_seconds), side="right")) - 1
            yield self._source.rgb(frames[max(0, row)].picture)

    def close(self) -> None:
        self._source.close()


def _put_back(frame: av.VideoFrame, frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    yield frame
    yield from frames


def _ticks(frame: av.VideoFrame) -> int | None:
    return frame.dts if frame.pts is None else frame.pts


def _summary(facts: SourceFacts, *, num_shown: int) -> VideoSummary:
    return VideoSummary(
        num_decoded_frames=num_shown,
        duration_seconds=0.0,
        declared_duration_seconds=facts.declared_duration_seconds,
        width=facts.width,
        height=facts.height,
        codec=facts.codec,
        decoder=facts.decoder,
        num_clips=num_shown,
    )

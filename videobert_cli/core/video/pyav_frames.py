"""PyAV as frame source: decodes in display order, counts what is damaged, converts what a clip asks for."""

import heapq
import os
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, cast

import av
import numpy as np
from numpy.typing import NDArray

from videobert_cli.core.video.child_limits import is_memory_short
from videobert_cli.core.video.completeness import Completeness, promised_num_bytes
from videobert_cli.core.video.frames import FrameRequest, ReadLimits
from videobert_cli.core.video.picture import PictureMaker
from videobert_cli.core.video.probe import MEDIA_ERRORS, Media, open_media, open_regular_file, reason_of
from videobert_cli.core.video.source import SourceFacts, SourceFrame
from videobert_cli.errors import VideoError

_FALLBACK_RATE = Fraction(25)
_MAX_RATE = 1000
# AVI stores no display times: PyAV reports decode times, right as a set and in the wrong order by at most the
# decoder's reordering depth.
_REORDER_FRAMES = 16


class PyAVSource:
    """One opened file, decoded by FFmpeg through PyAV; a FrameSource."""

    def __init__(self, path: Path, *, request: FrameRequest, limits: ReadLimits) -> None:
        self._path = path
        self._limits = limits
        self._file = open_regular_file(path, max_bytes=limits.max_file_bytes)
        self._media = open_media(self._file, path=path, limits=limits)
        self._maker = PictureMaker(request)
        self._completeness = completeness_of(self._file, self._media)
        self._num_packets = 0
        self._num_errors = 0
        context = self._media.stream.codec_context
        context.thread_type = "AUTO"
        context.thread_count = min(limits.num_threads, os.cpu_count() or 1)
        context.options = {"max_pixels": str(limits.max_pixels)}
        self.facts = facts_of(self._media, decoder="pyav")

    def frames(self) -> Iterator[SourceFrame]:
        """Yield the shown frames. Damage before the first one (a recording that starts mid-stream) is passed over.

        Raises:
            VideoError: decode-error for any later damage that is not the file's last packet.
        """
        is_avi = "avi" in self._media.container.format.name.split(",")
        return _with_sorted_times(self._decoded()) if is_avi else self._decoded()

    def rgb(self, picture: object) -> NDArray[np.uint8]:
        """Return a decoded frame as the request wants it."""
        frame = cast(av.VideoFrame, picture)
        try:
            return self._maker.rgb(frame, sample_aspect=self._media.stream.sample_aspect_ratio)
        except MemoryError:
            raise
        except MEDIA_ERRORS as error:
            what = f"a {frame.width}x{frame.height} {frame.format.name} frame cannot be converted: {reason_of(error)}"
            raise VideoError(what, reason="decode-error", at=str(self._path)) from error

    def check_complete(self, duration_seconds: float) -> None:
        """Raise VideoError (truncated) if the file ends before what it declares."""
        why = self._completeness.why_truncated(
            duration_seconds=duration_seconds, num_packets=self._num_packets, num_errors=self._num_errors
        )
        if why and not self._limits.allow_truncated:
            raise VideoError(f"the file ends early: {why}", reason="truncated", at=str(self._path))

    def rest(self) -> None:
        """Return: nothing grows between two frames."""

    def close(self) -> None:
        """Close container and file."""
        self._media.container.close()
        self._file.close()

    def _decoded(self) -> Iterator[SourceFrame]:
        num_frames = 0
        for frames in self._decoded_packets():
            if frames is None and num_frames:
                if self._limits.allow_truncated:
                    return
                what = f"packet {self._num_packets} is damaged, after {num_frames} frames"
                raise VideoError(what, reason="decode-error", at=str(self._path))
            for frame in frames or ():
                self._check_size(frame)
                num_frames += 1
                pts_ticks = frame.dts if frame.pts is None else frame.pts
                yield SourceFrame(picture=frame, pts_ticks=pts_ticks, duration_ticks=frame.duration or None)
        if not num_frames and self._num_errors:
            raise VideoError("none of its packets can be decoded", reason="decode-error", at=str(self._path))

    def _decoded_packets(self) -> Iterator[list[av.VideoFrame] | None]:
        """Yield each packet's frames, or None for a damaged packet that is not the last."""
        packets = self._media.container.demux(self._media.stream)
        is_damaged = False
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    self._file.require_read(self._path)
                    return
                if packet.size:
                    self._num_packets += 1
                    if is_damaged:
                        yield None
                    is_damaged = False
                yield packet.decode()
            except MemoryError:
                raise
            except MEDIA_ERRORS as error:
                self._file.require_read(self._path)
                context = self._media.stream.codec_context
                if is_memory_short(num_pixels=context.width * context.height):
                    raise MemoryError from error
                # Reading on after a demuxing error ends the loop: the generator behind `packets` is finished.
                self._num_errors += 1
                is_damaged = True

    def _check_size(self, frame: av.VideoFrame) -> None:
        if frame.width * frame.height > self._limits.max_pixels:
            what = (
                f"a frame of {frame.width}x{frame.height} is more than max_pixels {self._limits.max_pixels}"
            )
            raise VideoError(what, reason="too-large", at=str(self._path))


def facts_of(media: Media, *, decoder: str) -> SourceFacts:
    """Return the facts of an opened file."""
    stream = media.stream
    tick_seconds = stream.time_base or Fraction(1, 1000)
    rate = stream.average_rate or stream.guessed_rate or _FALLBACK_RATE
    rate = rate if 0 < rate <= _MAX_RATE else _FALLBACK_RATE
    return SourceFacts(
        tick_seconds=tick_seconds,
        usual_gap_ticks=round(1 / (rate * tick_seconds)),
        declared_duration_seconds=media.declared_duration_seconds,
        width=stream.codec_context.width,
        height=stream.codec_context.height,
        codec=stream.codec_context.codec.canonical_name,
        decoder=decoder,
    )


def completeness_of(file: BinaryIO, media: Media) -> Completeness:
    """Return what the file promises of its own length."""
    return Completeness(
        num_bytes=os.fstat(file.fileno()).st_size,
        promised_num_bytes=promised_num_bytes(file),
        declared_duration_seconds=media.declared_duration_seconds,
        declared_num_frames=_declared_num_frames(media),
    )


def _declared_num_frames(media: Media) -> int:
    """Return how many frames the file's index lists, 0 where it does not say.

    MP4 counts a track's frames before its edit list takes some away (a phone's trim keeps the whole recording): of
    those that FFmpeg's index holds, the list has been applied.
    """
    num_frames = media.stream.frames
    is_mp4 = "mp4" in media.container.format.name.split(",")
    return min(num_frames, len(media.stream.index_entries)) if is_mp4 else num_frames


def _with_sorted_times(frames: Iterator[SourceFrame]) -> Iterator[SourceFrame]:
    """Yield the same frames in the same order, the i-th with the i-th smallest time stamp."""
    waiting: deque[SourceFrame] = deque()
    times: list[int] = []
    for frame in frames:
        waiting.append(frame)
        if frame.pts_ticks is not None:
            heapq.heappush(times, frame.pts_ticks)
        if len(waiting) > _REORDER_FRAMES:
            yield _retimed(waiting.popleft(), times)
    while waiting:
        yield _retimed(waiting.popleft(), times)


def _retimed(frame: SourceFrame, times: list[int]) -> SourceFrame:
    return SourceFrame(
        picture=frame.picture,
        pts_ticks=heapq.heappop(times) if times else None,
        duration_ticks=frame.duration_ticks,
    )

"""decord as frame source: used where it is right, refused with the reason where it is known to be wrong.

decord follows playlists and allocates whatever a header asks for, so PyAV checks the file first (probe.py).
It also decodes ahead without bound (260 MB/s of 1080p, measured), so it resizes by itself and is let go while
we wait.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from videobert_cli.core.video.child_limits import is_memory_short
from videobert_cli.core.video.frames import FrameRequest, ReadLimits
from videobert_cli.core.video.picture import (
    PictureMaker,
    displayed_aspect,
    orientation_of,
    resized_size,
)
from videobert_cli.core.video.probe import MEDIA_ERRORS, Media, open_media, open_regular_file, reason_of
from videobert_cli.core.video.pyav_frames import completeness_of, facts_of
from videobert_cli.core.video.source import SourceFacts, SourceFrame
from videobert_cli.errors import VideoError

# Where decord was seen to return the frames it was asked for (test_decord.py, reference clips). Elsewhere it
# was seen to fail: AV1, MPEG-TS, MPEG-PS (12 frames off), AVI with B-frames, H.263 (up to 20 frames off),
# GIF.
_RIGHT_CONTAINERS = frozenset({"mov", "matroska"})
_RIGHT_CODECS = frozenset({"h264", "hevc", "vp8", "vp9"})


class DecordSource:
    """One opened file, decoded by decord; a FrameSource."""

    facts: SourceFacts

    def __init__(self, path: Path, *, request: FrameRequest, limits: ReadLimits) -> None:
        self._path = path
        self._limits = limits
        self._maker = PictureMaker(request)
        with open_regular_file(path, max_bytes=limits.max_file_bytes) as file:
            media = open_media(file, path=path, limits=limits)
            with media.container:
                self.facts = facts_of(media, decoder="decord")
                self._completeness = completeness_of(file, media)
                self._num_packets, why_wrong = _look_for_faults(media)
                size = _decord_size(media, request=request)
        if why_wrong:
            raise self._refusal(why_wrong)
        if not self._num_packets:
            raise VideoError("it opens, but shows no frame", reason="no-frames", at=str(path))
        self._height, self._width = size
        self._reader: Any = None

    def frames(self) -> Iterator[SourceFrame]:
        """Yield frame numbers with decord's own time stamps."""
        times_F2 = self._call(
            "its frames cannot be listed", lambda reader: reader.get_frame_timestamp(range(len(reader)))
        )
        if len(times_F2) != self._num_packets:
            raise self._refusal(f"{self._num_packets} packets, of which it shows {len(times_F2)}")
        for number, (start, end) in enumerate(times_F2.tolist()):
            start_ticks, end_ticks = (round(s / self.facts.tick_seconds) for s in (start, end))
            yield SourceFrame(picture=number, pts_ticks=start_ticks, duration_ticks=end_ticks - start_ticks)

    def rgb(self, picture: object) -> NDArray[np.uint8]:
        """Return the frame of this number as the request wants it; decord has turned it upright."""
        number = cast(int, picture)
        rgb_HWC = self._call(f"frame {number} cannot be decoded", lambda reader: reader[number].asnumpy())
        # decord has resized it, so the true shape of a pixel no longer matters here.
        return self._maker.crop(rgb_HWC)

    def check_complete(self, duration_seconds: float) -> None:
        """Raise VideoError (truncated) if the file ends before what it declares."""
        why = self._completeness.why_truncated(
            duration_seconds=duration_seconds, num_packets=self._num_packets, num_errors=0
        )
        if why and not self._limits.allow_truncated:
            raise VideoError(f"the file ends early: {why}", reason="truncated", at=str(self._path))

    def rest(self) -> None:
        """Let the decoder go: it would fill the memory while we wait. The next frame opens it again."""
        self._reader = None

    def close(self) -> None:
        """Let the decoder go."""
        self._reader = None

    def _call(self, what: str, use: Any) -> Any:
        import decord

        try:
            if self._reader is None:
                self._reader = decord.VideoReader(
                    str(self._path), width=self._width, height=self._height, num_threads=1
                )
            return use(self._reader)
        except (decord.DECORDError, RuntimeError, IndexError, UnicodeEncodeError) as error:
            if is_memory_short(num_pixels=self.facts.width * self.facts.height):
                raise MemoryError from error
            first_line = reason_of(error).strip().splitlines()[0]
            raise VideoError(f"{what}: {first_line}", reason="decode-error", at=str(self._path)) from error

    def _refusal(self, why: str) -> VideoError:
        what = f"decord is known to be wrong on this file: {why}; use reader.name: pyav"
        return VideoError(what, reason="refused-decoder", at=str(self._path))


def _look_for_faults(media: Media) -> tuple[int, str | None]:
    """Return the number of packets, and why decord would be wrong on this file or None; reads it through once."""
    known = []
    formats = media.container.format.name.split(",")
    codec = media.stream.codec_context.codec.canonical_name
    if codec not in _RIGHT_CODECS or _RIGHT_CONTAINERS.isdisjoint(formats):
        known.append(f"{codec} in {formats[0]}")
    if media.num_video_streams > 1:
        known.append("several video streams (it may choose another one)")
    num_packets, keyframe_pts = 0, None
    with contextlib.suppress(*MEDIA_ERRORS):
        for packet in media.container.demux(media.stream):
            if not packet.size:
                continue
            num_packets += 1
            if packet.is_discard:
                known.append("an edit list hides frames")
            if keyframe_pts is not None and packet.pts is not None and packet.pts < keyframe_pts:
                known.append("open groups of pictures (it shows frames that belong to the group before)")
            keyframe_pts = packet.pts if packet.is_keyframe else keyframe_pts
    return num_packets, known[0] if known else None


def _decord_size(media: Media, *, request: FrameRequest) -> tuple[int, int]:
    """Return (height, width) for decord to resize to, upright; costs decoding one frame for its orientation."""
    context = media.stream.codec_context
    aspect = displayed_aspect(context.width, context.height, sample_aspect=media.stream.sample_aspect_ratio)
    with contextlib.suppress(*MEDIA_ERRORS):
        media.container.seek(0)
        for frame in media.container.decode(media.stream):
            return resized_size(
                1 / aspect if orientation_of(frame).transpose else aspect, resize=request.resize
            )
    return resized_size(aspect, resize=request.resize)

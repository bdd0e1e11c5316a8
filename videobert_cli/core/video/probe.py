"""What can be known of a file before a frame is decoded: is it a regular file, media we read, of a bearable size.

Files are hostile until read: they are opened as file objects with no protocol allowed and only the containers
below, so that a playlist named `.mp4` can name another file or an address but never make us open it.
"""

import io
import os
import stat
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
import av.video.stream
from av.stream import Disposition

from videobert_cli.core.video.completeness import believed_duration_seconds
from videobert_cli.core.video.frames import ReadLimits
from videobert_cli.errors import VideoError

# What PyAV raises for bad media; its MemoryError is one of them and must be let through before.
MEDIA_ERRORS = (av.FFmpegError, OSError, ValueError, EOFError)
# Titles that are not UTF-8 are no reason to refuse a film. From version 19 on PyAV sees to that itself.
ANY_METADATA: dict[str, Any] = {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}
CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,gif,ivf,mxf"
PICTURES = "jpeg_pipe,png_pipe,webp_pipe,bmp_pipe,ppm_pipe,tiff_pipe"
_PLAYLISTS = (
    b"#EXTM3U",
    b"ffconcat",
    b"[playlist]",
    b"[InternetShortcut]",
    b"[Reference]",
    b"v=0",
    b"<MPD",
    b"<smil",
    b"<asx",
)
_SNIFF_BYTES = 4096
# A file's own idea of a video track may be a 10x12 auxiliary picture: the first track at least this share of
# the largest is the one a player shows.
_SMALLEST_AREA_SHARE = Fraction(1, 8)


@dataclass(frozen=True, kw_only=True)
class Media:
    """An opened container and the video stream to read from it; the declared duration may be nonsense."""

    container: av.container.InputContainer
    stream: av.video.stream.VideoStream
    num_video_streams: int
    declared_duration_seconds: float | None


class MediaFile(io.BufferedReader):
    """An opened file that remembers when the disk refused a read: FFmpeg takes that for the file's end."""

    failure: OSError | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes, as any file does."""
        try:
            return super().read(size)
        except OSError as error:
            self.failure = error
            raise

    def require_read(self, path: Path) -> None:
        """Raise VideoError (not-a-file) if a read has failed: what came of the file may lack its end."""
        if self.failure is not None:
            what = f"the file cannot be read to its end: {reason_of(self.failure)}"
            raise VideoError(what, reason="not-a-file", at=str(path)) from self.failure


def open_regular_file(path: Path, *, max_bytes: int) -> MediaFile:
    """Return `path` opened for reading, never waiting: a named pipe without a writer would wait for ever.

    Raises:
        VideoError: not-a-file (missing, unreadable, pipe, device, folder, endless link), empty or too-large.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (
        OSError,
        ValueError,
    ) as error:  # ValueError: a manifest's name may hold a NUL, which no file's can
        raise VideoError(
            f"the file cannot be opened: {reason_of(error)}", reason="not-a-file", at=str(path)
        ) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise VideoError(
            "this is not a regular file (a pipe, a device or a folder)", reason="not-a-file", at=str(path)
        )
    num_bytes = status.st_size
    if 0 < num_bytes <= max_bytes:
        return MediaFile(io.FileIO(descriptor, "rb"))
    os.close(descriptor)
    if num_bytes == 0:
        raise VideoError("the file has no bytes", reason="empty", at=str(path))
    raise VideoError(
        f"{num_bytes} bytes are more than max_file_bytes {max_bytes}", reason="too-large", at=str(path)
    )


def open_media(file: MediaFile, *, path: Path, limits: ReadLimits, formats: str = CONTAINERS) -> Media:
    """Open the container, choose the video stream and check what the header declares; decodes nothing.

    The stream is the first that is neither an attached picture nor far smaller than the largest.

    Raises:
        VideoError: refused-reference, not-media, no-video-stream, no-decoder, too-large or too-long.
    """
    head = file.read(_SNIFF_BYTES)
    file.seek(0)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(_PLAYLISTS) or (text.startswith(b"<?xml") and b"<MPD" in text):
        raise VideoError(
            "the file is a playlist that names other files", reason="refused-reference", at=str(path)
        )
    options = {
        "protocol_whitelist": "",
        "format_whitelist": formats,
        "max_pixels": str(limits.max_pixels),
        "threads": "1",
    }
    try:
        container = av.open(file, mode="r", options=options, **ANY_METADATA)
    except MemoryError:
        raise
    except MEDIA_ERRORS as error:
        file.require_read(path)
        raise VideoError(
            f"no container that we read: {reason_of(error)}", reason="not-media", at=str(path)
        ) from error
    try:
        return _check_header(container, path=path, limits=limits, num_bytes=os.fstat(file.fileno()).st_size)
    except VideoError:
        container.close()
        raise


def _check_header(
    container: av.container.InputContainer, *, path: Path, limits: ReadLimits, num_bytes: int
) -> Media:
    at = str(path)
    num_streams = len(container.streams)
    if num_streams > limits.max_streams:
        what = f"{num_streams} streams are more than max_streams {limits.max_streams}"
        raise VideoError(what, reason="too-large", at=at)
    streams = [s for s in container.streams.video if Disposition.attached_pic not in s.disposition]
    if not streams:
        raise VideoError("the file has no video stream", reason="no-video-stream", at=at)
    readable = [s for s in streams if s.codec_context is not None]
    if not readable:
        raise VideoError("there is no decoder for the video's codec", reason="no-decoder", at=at)
    largest = max(_num_pixels(s) for s in readable)
    stream = next(s for s in readable if _num_pixels(s) >= largest * _SMALLEST_AREA_SHARE)
    if _num_pixels(stream) > limits.max_pixels:
        size = f"{stream.codec_context.width}x{stream.codec_context.height}"
        raise VideoError(f"{size} is more than max_pixels {limits.max_pixels}", reason="too-large", at=at)
    declared = _declared_duration_seconds(container, stream)
    duration = believed_duration_seconds(declared, num_bytes=num_bytes)
    if duration is not None and duration > limits.max_duration_seconds:
        limit = f"max_duration_seconds {limits.max_duration_seconds:g}"
        raise VideoError(f"it declares {duration:.0f} s, more than {limit}", reason="too-long", at=at)
    return Media(
        container=container, stream=stream, num_video_streams=len(streams), declared_duration_seconds=declared
    )


def _num_pixels(stream: av.video.stream.VideoStream) -> int:
    return stream.codec_context.width * stream.codec_context.height


def _declared_duration_seconds(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream
) -> float | None:
    """Return the stream's own duration, else the container's, else None; both may be wrong."""
    if stream.duration and stream.time_base and stream.duration > 0:
        return float(stream.duration * stream.time_base)
    if container.duration and container.duration > 0:
        return float(Fraction(container.duration, av.time_base))
    return None


def reason_of(error: BaseException) -> str:
    """Return FFmpeg's or the system's own words for what went wrong."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__

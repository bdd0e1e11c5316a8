"""torchcodec as frame source: for decoding on the GPU (NVDEC); on a CPU PyAV is faster and needs no FFmpeg installed.

PyAV checks the file and lists its packets' time stamps, from which frames are chosen; torchcodec then gives frame after
frame by its place in that list, and each is held to its time stamp: another one is an error, never a feature.

Shape suffixes: H height, W width, C colour (RGB).
"""

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from numpy.typing import NDArray

from videobert_cli.core.video.child_limits import is_memory_short
from videobert_cli.core.video.frames import FrameRequest, ReadLimits
from videobert_cli.core.video.picture import PictureMaker
from videobert_cli.core.video.probe import MEDIA_ERRORS, Media, open_media, open_regular_file, reason_of
from videobert_cli.core.video.pyav_frames import completeness_of, facts_of
from videobert_cli.core.video.source import SourceFacts, SourceFrame
from videobert_cli.errors import VideoError

# Where torchcodec was seen to return the frames it was asked for (test_exactness.py, version 0.13 on FFmpeg 5.1).
# Elsewhere it was seen to fail: MPEG-TS, MPEG-PS, AVI with B-frames, H.263 (another picture under the right time).
_RIGHT_CONTAINERS = frozenset({"mov", "matroska", "flv"})
_RIGHT_CODECS = frozenset({"h264", "hevc", "vp8", "vp9", "av1", "mjpeg"})


class TorchcodecSource:
    """One opened file, decoded by torchcodec; a FrameSource."""

    facts: SourceFacts

    def __init__(self, path: Path, *, request: FrameRequest, limits: ReadLimits, device: str) -> None:
        """Open the file.

        Raises:
            VideoError: The file fails a check, or torchcodec is known to be wrong on it.
            ImportError: torchcodec, FFmpeg's libraries or the device are not there.
        """
        self._path = path
        self._limits = limits
        self._maker = PictureMaker(request)
        video_decoder = _load(device)
        self._file = open_regular_file(path, max_bytes=limits.max_file_bytes)
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self._file.close)
            media = open_media(self._file, path=path, limits=limits)
            with media.container:
                self.facts = facts_of(media, decoder="torchcodec")
                self._completeness = completeness_of(self._file, media)
                self._sample_aspect = media.stream.sample_aspect_ratio
                self._times = _times_of_shown_frames(media)
                self._file.require_read(path)
                why_wrong = _why_wrong(media, times=self._times)
                stream_index = media.stream.index
            if why_wrong:
                raise self._refusal(why_wrong)
            if not self._times:
                raise VideoError("it opens, but shows no frame", reason="no-frames", at=str(path))
            self._file.seek(0)
            self._decoder = self._call(
                "it cannot be opened",
                lambda: video_decoder(
                    self._file,
                    stream_index=stream_index,
                    dimension_order="NHWC",
                    num_ffmpeg_threads=limits.num_threads,
                    device=device,
                    seek_mode="exact",
                ),
            )
            on_failure.pop_all()

    def frames(self) -> Iterator[SourceFrame]:
        """Yield frame numbers with the packets' time stamps; nothing is decoded yet."""
        if len(self._decoder) != len(self._times):
            raise self._refusal(f"{len(self._times)} frames, of which it shows {len(self._decoder)}")
        for number, (pts_ticks, duration_ticks) in enumerate(self._times):
            yield SourceFrame(picture=number, pts_ticks=pts_ticks, duration_ticks=duration_ticks or None)

    def rgb(self, picture: object) -> NDArray[np.uint8]:
        """Return the frame of this number as the request wants it; torchcodec has turned it upright.

        Raises:
            VideoError: decode-error; refused-decoder where the frame is not of the time it was asked for.
        """
        number = cast(int, picture)
        decoded = self._call(f"frame {number} cannot be decoded", lambda: self._decoder.get_frame_at(number))
        seconds = float(self._times[number][0] * self.facts.tick_seconds)
        if abs(decoded.pts_seconds - seconds) > self.facts.tick_seconds / 2:
            raise self._refusal(
                f"asked for the frame at {seconds:g} s it gave that at {decoded.pts_seconds:g} s"
            )
        rgb_HWC = decoded.data.cpu().numpy()
        height, width, _ = rgb_HWC.shape
        if height * width > self._limits.max_pixels:
            what = f"a frame of {width}x{height} is more than max_pixels {self._limits.max_pixels}"
            raise VideoError(what, reason="too-large", at=str(self._path))
        frame = av.VideoFrame.from_ndarray(rgb_HWC, format="rgb24")
        return self._maker.rgb(frame, sample_aspect=self._upright_sample_aspect(width, height))

    def check_complete(self, duration_seconds: float) -> None:
        """Raise VideoError (truncated) if the file ends before what it declares."""
        why = self._completeness.why_truncated(
            duration_seconds=duration_seconds, num_packets=len(self._times), num_errors=0
        )
        if why and not self._limits.allow_truncated:
            raise VideoError(f"the file ends early: {why}", reason="truncated", at=str(self._path))

    def rest(self) -> None:
        """Return: torchcodec decodes when it is asked, not ahead."""

    def close(self) -> None:
        """Let the decoder go, then the file it reads from."""
        self._decoder = None
        self._file.close()

    def _upright_sample_aspect(self, width: int, height: int) -> Fraction | None:
        """Return the shape of a pixel as laid on the screen: a quarter turn turns pixels too."""
        is_turned = (height, width) == (self.facts.width, self.facts.height) and width != height
        return 1 / self._sample_aspect if self._sample_aspect and is_turned else self._sample_aspect

    def _call(self, what: str, use: Any) -> Any:
        try:
            return use()
        except MemoryError:
            raise
        except (RuntimeError, IndexError, ValueError) as error:
            if is_memory_short(num_pixels=self.facts.width * self.facts.height):
                raise MemoryError from error
            first_line = reason_of(error).strip().splitlines()[0]
            raise VideoError(f"{what}: {first_line}", reason="decode-error", at=str(self._path)) from error

    def _refusal(self, why: str) -> VideoError:
        what = f"torchcodec is known to be wrong on this file: {why}; use reader.name: pyav"
        return VideoError(what, reason="refused-decoder", at=str(self._path))


def _load(device: str) -> Any:
    """Return torchcodec's decoder class.

    Raises:
        ImportError: It is not installed, finds no FFmpeg, or there is no such device.
    """
    try:
        # Before torch, which takes seconds: without torchcodec the answer comes at once.
        from torchcodec.decoders import VideoDecoder  # type: ignore[attr-defined, unused-ignore]
    except (RuntimeError, OSError) as error:
        raise ImportError("it finds no shared libraries of FFmpeg (versions 4 to 8)") from error
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise ImportError("extract.reader.device is cuda, and there is no CUDA device here")
    return VideoDecoder


def _times_of_shown_frames(media: Media) -> list[tuple[int, int]]:
    """Return time stamp and duration of each packet that is shown, in display order; reads the file through once.

    A packet without a time stamp counts as -1, so that `_why_wrong` finds it.
    """
    times: list[tuple[int, int]] = []
    packets = media.container.demux(media.stream)
    with contextlib.suppress(*MEDIA_ERRORS):
        times.extend(
            (-1 if packet.pts is None else packet.pts, packet.duration or 0)
            for packet in packets
            if packet.size and not packet.is_discard
        )
    return sorted(times)


def _why_wrong(media: Media, *, times: list[tuple[int, int]]) -> str | None:
    formats = media.container.format.name.split(",")
    codec = media.stream.codec_context.codec.canonical_name
    if codec not in _RIGHT_CODECS or _RIGHT_CONTAINERS.isdisjoint(formats):
        return f"{codec} in {formats[0]}"
    if len({pts for pts, _ in times}) < len(times):
        return "frames without a time stamp of their own"
    return None

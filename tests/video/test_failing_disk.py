"""A disk that gives no more of a file is told from the file's end."""

import errno
import io
import os
from fractions import Fraction

import av
import numpy as np
import pytest
from rendered_videos import request

from videobert_cli.core.video import pyav_frames
from videobert_cli.core.video.decoder_child import read_clips
from videobert_cli.core.video.frames import ReadLimits
from videobert_cli.core.video.probe import MediaFile
from videobert_cli.errors import VideoError

pytestmark = pytest.mark.slow

NUM_FRAMES = 250


class FailingDisk(io.FileIO):
    """Gives the first `num_good_bytes` of a file."""

    num_good_bytes = 1 << 40

    def readinto(self, buffer) -> int:
        if self.tell() + len(buffer) > self.num_good_bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().readinto(buffer)


def noisy_video(path, *, fmt: str, codec: str) -> None:
    """Large enough not to be read whole while it is opened."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", format=fmt) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width = stream.height = 96
        stream.options = {"threads": "1"}
        stream.codec_context.time_base = Fraction(1, 25)
        for _ in range(NUM_FRAMES):
            picture = rng.integers(0, 255, (96, 96, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


@pytest.mark.parametrize("allow_truncated", [False, True])
@pytest.mark.parametrize("share", [0.5, 0.95])
@pytest.mark.parametrize(
    ("fmt", "codec"),
    [("mpegts", "libx264"), ("mp4", "libx264"), ("matroska", "libx264"), ("avi", "mpeg4")],
)
def test_a_read_that_fails_is_not_the_end_of_the_file(
    tmp_path, monkeypatch, fmt, codec, share, allow_truncated
):
    path = tmp_path / "a"
    noisy_video(path, fmt=fmt, codec=codec)
    disk = FailingDisk(path)
    monkeypatch.setattr(pyav_frames, "open_regular_file", lambda *_, **__: MediaFile(disk))
    limits = ReadLimits(
        max_pixels=10**6, max_duration_seconds=100.0, max_file_bytes=10**9, max_streams=8, max_frames_per_second=100.0,
        allow_truncated=allow_truncated, num_threads=1,
    )  # fmt: skip
    source = pyav_frames.PyAVSource(path, request=request(), limits=limits)
    disk.num_good_bytes = int(share * path.stat().st_size)
    with pytest.raises(VideoError, match="cannot be read to its end: Input/output error") as caught:
        list(read_clips(source, path=path, request=request(), limits=limits))
    assert caught.value.reason == "not-a-file"
    source.close()

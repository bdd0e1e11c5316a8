"""Little videos whose frames carry their number, so that a test can read back which frame it was given."""

import csv
import os
import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from videobert_cli.core.video.frames import ClipBatch, FrameRequest, VideoSummary
from videobert_cli.core.video.options import ReaderOptions
from videobert_cli.core.video.reader import VideoReader
from videobert_cli.errors import InputError, VideoError

SIDE = 96
BLOCK = SIDE // 3
SHARED_DATA = Path(__file__).parents[2] / "../shared/data"


def numbered(number: int) -> np.ndarray:
    """Nine blocks, black or white: the bits of `number`."""
    bits = [(number >> bit) & 1 for bit in range(9)]
    blocks = np.array(bits, dtype=np.uint8).reshape(3, 3) * 200 + 25
    return np.repeat(np.kron(blocks, np.ones((BLOCK, BLOCK), dtype=np.uint8))[:, :, None], 3, axis=2)


def number_of(rgb: np.ndarray) -> int:
    size = rgb.shape[0] // 3
    blocks = rgb[: 3 * size, : 3 * size, 0].reshape(3, size, 3, size).mean(axis=(1, 3))
    return sum(int(value > 127) << bit for bit, value in enumerate(blocks.ravel()))


def render(
    path,
    *,
    times,
    tick=Fraction(1, 1000),
    codec="libx264",
    options=None,
    container=None,
    rate=25,
    fmt=None,
    size=(SIDE, SIDE),
    pix_fmt="yuv420p",
):
    """Write a video whose i-th frame shows number i at times[i] ticks; options default to B-frames, closed groups."""
    file = av.open(str(path), "w", format=fmt, options=container or {})
    stream = file.add_stream(codec, rate=rate)
    stream.width, stream.height = size
    stream.pix_fmt = pix_fmt
    stream.time_base = tick
    stream.codec_context.time_base = tick
    default = {"bf": "3", "g": "25", "crf": "18", "threads": "1"} if codec == "libx264" else {}
    stream.options = default | (options or {})
    for number, time in enumerate(times):
        frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24")
        if size != (SIDE, SIDE):
            frame = frame.reformat(width=size[0], height=size[1])
        frame.pts, frame.time_base = time, tick
        file.mux(stream.encode(frame))
    file.mux(stream.encode())
    file.close()
    return path


def request(**changes):
    values = {
        "frames_per_second": 20.0,
        "clip_num_frames": 10,
        "clip_stride_frames": 10,
        "frame_indices": tuple(range(10)),
        "resize": SIDE,
        "crop_size": SIDE,
        "batch_num_clips": 2,
    }
    return FrameRequest(**(values | changes))


def read(path, *, options=None, **changes):
    """Read one file with a reader of its own: batches and summary."""
    with VideoReader(options or ReaderOptions(timeout_seconds=60)) as reader:
        *batches, summary = reader.read(path, request(**changes))
    assert all(isinstance(batch, ClipBatch) for batch in batches)
    assert isinstance(summary, VideoSummary)
    return batches, summary


def shown_numbers(batches):
    """The number shown by each sample of each clip."""
    return [
        [number_of(batch.frames_FHWC[row]) for row in rows]
        for batch in batches
        for rows in batch.frame_index_NT
    ]


def expected_numbers(seconds, *, end, rate=20, clip=10, stride=10):
    """The rule in plain words: at each k / rate, the last frame that has begun; `end` counts from the first frame."""
    seconds = [time - seconds[0] for time in seconds]
    num_samples = next(k for k in range(10**6) if k / rate >= end - 1e-6)
    shown = [max(i for i, t in enumerate(seconds) if t <= k / rate + 5e-4 + 1e-9) for k in range(num_samples)]
    if num_samples < clip:
        return [shown + [shown[-1]] * (clip - num_samples)]
    return [shown[s : s + clip] for s in range(0, num_samples - clip + 1, stride)]


def skip_without_decoder(reader, path):
    """Skip the test where the reader's decoder cannot be loaded; pyav always can."""
    try:
        list(reader.read(path, request()))
    except VideoError:
        raise
    except InputError as error:
        assert reader._options.name != "pyav"
        pytest.skip(error.what)


def odd_rows():
    with (SHARED_DATA / "odd_videos/manifest.tsv").open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def cut(source, target, *, share):
    """A download that stopped after `share` of the bytes."""
    shutil.copy(source, target)
    os.truncate(target, int(source.stat().st_size * share))
    return target

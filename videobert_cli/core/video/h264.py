"""Pictures become H.264 in MP4; the same pictures give the same bytes."""

from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

# Shapes: H height, W width, C colour (RGB).

# One thread: slices of several threads would make the bytes depend on the machine.
_CODEC_OPTIONS = {"preset": "superfast", "crf": "27", "threads": "1"}


def write_h264(
    path: Path, pictures: Iterable[NDArray[np.uint8]], *, size: tuple[int, int], frames_per_second: int
) -> None:
    """Write pictures (H, W, 3) of `size` (width, height), both even, one after another; no sound."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=frames_per_second, options=_CODEC_OPTIONS)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for picture_HWC in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture_HWC, format="rgb24")))
        container.mux(stream.encode())

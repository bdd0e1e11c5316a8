"""What is asked of a video and what comes back: the request, the batches of clips, the summary at the end.

Shape suffixes: F distinct frames of a batch, N clips, T frames of a clip that the backbone looks at,
H height, W width, C colour (RGB).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class FrameRequest:
    """Which frames of a video are wanted, and how they are to look.

    Args:
        frames_per_second: Rate of the samples; sample k is at k / rate seconds after the first shown frame.
        clip_num_frames: Samples of one clip.
        clip_stride_frames: Samples from one clip's start to the next.
        frame_indices: Which samples of the clip the backbone looks at, each in [0, clip_num_frames).
        resize: Short side in pixels with the displayed aspect kept, or (height, width) with it not kept.
        crop_size: Side in pixels of the square cut from the centre, after resizing.
        batch_num_clips: Clips of one batch; the last batch may hold fewer.

    Raises:
        ValueError: A number is out of range, or the crop is larger than the resized frame.
    """

    frames_per_second: float
    clip_num_frames: int
    clip_stride_frames: int
    frame_indices: tuple[int, ...]
    resize: tuple[int, int] | int
    crop_size: int
    batch_num_clips: int

    def __post_init__(self) -> None:
        smallest = min(self.clip_num_frames, self.clip_stride_frames, self.crop_size, self.batch_num_clips)
        if self.frames_per_second <= 0 or smallest < 1:
            raise ValueError(f"rates, counts and sizes of a frame request must be positive: {self}")
        if not self.frame_indices or not all(0 <= i < self.clip_num_frames for i in self.frame_indices):
            raise ValueError(
                f"frame_indices {self.frame_indices} are not frames of a {self.clip_num_frames}-frame clip"
            )
        short = self.resize if isinstance(self.resize, int) else min(self.resize)
        if self.crop_size > short:
            raise ValueError(f"crop_size {self.crop_size} is larger than the resized frame {self.resize}")

    @property
    def clip_num_bytes(self) -> int:
        """Return the bytes of one clip's frames, all of them distinct."""
        return len(self.frame_indices) * self.crop_size * self.crop_size * 3

    @property
    def batch_num_bytes(self) -> int:
        """Return the bytes of the largest batch's frames."""
        return self.batch_num_clips * self.clip_num_bytes


@dataclass(frozen=True, kw_only=True)
class ClipBatch:
    """Some clips of one video, in time order; a frame that several clips or samples show is stored once.

    Args:
        frames_FHWC: Distinct frames, RGB, in time order.
        frame_index_NT: For each clip and each of `frame_indices`, its row in `frames_FHWC`.
        clip_start_seconds_N: Clip starts, relative to the first shown frame.
    """

    frames_FHWC: NDArray[np.uint8]
    frame_index_NT: NDArray[np.int64]
    clip_start_seconds_N: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class VideoSummary:
    """What was read of one video; comes last.

    `num_decoded_frames` counts frames that the file shows (edit lists applied), `duration_seconds` runs from
    the first shown frame to the end of the last, `width` and `height` are those of the coded frames in
    pixels.
    """

    num_decoded_frames: int
    duration_seconds: float
    declared_duration_seconds: float | None
    width: int
    height: int
    codec: str
    decoder: str
    num_clips: int


@dataclass(frozen=True, kw_only=True)
class ReadLimits:
    """What a file may cost: `ReaderOptions` as plain values, for a process that does not load pydantic."""

    max_pixels: int
    max_duration_seconds: float
    max_file_bytes: int
    max_streams: int
    max_frames_per_second: float
    allow_truncated: bool
    num_threads: int

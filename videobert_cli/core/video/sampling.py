"""The choice of frames is ours: time stamps become samples at a fixed rate, samples become clips.

Sample k is at t = k / rate seconds after the first shown frame and shows the last frame that starts at or
before t. Everything is whole numbers of the stream's ticks, so no rounding moves a frame. Shape suffixes: N
clips of a batch, T frames of a clip that the backbone looks at.
"""

import math
import statistics
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from videobert_cli.core.video.frames import FrameRequest

Picture = TypeVar("Picture")

_JUMP_SECONDS = 1.0
_NUM_GAPS = 25
_ROUNDING_SECONDS = Fraction(1, 2000)


@dataclass(frozen=True, kw_only=True)
class SampledClips:
    """Some clips: distinct pictures in time order, the row of each sample, the first sample of each clip."""

    pictures: list[NDArray[np.uint8]]
    rows_NT: list[list[int]]
    starts_N: list[int]


class SampleClock:
    """Turns ticks of a stream into sample numbers."""

    def __init__(self, *, tick_seconds: Fraction, frames_per_second: float) -> None:
        rate = Fraction(frames_per_second).limit_denominator(100_000)
        self._ticks_per_sample = 1 / (rate * tick_seconds)
        # A container's coarse clock rounds 33.37 ms to 33: half a tick is forgiven. Where ticks are whole
        # frames (AVI, GIF) nothing was rounded and half a tick would be half a frame, hence the upper bound.
        self._forgiven_ticks = min(Fraction(1, 2), _ROUNDING_SECONDS / tick_seconds)

    def first_sample(self, ticks: int) -> int:
        """Return the first sample at or after `ticks`.

        >>> clock = SampleClock(tick_seconds=Fraction(1, 1000), frames_per_second=20)
        >>> [clock.first_sample(t) for t in (0, 1, 50, 51, 100)]
        [0, 1, 1, 2, 2]
        """
        return max(0, math.ceil((ticks - self._forgiven_ticks) / self._ticks_per_sample))


class Timeline:
    """Places frames on one forward line of ticks that starts at the first shown frame.

    A missing time stamp, or one that does not go forward, becomes the previous one plus the usual gap. A jump
    back of more than a second (joined transport streams) shifts all that follows, so that the parts lie end
    to end.
    """

    def __init__(self, *, tick_seconds: Fraction, fallback_gap_ticks: int) -> None:
        self._jump_ticks = Fraction(_JUMP_SECONDS) / tick_seconds
        self._fallback_gap_ticks = max(1, fallback_gap_ticks)
        self._gaps: deque[int] = deque(maxlen=_NUM_GAPS)
        self._origin: int | None = None
        self._last: int | None = None

    def place(self, pts: int | None) -> int:
        """Return the ticks from the first shown frame to this one; strictly more than for the frame before."""
        if self._last is None:
            self._origin = pts
            self._last = 0
            return 0
        if self._origin is None and pts is not None:
            self._origin = pts - self._last - self.usual_gap()
        time = None if pts is None or self._origin is None else pts - self._origin
        if time is not None and time > self._last:
            self._gaps.append(time - self._last)
        else:
            expected = self._last + self.usual_gap()
            if time is not None and self._last - time > self._jump_ticks and self._origin is not None:
                self._origin -= expected - time
            time = expected
        self._last = time
        return time

    def end(self, last_duration_ticks: int | None) -> int:
        """Return the ticks from the first shown frame to the end of the last; its duration may be unknown."""
        return (self._last or 0) + (last_duration_ticks or self.usual_gap())

    def usual_gap(self) -> int:
        """Return the median of the latest gaps, in ticks."""
        return int(statistics.median_low(self._gaps)) if self._gaps else self._fallback_gap_ticks


class ClipAssembler(Generic[Picture]):
    """Collects the samples of clips and hands out batches; a picture is converted once, and only when a clip asks.

    Memory holds one batch plus the clips that are not complete yet, whatever the length of the video.
    """

    def __init__(self, request: FrameRequest, *, to_rgb: Callable[[Picture], NDArray[np.uint8]]) -> None:
        self._request = request
        self._to_rgb = to_rgb
        self._slots_by_residue: dict[int, list[tuple[int, int]]] = {}
        for slot, index in enumerate(request.frame_indices):
            self._slots_by_residue.setdefault(index % request.clip_stride_frames, []).append((slot, index))
        self._open: dict[int, list[int | None]] = {}
        self._ready: list[tuple[int, list[int]]] = []
        self._pictures: dict[int, NDArray[np.uint8]] = {}
        self._next_picture = 0
        self._last: tuple[Picture, int | None] | None = None
        self.num_clips = 0

    def show(self, picture: Picture, *, first: int, end: int) -> Iterator[SampledClips]:
        """Take note that the samples from `first` up to but not including `end` show `picture`."""
        key: int | None = None
        for sample in range(first, end):
            for slot, index in self._slots_by_residue.get(sample % self._request.clip_stride_frames, ()):
                if sample < index:
                    continue
                key = self._store(picture) if key is None else key
                clip = self._open.setdefault(sample - index, [None] * len(self._request.frame_indices))
                clip[slot] = key
            self._last = picture, key
            yield from self._close_clips(sample + 1)

    def finish(self, *, num_samples: int) -> Iterator[SampledClips]:
        """Hand out what is left; a video shorter than one clip repeats its last sample, an open tail is dropped."""
        if self._last is not None and num_samples < self._request.clip_num_frames:
            slots = self._open.pop(0, [None] * len(self._request.frame_indices))
            picture, key = self._last
            last = self._store(picture) if key is None and None in slots else key
            self._ready.append((0, [slot if slot is not None else cast(int, last) for slot in slots]))
        self._open.clear()
        if self._ready:
            yield self._take_batch()

    def _close_clips(self, num_samples: int) -> Iterator[SampledClips]:
        while self._open:
            start = next(iter(self._open))
            if start + self._request.clip_num_frames > num_samples:
                return
            slots = self._open.pop(start)
            self._ready.append((start, [slot for slot in slots if slot is not None]))
            if len(self._ready) == self._request.batch_num_clips:
                yield self._take_batch()

    def _store(self, picture: Picture) -> int:
        key = self._next_picture
        self._pictures[key] = self._to_rgb(picture)
        self._next_picture += 1
        return key

    def _take_batch(self) -> SampledClips:
        clips, self._ready = self._ready, []
        self.num_clips += len(clips)
        keys = sorted({key for _, slots in clips for key in slots})
        row = {key: number for number, key in enumerate(keys)}
        batch = SampledClips(
            pictures=[self._pictures[key] for key in keys],
            rows_NT=[[row[key] for key in slots] for _, slots in clips],
            starts_N=[start for start, _ in clips],
        )
        # The picture on show may still be asked for by its next sample: it is stored last, so it is kept.
        kept = {key for slots in self._open.values() for key in slots if key is not None} | {
            self._next_picture - 1
        }
        self._pictures = {key: picture for key, picture in self._pictures.items() if key in kept}
        return batch

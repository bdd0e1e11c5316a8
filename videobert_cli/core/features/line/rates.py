"""How fast an extraction is, and what holds it up: the decoder children, the device or the disk."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Cause = Literal["decode", "device", "disk", "fleet"]
CAUSES: tuple[Cause, ...] = ("decode", "device", "disk", "fleet")


@dataclass(frozen=True, kw_only=True)
class ExtractRates:
    """The clips computed so far, the time that took, and where the thread that drives the device spent it.

    Args:
        num_clips: Clips computed by this call, those of videos that failed later among them.
        seconds: Wall time since the first file was asked for.
        clip_stride_seconds: Seconds of video from one clip's start to the next.
        spent_seconds: Waiting for frames (`decode`), for the backbone (`device`), for the store (`disk`); with Ray for
            its workers (`fleet`), whose own dashboard tells which of them are slow.
    """

    num_clips: int
    seconds: float
    clip_stride_seconds: float
    spent_seconds: Mapping[Cause, float]

    @property
    def clips_per_second(self) -> float:
        """Clips a second of wall time."""
        return self.num_clips / self.seconds if self.seconds > 0 else 0.0

    @property
    def times_real_time(self) -> float:
        """Seconds of video a second of wall time."""
        return self.clips_per_second * self.clip_stride_seconds

    @property
    def bottleneck(self) -> Cause:
        """What most of the time was spent waiting for."""
        return max(CAUSES, key=lambda cause: self.spent_seconds.get(cause, 0.0))

    @property
    def words(self) -> str:
        """The speed and what limits it, for people."""
        return (
            f"{self.clips_per_second:,.1f} clips/s ({self.times_real_time:,.1f} x real time), "
            f"bottleneck: {self.bottleneck}"
        )


class Stopwatch:
    """Adds up where one thread's time goes."""

    def __init__(self, *, clip_stride_seconds: float) -> None:
        self.num_clips = 0
        self._clip_stride_seconds = clip_stride_seconds
        self._started = time.monotonic()
        self._spent: dict[Cause, float] = dict.fromkeys(CAUSES, 0.0)

    @contextlib.contextmanager
    def waiting_for(self, cause: Cause) -> Iterator[None]:
        """Count the time inside `with` for `cause`."""
        begin = time.monotonic()
        try:
            yield
        finally:
            self._spent[cause] += time.monotonic() - begin

    def rates(self) -> ExtractRates:
        """Return the state of now."""
        return ExtractRates(
            num_clips=self.num_clips,
            seconds=time.monotonic() - self._started,
            clip_stride_seconds=self._clip_stride_seconds,
            spent_seconds=dict(self._spent),
        )

"""Clips of whichever videos are packed into batches of one size, in a thread of their own, ahead of the device.

Shapes: F distinct frames of a batch, N clips, T frames of a clip that the backbone looks at, H height, W width,
C colour.
"""

import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from videobert_cli.core.video.decoder_pool import DecoderPool
from videobert_cli.core.video.frames import ClipBatch, VideoSummary
from videobert_cli.core.video.reader import LentBatch
from videobert_cli.errors import VideoError

# A batch that does not fill is handed over after this time without a frame: the device has nothing better to do.
_IDLE_SECONDS = 1.0
_SECONDS_BETWEEN_LOOKS = 0.1
_NUM_WORKS_AHEAD = 64


@dataclass(frozen=True, kw_only=True)
class Ending:
    """A video has been read to its end, or could not be; `position` is its place in the list of videos."""

    position: int
    content: VideoSummary | VideoError


@dataclass(kw_only=True)
class Batch:
    """Memory for N clips that is filled, computed and filled again; the tensors are as long as they can become.

    Args:
        frames_FHWC: uint8, distinct frames; the first `num_frames` are filled.
        index_NT: int64, for each clip its rows in `frames_FHWC`; the first `num_clips` are filled.
        shares: Which video the clips are of, in order: its position, the start times of its clips here.
    """

    frames_FHWC: Tensor
    index_NT: Tensor
    num_frames: int = 0
    num_clips: int = 0
    shares: list[tuple[int, NDArray[np.float64]]] = field(default_factory=list)

    @property
    def room(self) -> int:
        """Return how many more clips fit."""
        return len(self.index_NT) - self.num_clips

    def clear(self) -> None:
        """Make it ready to be filled again."""
        self.num_frames, self.num_clips, self.shares = 0, 0, []

    def add(self, clips: ClipBatch, *, position: int, first: int) -> int:
        """Copy the clips of one video from `first` on, as many as fit; return how many."""
        num = min(self.room, len(clips.frame_index_NT) - first)
        rows_NT = clips.frame_index_NT[first : first + num]
        # A part of the clips may need a part of the frames only.
        rows_F, index_NT = np.unique(rows_NT, return_inverse=True)
        frames = self.frames_FHWC.numpy()[self.num_frames : self.num_frames + len(rows_F)]
        if len(rows_F) == len(clips.frames_FHWC):
            np.copyto(frames, clips.frames_FHWC)
        else:
            np.take(clips.frames_FHWC, rows_F, axis=0, out=frames)
        filled = self.index_NT.numpy()[self.num_clips : self.num_clips + num]
        filled[:] = index_NT.reshape(rows_NT.shape) + self.num_frames
        self.shares.append((position, clips.clip_start_seconds_N[first : first + num]))
        self.num_frames += len(rows_F)
        self.num_clips += num
        return num


@dataclass(frozen=True, kw_only=True)
class Work:
    """The next thing to do: compute `batch`, if there is one; then the videos of `endings` have all their clips."""

    batch: Batch | None
    endings: tuple[Ending, ...]


class Packer:
    """Takes the pool's events and makes work of them; the batches given circulate, which bounds the memory."""

    def __init__(self, pool: DecoderPool, *, batches: Sequence[Batch]) -> None:
        self._pool = pool
        self._free: queue.Queue[Batch] = queue.Queue()
        for batch in batches:
            self._free.put(batch)
        self._ready: queue.Queue[Work | BaseException | None] = queue.Queue(maxsize=_NUM_WORKS_AHEAD)
        self._filling: Batch | None = None
        self._endings: list[Ending] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._pack_all, name="videobert-packer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def next_work(self, *, timeout_seconds: float) -> Work | None:
        """Return the next work, None when there is no more.

        Raises:
            TimeoutError: None came in time.
            BaseException: What ended the reading, a missing decoder for instance.
        """
        try:
            work = self._ready.get(timeout=timeout_seconds) if timeout_seconds else self._ready.get_nowait()
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(work, BaseException):
            raise work
        return work

    def free(self, batch: Batch) -> None:
        """Take a batch back that has been computed."""
        batch.clear()
        self._free.put(batch)

    def _pack_all(self) -> None:
        try:
            while not self._is_over.is_set():
                try:
                    event = self._pool.next_event(timeout_seconds=_IDLE_SECONDS)
                except TimeoutError:
                    self._hand_over()
                    continue
                if event is None:
                    self._hand_over()
                    self._put(None)
                    return
                if isinstance(event.content, LentBatch):
                    self._pack(event.content.batch, position=event.position)
                    event.content.give_back()
                else:
                    self._end(Ending(position=event.position, content=event.content))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that takes the work
            self._put(error)

    def _pack(self, clips: ClipBatch, *, position: int) -> None:
        first = 0
        while first < len(clips.frame_index_NT):
            if self._filling is None:
                self._filling = self._next_free()
            if self._filling is None:
                return
            first += self._filling.add(clips, position=position, first=first)
            if not self._filling.room:
                self._hand_over()

    def _end(self, ending: Ending) -> None:
        self._endings.append(ending)
        if self._filling is None:
            self._hand_over()

    def _hand_over(self) -> None:
        if self._filling is not None or self._endings:
            self._put(Work(batch=self._filling, endings=tuple(self._endings)))
        self._filling, self._endings = None, []

    def _next_free(self) -> Batch | None:
        while not self._is_over.is_set():
            try:
                return self._free.get(timeout=_SECONDS_BETWEEN_LOOKS)
            except queue.Empty:
                continue
        return None

    def _put(self, work: Work | BaseException | None) -> None:
        while not self._is_over.is_set():
            try:
                self._ready.put(work, timeout=_SECONDS_BETWEEN_LOOKS)
            except queue.Full:
                continue
            return

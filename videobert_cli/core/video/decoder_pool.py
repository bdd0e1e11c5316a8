"""Several decoder children at work on one list of videos, each on one file at a time, handed out in order.

What they deliver comes out of one queue, mixed: a video's clips in time order, then its summary or its error. Memory
is bounded by the children's slots: a child whose slots are full waits.
"""

import itertools
import os
import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Literal, Self

from videobert_cli.core.video.entries import Video
from videobert_cli.core.video.frames import FrameRequest, VideoSummary
from videobert_cli.core.video.options import ReaderOptions
from videobert_cli.core.video.reader import LentBatch, VideoReader
from videobert_cli.errors import VideoError

# Clips that a child hands over at once: enough that messages cost nothing (one clip of S3D, six of the embedded
# network), few enough that the device does not wait for the first and sixteen children's slots take 200 MB.
_PORTION_BYTES = 4 << 20
_SECONDS_BETWEEN_LOOKS = 0.1


@dataclass(frozen=True, kw_only=True)
class PoolEvent:
    """What a child delivered of a video: portions of clips, then one summary or one error.

    `position` is the video's in the list that the pool was given.
    """

    position: int
    content: LentBatch | VideoSummary | VideoError


def count_decoders(wanted: Literal["auto"] | int, *, device_type: str, num_videos: int) -> int:
    """Return how many decoder children to start, never more than there are videos.

    `auto`: the backbone computes on the same cores as long as there is no GPU, so half of them decode; beside a GPU all
    but one do, which feeds it.
    """
    if wanted == "auto":
        num_cores = count_cores()
        wanted = num_cores // 2 if device_type == "cpu" else num_cores - 1
    return max(1, min(wanted, num_videos))


def count_cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def portioned(request: FrameRequest) -> FrameRequest:
    """Return the request with batches of a size that shared memory is made for; at least one clip."""
    num_clips = max(1, _PORTION_BYTES // request.clip_num_bytes)
    return replace(request, batch_num_clips=min(request.batch_num_clips, num_clips))


class DecoderPool:
    """Use as a context manager: entering starts the children, leaving ends them at once."""

    def __init__(
        self, videos: Sequence[Video], *, request: FrameRequest, options: ReaderOptions, num_workers: int
    ) -> None:
        self._videos = videos
        self._positions = itertools.count()
        self._request = portioned(request)
        # Alone, a child decodes with two threads: the second hides what the first waits for. Several children fill the
        # cores better than threads do (584 frames/s of 720p against 420).
        num_threads = 2 if num_workers == 1 else 1
        self._readers = [VideoReader(options, num_threads=num_threads) for _ in range(num_workers)]
        self._events: queue.Queue[PoolEvent | BaseException | None] = queue.Queue(maxsize=2 * num_workers)
        self._is_over = threading.Event()
        self._threads_left = num_workers
        self._threads = [
            threading.Thread(target=self._work, args=(reader,), name=f"videobert-decoder-{n}", daemon=True)
            for n, reader in enumerate(self._readers)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        for reader, thread in zip(self._readers, self._threads, strict=True):
            # A thread may be just about to start another child: end that one too.
            while thread.is_alive():
                reader.close()
                thread.join(_SECONDS_BETWEEN_LOOKS)
            reader.close()

    def next_event(self, *, timeout_seconds: float) -> PoolEvent | None:
        """Return the next event, None when all videos have been read.

        Raises:
            TimeoutError: None came in time.
            InputError: The decoder that was asked for is not installed; and whatever else ended a thread.
        """
        while True:
            try:
                event = self._events.get(timeout=timeout_seconds)
            except queue.Empty:
                raise TimeoutError from None
            if isinstance(event, BaseException):
                raise event
            if event is not None:
                return event
            self._threads_left -= 1
            if not self._threads_left:
                return None

    def _work(self, reader: VideoReader) -> None:
        try:
            while not self._is_over.is_set():
                position = next(self._positions)  # one step of the interpreter: no two threads get the same
                if position >= len(self._videos):
                    break
                self._read(reader, position)
            self._put(None)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that takes the events
            self._put(error)
        finally:
            reader.close()

    def _read(self, reader: VideoReader, position: int) -> None:
        try:
            for content in reader.lend(self._videos[position].path, self._request):
                if not self._put(PoolEvent(position=position, content=content)):
                    return
        except VideoError as error:
            self._put(PoolEvent(position=position, content=error))

    def _put(self, event: PoolEvent | BaseException | None) -> bool:
        """Hand the event over; False when nobody wants it any more."""
        while not self._is_over.is_set():
            try:
                self._events.put(event, timeout=_SECONDS_BETWEEN_LOOKS)
            except queue.Full:
                continue
            return True
        return False

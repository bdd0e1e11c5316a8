"""A thread that reads the next batches while the backbone computes; the decoding itself is in the reader's
child.
"""

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from videobert_cli.core.video.frames import ClipBatch, FrameRequest, VideoSummary
from videobert_cli.core.video.manifest import Video
from videobert_cli.core.video.options import ReaderOptions
from videobert_cli.core.video.reader import VideoReader
from videobert_cli.errors import VideoError

# Two batches ahead hide the decoder's start of the next file; each costs its frames (72 MB for 16 clips of
# S3D).
_NUM_EVENTS_AHEAD = 2


@dataclass(frozen=True, kw_only=True)
class ReadEvent:
    """What the reader delivered of a video: batches, then one summary or one error."""

    video: Video
    content: ClipBatch | VideoSummary | VideoError


class ReadAhead:
    """Iterates over the events of all videos in order; leaving the context ends the reader's child at
    once.
    """

    def __init__(self, videos: Sequence[Video], *, request: FrameRequest, options: ReaderOptions) -> None:
        self._videos = videos
        self._request = request
        self._reader = VideoReader(options)
        self._events: queue.Queue[ReadEvent | BaseException | None] = queue.Queue(maxsize=_NUM_EVENTS_AHEAD)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._read_all, name="videobert-read-ahead", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._reader.close()
        self._thread.join()
        self._reader.close()

    def __iter__(self) -> Iterator[ReadEvent]:
        """Yield the events; an error of the reading itself, not of a video, is raised here."""
        while (event := self._events.get()) is not None:
            if isinstance(event, BaseException):
                raise event
            yield event

    def _read_all(self) -> None:
        try:
            for video in self._videos:
                if self._is_over.is_set():
                    return
                for event in self._read(video):
                    if not self._put(event):
                        return
            self._put(None)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that iterates
            self._put(error)

    def _read(self, video: Video) -> Iterator[ReadEvent]:
        try:
            for content in self._reader.read(video.path, self._request):
                yield ReadEvent(video=video, content=content)
        except VideoError as error:
            yield ReadEvent(video=video, content=error)

    def _put(self, event: ReadEvent | BaseException | None) -> bool:
        """Hand the event over; False when nobody wants it any more."""
        while not self._is_over.is_set():
            try:
                self._events.put(event, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

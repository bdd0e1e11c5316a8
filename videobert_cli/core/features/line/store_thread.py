"""The store is written behind the device, in a thread of its own: on a network disk an fsync takes longer than a video.

Videos are stored in the order they come. The first error ends it, and is raised again where the videos come from.
"""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from videobert_cli.core.features.line.batches import Ending
from videobert_cli.core.features.line.collect import FeatureCollector
from videobert_cli.core.video.entries import Video

# Videos whose features wait in memory for the disk.
_NUM_VIDEOS_BEHIND = 64
_SECONDS_BETWEEN_LOOKS = 0.1


@dataclass(frozen=True, kw_only=True)
class EndedVideo:
    """A video of which all clips have been computed, or which failed; `seconds` since its first frames came."""

    video: Video
    ending: Ending
    collector: FeatureCollector
    seconds: float


class StoreThread:
    """Hands ended videos to `book`, one after another; leaving the context waits for those that were given.

    `book` returns whether the next may follow: False drops what still waits, as a stop that was asked for does.
    """

    def __init__(self, book: Callable[[EndedVideo], bool]) -> None:
        self._book = book
        self._waiting: queue.Queue[EndedVideo | None] = queue.Queue(maxsize=_NUM_VIDEOS_BEHIND)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="videobert-store", daemon=True)
        self.is_stopped = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.is_stopped = True
        self._put(None)
        self._thread.join()

    def put(self, ended: EndedVideo) -> None:
        """Have a video stored.

        Raises:
            ResourceError: An earlier one could not be: the disk is full.
        """
        self._put(ended)
        self._raise_error()

    def finish(self) -> None:
        """Wait until all is stored; raises as `put`."""
        self._put(None)
        self._thread.join()
        self._raise_error()

    def _put(self, ended: EndedVideo | None) -> None:
        while self._thread.is_alive():
            try:
                self._waiting.put(ended, timeout=_SECONDS_BETWEEN_LOOKS)
            except queue.Full:
                continue
            return

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            while (ended := self._waiting.get()) is not None:
                if not self.is_stopped and not self._book(ended):
                    self.is_stopped = True
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that gives the videos
            self._error = error
            # Nothing more can be stored: decoding on for hours would be for nothing.
            self.is_stopped = True

"""Stills of many videos from several decoder children at once, handed out as the videos are done."""

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from videobert_cli.core.video.decoder_pool import count_decoders
from videobert_cli.core.video.options import ReaderOptions
from videobert_cli.core.video.reader import VideoReader
from videobert_cli.errors import VideoError

# Between two looks at whether to stop, where no video is done meanwhile.
_SECONDS_BETWEEN_LOOKS = 0.25


@dataclass(frozen=True, kw_only=True)
class StillsOfVideo:
    """The pictures of one video, RGB squares in the order of the times asked for; or why there are none."""

    position: int
    pictures: tuple[NDArray[np.uint8], ...]
    problem: VideoError | None = None


def stills_of_videos(
    videos: Sequence[tuple[Path, Sequence[float]]], *, options: ReaderOptions, num_pixels: int
) -> Iterator[StillsOfVideo | None]:
    """Yield the stills of each video (path, seconds ascending) as they come, and None from time to time meanwhile.

    Whoever takes them may stop at any of these; the children then end.
    """
    # The computer has nothing else to do meanwhile: every core decodes.
    num_workers = count_decoders(options.num_workers, device_type="cuda", num_videos=len(videos))
    readers: SimpleQueue[VideoReader] = SimpleQueue()
    all_readers = [VideoReader(options, num_threads=1) for _ in range(num_workers)]
    for reader in all_readers:
        readers.put(reader)

    def read(position: int) -> StillsOfVideo:
        path, seconds = videos[position]
        reader = readers.get()
        try:
            pictures = reader.stills(path, seconds=seconds, num_pixels=num_pixels)
            return StillsOfVideo(position=position, pictures=tuple(pictures))
        except VideoError as error:
            return StillsOfVideo(position=position, pictures=(), problem=error)
        finally:
            readers.put(reader)

    threads = ThreadPoolExecutor(num_workers, thread_name_prefix="videobert-stills")
    try:
        yield from _as_they_come({threads.submit(read, position) for position in range(len(videos))})
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        for reader in all_readers:
            reader.close()
        threads.shutdown(wait=True)
        for reader in all_readers:
            reader.close()


def _as_they_come(pending: set[Future[StillsOfVideo]]) -> Iterator[StillsOfVideo | None]:
    while pending:
        done, pending = wait(pending, timeout=_SECONDS_BETWEEN_LOOKS, return_when=FIRST_COMPLETED)
        for future in done:
            yield future.result()
        if not done:
            yield None

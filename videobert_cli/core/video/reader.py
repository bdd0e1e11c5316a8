"""Frames of any video, one file at a time, from a decoder child that may crash or hang without harm.

Shape suffixes: F distinct frames of a batch, N clips, T frames of a clip that the backbone looks at,
H height, W width, C colour (RGB).
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from videobert_cli.core.video.child_limits import resident_private_bytes
from videobert_cli.core.video.decoder_process import DecoderProcess, Watch
from videobert_cli.core.video.frames import ClipBatch, FrameRequest, ReadLimits, VideoSummary
from videobert_cli.core.video.options import ReaderOptions
from videobert_cli.errors import InputError, VideoError

__all__ = ["ClipBatch", "FrameRequest", "LentBatch", "VideoReader", "VideoSummary"]

_FILES_PER_CHILD = 200
# A child that has grown by so much since its first file is replaced; by half of its limit where that is less.
_MAX_GROWTH_BYTES = 1 << 30
# A long video may take longer than any limit that fits a short one: twice its own duration is always granted.
_TIMES_DURATION = 2


@dataclass(frozen=True, kw_only=True)
class LentBatch:
    """Clips whose frames lie in memory that the decoder child wants back: copy what is needed, then `give_back()`."""

    batch: ClipBatch
    give_back: Callable[[], None]


class VideoReader:
    """Reads videos through one decoder child, started at the first file and replaced when it dies.

    Use as a context manager; leaving it ends the child. One file is read at a time: starting the next one
    ends the reading of the one before. After 200 files, or when it has grown by 1 GB, the child is replaced: every
    open leaks a little.
    """

    def __init__(self, options: ReaderOptions, *, num_threads: int = 2) -> None:
        """Args: `num_threads` is the decoder's; one where several readers share the cores."""
        self._options = options
        self._limits = ReadLimits(
            max_pixels=options.max_pixels,
            max_duration_seconds=options.max_duration_seconds,
            max_file_bytes=options.max_file_bytes,
            max_streams=options.max_streams,
            max_frames_per_second=options.max_frames_per_second,
            allow_truncated=options.allow_truncated,
            num_threads=num_threads,
        )
        self._child: DecoderProcess | None = None
        self._num_files = 0
        self._first_num_bytes: int | None = None
        self._is_busy = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self, path: Path, request: FrameRequest) -> Iterator[ClipBatch | VideoSummary]:
        """Yield the clips of `path` in batches, then one summary; a folder is a video of time-stamped images.

        Time is counted only while we wait for the child, so a slow consumer does not time a file out.

        Raises:
            VideoError: The file cannot be read; `reason` is one of the words of docs/formats.md. Batches that
                came before must then be dropped.
            InputError: The decoder that was asked for is not installed.
        """
        for item in self.lend(path, request):
            if isinstance(item, LentBatch):
                batch = replace(item.batch, frames_FHWC=item.batch.frames_FHWC.copy())
                item.give_back()
                yield batch
            else:
                yield item

    def stills(self, path: Path, *, seconds: Sequence[float], num_pixels: int) -> list[np.ndarray]:
        """Return a picture `[num_pixels, num_pixels, 3]` for each of `seconds` (ascending), to look at: by seeking.

        Fewer come back than were asked for where the rest cannot be decoded. Raises as `read`.
        """
        request = FrameRequest(
            frames_per_second=1.0,
            clip_num_frames=1,
            clip_stride_frames=1,
            frame_indices=(0,),
            resize=num_pixels,
            crop_size=num_pixels,
            batch_num_clips=1,
        )
        pictures = []
        for item in self._ask(path, request, head={"kind": "stills", "seconds": list(seconds)}):
            if isinstance(item, LentBatch):
                pictures.append(item.batch.frames_FHWC[0].copy())
                item.give_back()
        return pictures

    def lend(self, path: Path, request: FrameRequest) -> Iterator[LentBatch | VideoSummary]:
        """Yield as `read` does, the frames not copied: two batches at most may be out at a time.

        The next item comes once one of two is given back, which another thread may do. Raises as `read`.
        """
        yield from self._ask(path, request, head={"kind": "read"})

    def _ask(
        self, path: Path, request: FrameRequest, *, head: dict[str, Any]
    ) -> Iterator[LentBatch | VideoSummary]:
        if self._is_busy or self._is_worn():
            self.close()
        child = self._start(slot_num_bytes=request.batch_num_bytes)
        self._is_busy = True
        self._num_files += 1
        watch = Watch(child, seconds=self._options.timeout_seconds)
        message = head | {
            "path": os.fspath(path),
            "decoder": self._options.name,
            "device": self._options.device,
            "request": asdict(request),
            "limits": asdict(self._limits),
        }
        is_whole = False
        try:
            for item in self._answers(child, head=message, watch=watch, request=request):
                is_whole = isinstance(item, VideoSummary)
                if is_whole:
                    self._is_busy = False
                yield item
        except VideoError as error:
            is_whole = error.reason not in {"decoder-crashed", "timeout", "out-of-memory"}
            raise VideoError(error.what, reason=error.reason, at=str(path)) from error
        finally:
            if child is self._child:
                self._is_busy = False
                if not is_whole:
                    self.close()

    def close(self) -> None:
        """End the child; the next `read` starts another."""
        child, self._child = self._child, None
        self._num_files = 0
        self._first_num_bytes = None
        self._is_busy = False
        if child is not None:
            child.kill()

    def _start(self, *, slot_num_bytes: int) -> DecoderProcess:
        """Return the living child, a new one if need be; its slots are as large as its first file asks."""
        if self._child is not None and self._child.is_alive():
            return self._child
        self.close()
        # CUDA's driver maps more than any video needs: a limit would refuse the driver, not the video.
        is_on_gpu = self._options.name == "torchcodec" and self._options.device == "cuda"
        max_memory_bytes = None if is_on_gpu else self._options.max_memory_bytes
        self._child = DecoderProcess(slot_num_bytes=slot_num_bytes, max_memory_bytes=max_memory_bytes)
        return self._child

    def _is_worn(self) -> bool:
        """Return whether the child has read so many files, or grown so large, that a new one is due."""
        if self._child is None or self._num_files == 0:
            return False
        if self._num_files >= _FILES_PER_CHILD:
            return True
        num_bytes = resident_private_bytes(self._child.process.pid)
        if num_bytes is None:
            return False
        if self._first_num_bytes is None:
            self._first_num_bytes = num_bytes
        return num_bytes - self._first_num_bytes > min(_MAX_GROWTH_BYTES, self._options.max_memory_bytes // 2)

    def _answers(
        self, child: DecoderProcess, *, head: dict[str, Any], watch: Watch, request: FrameRequest
    ) -> Iterator[LentBatch | VideoSummary]:
        try:
            with watch:
                child.send(head)
        except OSError as error:
            raise watch.what_happened() from error
        while True:
            answer, body = child.receive(watch=watch)
            match answer["kind"]:
                case "opened":
                    watch.grant(_TIMES_DURATION * (answer["believed_duration_seconds"] or 0.0))
                case "clips":
                    yield _batch_of(answer, body, child=child, crop_size=request.crop_size)
                case "summary":
                    yield VideoSummary(**answer["summary"])
                    return
                case "error":
                    raise VideoError(answer["what"], reason=answer["reason"])
                case "not-installed":
                    raise InputError(
                        answer["what"], at=f"extract.reader.name: {self._options.name}", fix=answer["fix"]
                    )


def _batch_of(answer: dict[str, Any], body: bytearray, *, child: DecoderProcess, crop_size: int) -> LentBatch:
    shape = answer["num_frames"], crop_size, crop_size, 3
    give_back: Callable[[], None] = _keep
    memory = np.frombuffer(body, dtype=np.uint8)
    if answer["slot"] is not None:
        memory, give_back = child.lend(answer["slot"], num_bytes=int(np.prod(shape)))
    batch = ClipBatch(
        frames_FHWC=memory.reshape(shape),
        frame_index_NT=np.asarray(answer["rows"], dtype=np.int64),
        clip_start_seconds_N=np.asarray(answer["start_seconds"], dtype=np.float64),
    )
    return LentBatch(batch=batch, give_back=give_back)


def _keep() -> None:
    """Do nothing: what came through the pipe is ours."""

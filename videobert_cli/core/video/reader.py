"""Frames of any video, one file at a time, from a decoder child that may crash or hang without harm.

Shape suffixes: F distinct frames of a batch, N clips, T frames of a clip that the backbone looks at,
H height, W width, C colour (RGB).
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

import numpy as np

import videobert_cli
from videobert_cli.core.video import channel
from videobert_cli.core.video.frames import ClipBatch, FrameRequest, ReadLimits, VideoSummary
from videobert_cli.core.video.options import ReaderOptions
from videobert_cli.errors import InputError, VideoError

__all__ = ["ClipBatch", "FrameRequest", "VideoReader", "VideoSummary"]

_FILES_PER_CHILD = 200
_CHILD_PROGRAM = (
    "import sys; sys.path.append(sys.argv[1]); import videobert_cli.core.video.decoder_child as c; c.main()"
)
_PATIENCE_SECONDS = 2.0


class VideoReader:
    """Reads videos through one decoder child, started at the first file and replaced when it dies.

    Use as a context manager; leaving it ends the child. One file is read at a time: starting the next one
    ends the reading of the one before. After 200 files the child is replaced, for every open leaks a little
    (decoders.md).
    """

    def __init__(self, options: ReaderOptions) -> None:
        self._options = options
        self._limits = ReadLimits(
            max_pixels=options.max_pixels,
            max_duration_seconds=options.max_duration_seconds,
            max_file_bytes=options.max_file_bytes,
            allow_truncated=options.allow_truncated,
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._num_files = 0
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
        if self._is_busy or self._num_files >= _FILES_PER_CHILD:
            self.close()
        process = self._start()
        self._is_busy = True
        self._num_files += 1
        watch = _Watch(process, seconds=self._options.timeout_seconds)
        head = {
            "path": os.fspath(path),
            "decoder": self._options.name,
            "request": asdict(request),
            "limits": asdict(self._limits),
        }
        is_whole = False
        try:
            for item in self._answers(process, head=head, watch=watch, request=request):
                is_whole = isinstance(item, VideoSummary)
                if is_whole:
                    self._is_busy = False
                yield item
        except VideoError as error:
            is_whole = error.reason not in {"decoder-crashed", "timeout"}
            raise VideoError(error.what, reason=error.reason, at=str(path)) from error
        finally:
            if process is self._process:
                self._is_busy = False
                if not is_whole:
                    self.close()

    def close(self) -> None:
        """End the child; the next `read` starts another."""
        process, self._process = self._process, None
        self._num_files = 0
        self._is_busy = False
        if process is None:
            return
        with contextlib.suppress(OSError):
            process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        process.wait()

    def _start(self) -> "subprocess.Popen[bytes]":
        """Return the living child, a new one if need be."""
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        package_root = Path(videobert_cli.__file__).resolve().parents[1]
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _CHILD_PROGRAM, str(package_root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        return self._process

    def _answers(
        self,
        process: "subprocess.Popen[bytes]",
        *,
        head: dict[str, Any],
        watch: "_Watch",
        request: FrameRequest,
    ) -> Iterator[ClipBatch | VideoSummary]:
        requests, answers = cast(BinaryIO, process.stdin), cast(BinaryIO, process.stdout)
        try:
            with watch:
                channel.send(requests, head)
        except OSError as error:
            raise watch.what_happened() from error
        while True:
            try:
                with watch:
                    answer, body = channel.receive(answers)
            except (EOFError, OSError, ValueError) as error:
                raise watch.what_happened() from error
            match answer["kind"]:
                case "clips":
                    yield _batch_of(answer, body, crop_size=request.crop_size)
                case "summary":
                    yield VideoSummary(**answer["summary"])
                    return
                case "error":
                    raise VideoError(answer["what"], reason=answer["reason"])
                case "not-installed":
                    raise InputError(
                        answer["what"], at=f"extract.reader.name: {self._options.name}", fix=answer["fix"]
                    )


class _Watch:
    """Kills the child when the time spent inside `with` adds up to more than was granted."""

    def __init__(self, process: "subprocess.Popen[bytes]", *, seconds: float) -> None:
        self._process = process
        self._granted_seconds = seconds
        self._left_seconds = seconds
        self._timer: threading.Timer | None = None
        self._start_seconds = 0.0
        self._has_fired = False

    def __enter__(self) -> None:
        self._start_seconds = time.monotonic()
        self._timer = threading.Timer(max(0.0, self._left_seconds), self._fire)
        self._timer.daemon = True
        self._timer.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._left_seconds -= time.monotonic() - self._start_seconds

    def what_happened(self) -> VideoError:
        """Return why the child fell silent."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE_SECONDS)
        if self._has_fired:
            return VideoError(f"no answer within timeout_seconds {self._granted_seconds:g}", reason="timeout")
        code = self._process.returncode
        end = f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
        return VideoError(f"the decoder's process ended with {end}", reason="decoder-crashed")

    def _fire(self) -> None:
        self._has_fired = True
        with contextlib.suppress(OSError):
            self._process.kill()


def _batch_of(answer: dict[str, Any], body: bytearray, *, crop_size: int) -> ClipBatch:
    frames_FHWC = np.frombuffer(body, dtype=np.uint8).reshape(answer["num_frames"], crop_size, crop_size, 3)
    return ClipBatch(
        frames_FHWC=frames_FHWC,
        frame_index_NT=np.asarray(answer["rows"], dtype=np.int64),
        clip_start_seconds_N=np.asarray(answer["start_seconds"], dtype=np.float64),
    )

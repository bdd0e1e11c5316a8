"""A decoder child seen from its parent: its start, the messages to and fro, the slots it lent, its end."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

import videobert_cli
from videobert_cli.core.video import channel
from videobert_cli.core.video.frame_ring import MAX_SLOT_BYTES, FrameRing, open_shared_memory
from videobert_cli.errors import VideoError

_CHILD_PROGRAM = (
    "import sys; sys.path.append(sys.argv[1]); import videobert_cli.core.video.decoder_child as c; c.main()"
)
# One is filled while the other is read.
_NUM_SLOTS = 2
_PATIENCE_SECONDS = 2.0
# C++ aborts where memory is refused; Linux kills a process where the machine or the container has none left.
_ENDS_FOR_WANT_OF_MEMORY = frozenset({-signal.SIGABRT, -getattr(signal, "SIGKILL", signal.SIGABRT)})


class DecoderProcess:
    """One living child. Messages may be sent from any thread and are received by one."""

    def __init__(self, *, slot_num_bytes: int, max_memory_bytes: int | None) -> None:
        """Start the child; batches of at most `slot_num_bytes` go through shared memory where the system has it."""
        self.max_memory_bytes = max_memory_bytes
        self.is_over = False
        self._lock = threading.Lock()
        self._slots = threading.Condition()
        self._num_lent = 0
        self._ring: FrameRing | None = None
        descriptor = None
        if slot_num_bytes <= MAX_SLOT_BYTES:
            descriptor = open_shared_memory(_NUM_SLOTS * slot_num_bytes)
        arguments = [str(max_memory_bytes or 0)]
        try:
            if descriptor is not None:
                self._ring = FrameRing(descriptor, num_slots=_NUM_SLOTS, slot_num_bytes=slot_num_bytes)
                arguments += [str(descriptor), str(_NUM_SLOTS), str(slot_num_bytes)]
            self.process = _start(arguments, pass_fds=() if descriptor is None else (descriptor,))
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def is_alive(self) -> bool:
        """Return whether the child has not ended."""
        return self.process.poll() is None

    def send(self, head: dict[str, Any]) -> None:
        """Send one message.

        Raises:
            OSError: The child is gone.
        """
        with self._lock:
            try:
                channel.send(cast(BinaryIO, self.process.stdin), head)
            except ValueError as error:  # closed by `kill`
                raise BrokenPipeError("the child was ended") from error

    def receive(self, *, watch: "Watch") -> tuple[dict[str, Any], bytearray]:
        """Return the next message; only the time in which the child could have worked is counted.

        A child whose slots are all lent waits for its consumer: then so do we, and the watch stands still.

        Raises:
            VideoError: The child crashed, or its time was up.
        """
        if self._ring is not None:
            with self._slots:
                self._slots.wait_for(lambda: self.is_over or self._num_lent < _NUM_SLOTS)
        try:
            with watch:
                return channel.receive(cast(BinaryIO, self.process.stdout))
        except (EOFError, OSError, ValueError) as error:
            raise watch.what_happened() from error

    def lend(self, number: int, *, num_bytes: int) -> tuple[NDArray[np.uint8], Callable[[], None]]:
        """Return the bytes that the child put into a slot, and the function that gives the slot back to it.

        Raises:
            ValueError: The child named a slot that does not exist.
        """
        if self._ring is None:
            raise ValueError("the child names a slot, and there is none")
        memory = self._ring.slot(number, num_bytes=num_bytes)
        with self._slots:
            self._num_lent += 1
        return memory, lambda: self._give_back(number)

    def kill(self) -> None:
        """End the child at once; frames that were lent stay readable."""
        # Said first: who waits for an answer must know whose doing the end is.
        self.is_over = True
        with contextlib.suppress(OSError):
            self.process.kill()
        with self._slots:
            self._slots.notify_all()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self.process.wait()

    def _give_back(self, number: int) -> None:
        with contextlib.suppress(OSError):  # the child is gone, and needs it no more
            self.send({"kind": "free", "slot": number})
        with self._slots:
            self._num_lent -= 1
            self._slots.notify_all()


class Watch:
    """Kills the child when the time spent inside `with` adds up to more than was granted."""

    def __init__(self, child: DecoderProcess, *, seconds: float) -> None:
        self._child = child
        self._process = child.process
        self._granted_seconds = seconds
        self._left_seconds = seconds
        self._timer: threading.Timer | None = None
        self._start_seconds = 0.0
        self._has_fired = False

    def __enter__(self) -> None:
        self._start_seconds = time.monotonic()
        # A timer refuses to wait for longer than centuries, in its own thread, and then nobody watches.
        seconds = min(max(0.0, self._left_seconds), threading.TIMEOUT_MAX)
        self._timer = threading.Timer(seconds, self._fire)
        self._timer.daemon = True
        self._timer.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._left_seconds -= time.monotonic() - self._start_seconds

    def grant(self, seconds: float) -> None:
        """Grant so many seconds in all, if that is more than before."""
        more_seconds = max(0.0, seconds - self._granted_seconds)
        self._granted_seconds += more_seconds
        self._left_seconds += more_seconds

    def what_happened(self) -> VideoError:
        """Return why the child fell silent."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE_SECONDS)
        if self._has_fired:
            return VideoError(
                f"no answer within {self._granted_seconds:g} s (timeout_seconds, or twice its duration)",
                reason="timeout",
            )
        code = self._process.returncode
        end = f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
        if code in _ENDS_FOR_WANT_OF_MEMORY and not self._child.is_over:
            what = (
                f"the decoder's process ended with {end}, as it does where memory runs out"
                f" (max_memory_bytes {self._child.max_memory_bytes})"
            )
            return VideoError(what, reason="out-of-memory")
        return VideoError(f"the decoder's process ended with {end}", reason="decoder-crashed")

    def _fire(self) -> None:
        self._has_fired = True
        with contextlib.suppress(OSError):
            self._process.kill()


def _start(arguments: list[str], *, pass_fds: tuple[int, ...]) -> "subprocess.Popen[bytes]":
    package_root = Path(videobert_cli.__file__).resolve().parents[1]
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _CHILD_PROGRAM, str(package_root), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        start_new_session=True,
        pass_fds=pass_fds,
    )

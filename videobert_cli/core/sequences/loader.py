"""Blocks prepared by worker processes, ahead of the training step: the same blocks, in the same order.

A worker is a process of its own, started afresh (never forked: torch's threads do not survive that), in a session of
its own, so that a terminal's Ctrl-C reaches the training alone. It ends when this process does, however that ends.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

import numpy as np

import videobert_cli
from videobert_cli.core.sequences.batches import BLOCK_NUM_SEQUENCES, block_of_part
from videobert_cli.core.sequences.dataset import PretrainingSamples
from videobert_cli.core.sequences.loader_child import opening, received_block
from videobert_cli.core.sequences.token_sequence import SequenceBlock
from videobert_cli.core.video.channel import Buffer, receive, send
from videobert_cli.errors import ResourceError

_CHILD_PROGRAM = (
    "import sys; sys.path.append(sys.argv[1]); import videobert_cli.core.sequences.loader_child as c; "
    "c.main()"
)
# Blocks that a worker has been asked for: at least one that it holds ready and one to go on with, and never so many
# that a request could wait for a pipe that is full while the worker waits for its answer to be read.
_LEAST_ASKED, _MOST_ASKED = 2, 16
_PIPE_BYTES = 1 << 20


class WorkerLoader:
    """Blocks from `num_workers` processes, block n by worker n modulo their number; a context manager."""

    def __init__(
        self,
        samples: PretrainingSamples,
        *,
        num_workers: int,
        num_ahead: int,
        num_sequences: int = BLOCK_NUM_SEQUENCES,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        """Start the workers; they prepare about `num_ahead` sequences ahead of what is asked for.

        Args:
            samples: The stream.
            num_workers: Processes.
            num_ahead: Sequences prepared ahead.
            num_sequences: Sequences of one block.
            part: (i, n) for part i of n of the stream's blocks.

        Raises:
            ValueError: The corpus lies in memory alone.
        """
        self._samples = samples
        self.num_sequences: int = num_sequences
        self._part = part
        num_blocks = -(-num_ahead // (num_sequences * num_workers))
        self._num_asked = num_workers * min(max(num_blocks, _LEAST_ASKED), _MOST_ASKED)
        self._asked: deque[int] = deque()
        head, parts = opening(samples)
        # All first: a worker reads its message when it has started, half a second later.
        self._workers = [_start() for _ in range(num_workers)]
        for worker in self._workers:
            _send(worker, head, parts=parts)

    def __enter__(self) -> Self:
        """Return the loader."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers."""
        self.close()

    def block(self, number: int) -> SequenceBlock:
        """Return a block; those after it are being prepared.

        Raises:
            ResourceError: The worker ended, as it does where memory runs out.
        """
        if self._asked and self._asked[0] != number:
            self._forget()
        first = self._asked[-1] + 1 if self._asked else number
        for ahead in range(first, number + self._num_asked):
            self._ask(ahead)
        self._asked.popleft()
        return self._answer(number)

    def close(self) -> None:
        """End the workers at once; nothing of theirs is needed any more."""
        for worker in self._workers:
            worker.kill()
            for pipe in (worker.stdin, worker.stdout):
                with contextlib.suppress(OSError):
                    cast(BinaryIO, pipe).close()
            worker.wait()
        self._workers = []

    def _ask(self, number: int) -> None:
        first = block_of_part(number, part=self._part) * self.num_sequences
        wanted = self._samples.numbers(first, first + self.num_sequences)
        worker = self._workers[number % len(self._workers)]
        _send(worker, {"kind": "build"}, parts=[wanted.astype(np.int64).tobytes()])
        self._asked.append(number)

    def _answer(self, number: int) -> SequenceBlock:
        worker = self._workers[number % len(self._workers)]
        try:
            return received_block(*receive(cast(BinaryIO, worker.stdout)))
        except (EOFError, OSError, ValueError) as error:
            raise _ended(worker) from error

    def _forget(self) -> None:
        """Take and drop what was prepared: the stream goes on elsewhere."""
        while self._asked:
            self._answer(self._asked.popleft())


def _start() -> "subprocess.Popen[bytes]":
    package_root = Path(videobert_cli.__file__).resolve().parents[1]
    worker = subprocess.Popen(
        [sys.executable, "-P", "-c", _CHILD_PROGRAM, str(package_root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    if sys.platform == "linux":
        import fcntl

        # A few blocks fit into Linux's 64 KB; a busy machine may refuse more, which costs no more than a wait.
        with contextlib.suppress(OSError):
            fcntl.fcntl(cast(BinaryIO, worker.stdout), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return worker


def _send(worker: "subprocess.Popen[bytes]", head: dict[str, Any], *, parts: Sequence[Buffer]) -> None:
    """Send a message; a worker that is gone is told of where its answer is missing."""
    with contextlib.suppress(OSError):
        send(cast(BinaryIO, worker.stdin), head, parts=parts)


def _ended(worker: "subprocess.Popen[bytes]") -> ResourceError:
    worker.kill()
    code = worker.wait()
    end = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return ResourceError(
        f"a process that prepares sequences ended with {end}",
        at="pretrain.num_workers",
        fix="run the same command again to go on, without such processes: --set pretrain.num_workers=0",
    )

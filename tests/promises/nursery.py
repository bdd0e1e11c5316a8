"""Commands as forks of one process that has imported everything: a kill then costs no new import of torch.

Each fork runs the command line from its arguments to its exit code, in a session of its own.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from executable import environment

_PROGRAM = """
import os, sys
import torch, av, transformers
from videobert_cli.commands.app import run
import videobert_cli.pipeline.execute
for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        os.setsid()
        log = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1), os.dup2(log, 2)
        code = run(line.split())
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code)
    print(pid, flush=True)
    _, status = os.waitpid(pid, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


class Nursery:
    """Starts commands in a folder, one after the other."""

    def __init__(self, process: "subprocess.Popen[str]", *, folder: Path) -> None:
        self._process = process
        self._folder = folder

    def start(self, *arguments: str) -> int:
        """Start a command and return its process id."""
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(arguments) + "\n")
        self._process.stdin.flush()
        return int(self._line())

    def exit_code(self) -> int:
        """Wait for the command's end."""
        return int(self._line())

    def output(self) -> str:
        """Return what the last command wrote."""
        return (self._folder / "output.txt").read_text()

    def is_running(self, pid: int) -> bool:
        """Return whether a command still works; one that has ended is a zombie at most."""
        try:
            return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@contextmanager
def nursery(folder: Path) -> Iterator[Nursery]:
    """Yield the nursery of a folder; it ends with the block."""
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM], cwd=folder, env=environment(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            yield Nursery(process, folder=folder)
        finally:
            assert process.stdin is not None
            process.stdin.close()

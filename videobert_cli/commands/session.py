"""One invocation: its flags, its console, and the signals that ask it to stop."""

import contextlib
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType

from videobert_cli.commands.console import Console, Verbosity
from videobert_cli.errors import UsageError
from videobert_cli.runtime import StopRequest

STOP_SIGNALS = ("SIGINT", "SIGTERM", "SIGUSR1")


@dataclass(frozen=True, kw_only=True)
class CommonFlags:
    """The flags of every command that does long work."""

    device: str = "auto"
    time_limit_seconds: float | None = None
    started: float = field(default_factory=time.monotonic)
    is_quiet: bool = False
    is_verbose: bool = False

    @property
    def deadline(self) -> float | None:
        """When the command has to stop, as `time.monotonic` counts: one time for all stages that it makes."""
        return None if self.time_limit_seconds is None else self.started + self.time_limit_seconds

    @property
    def verbosity(self) -> Verbosity:
        """How much is said.

        Raises:
            UsageError: Both `-q` and `-v` were given.
        """
        if self.is_quiet and self.is_verbose:
            raise UsageError("-q and -v cannot both be given", at="command line", fix="drop one of them")
        return "quiet" if self.is_quiet else "verbose" if self.is_verbose else "normal"


@contextlib.contextmanager
def console_and_stop(flags: CommonFlags) -> Iterator[tuple[Console, StopRequest]]:
    """Yield a console and a stop request fed by signals; the bar is taken away and handlers put back at the end.

    The first SIGINT, SIGTERM or SIGUSR1 asks for a stop, and so does the time limit: the work saves and ends. A second
    SIGINT ends it at once.
    """
    console, stop = Console(flags.verbosity), StopRequest(deadline=flags.deadline)

    def handle(number: int, _frame: FrameType | None) -> None:
        if stop.has_signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.request(number)

    previous = {}
    for name in STOP_SIGNALS:
        if hasattr(signal, name):
            number = getattr(signal, name)
            previous[number] = signal.signal(number, handle)
    try:
        yield console, stop
    finally:
        console.close()
        for number, handler in previous.items():
            signal.signal(number, handler)

"""Everything that is printed: results on stdout, all else on stderr. The only file that imports rich.

On a terminal long work shows a bar; elsewhere a plain line every 30 seconds, no colour, no wrapping, no carriage
return. Control characters in names (a file may be called anything) are shown as escapes.
"""

import json
import os
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SECONDS_BETWEEN_LINES = 30.0
Verbosity = Literal["quiet", "normal", "verbose"]


class Console:
    """Prints for people on stderr and results on stdout."""

    def __init__(self, verbosity: Verbosity = "normal") -> None:
        self._verbosity = verbosity
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._last_line: dict[str, float] = {}
        self._started: dict[str, float] = {}

    # --- the pipeline's news (Reporter) --------------------------------------------------------------------------

    def line(self, text: str) -> None:
        """Print one sentence of news."""
        if self._verbosity != "quiet":
            self._write(text)

    def warning(self, text: str) -> None:
        """Print a warning, also under `-q`."""
        self._write(f"warning: {text}")

    def progress(self, stage: str, *, done: float, total: float, detail: str) -> None:
        """Show how far a stage is: a bar on a terminal, else a line every 30 seconds."""
        if self._verbosity == "quiet":
            return
        started = self._started.setdefault(stage, time.monotonic())
        left = _time_left(time.monotonic() - started, done=done, total=total)
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            self._show_bar(stage, done=done, total=total, detail=f"{detail}{left}")
            return
        now = time.monotonic()
        pause = 0.0 if self._verbosity == "verbose" else SECONDS_BETWEEN_LINES
        if now - self._last_line.setdefault(stage, started) >= pause:
            self._last_line[stage] = now
            self._write(
                f"{stage}: {done:,.0f}/{total:,.0f} ({100 * done / max(1, total):.0f}%) {detail}{left}"
            )

    def stage_finished(self, stage: str, *, summary: str, seconds: float) -> None:
        """Print a stage's end: one line."""
        self.close()
        self._started.pop(stage, None)
        if self._verbosity != "quiet":
            took = f"  {seconds:.1f} s" if seconds else ""
            self._write(f"{stage:<9} {summary}{took}")

    def close(self) -> None:
        """Take the bar off the screen."""
        if self._bar is not None:
            self._bar.stop()
            self._bar, self._tasks = None, {}

    # --- details -------------------------------------------------------------------------------------------------

    def _show_bar(self, stage: str, *, done: float, total: float, detail: str) -> None:
        if self._bar is None:
            from rich.console import Console as RichConsole
            from rich.progress import BarColumn, Progress, TextColumn

            columns = (
                TextColumn("{task.description:<9}"),
                BarColumn(bar_width=24),
                TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
                TextColumn("{task.fields[detail]}", markup=False),
            )
            self._bar = Progress(*columns, console=RichConsole(stderr=True), transient=True)
            self._bar.start()
        if stage not in self._tasks:
            self._tasks[stage] = self._bar.add_task(stage, total=total, detail=detail)
        self._bar.update(self._tasks[stage], completed=done, total=total, detail=detail)

    def _write(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)
        else:
            sys.stderr.write(printable(text) + "\n")
            sys.stderr.flush()


def print_results(lines: Iterable[str]) -> None:
    """Print result lines on stdout."""
    for line in lines:
        sys.stdout.write(printable(line) + "\n")
    sys.stdout.flush()


def print_document(document: Any) -> None:
    """Print one JSON document on stdout."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=True) + "\n")
    sys.stdout.flush()


def print_json_line(value: Any) -> None:
    """Print one JSON line on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=True) + "\n")
    sys.stdout.flush()


def print_error(*, what: str, at: str, fix: str) -> None:
    """Print an error's three lines on stderr; a place or a fix that is not known has no line."""
    for label, text in (("error", what), ("  at", at), ("  fix", fix)):
        if text:
            sys.stderr.write(f"{label}: {printable(text)}\n")
    sys.stderr.flush()


def printable(text: str) -> str:
    r"""Return the text with control characters and broken surrogates as escapes; line feeds stay.

    >>> printable("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    shown = "".join(char if char == "\n" or char.isprintable() else ascii(char)[1:-1] for char in text)
    return shown.encode("utf-8", "backslashreplace").decode()


def _time_left(elapsed: float, *, done: float, total: float) -> str:
    if done <= 0 or done >= total or elapsed < 1:
        return ""
    seconds = round(elapsed * (total - done) / done)
    hours, rest = divmod(seconds, 3600)
    return (
        f"  {hours}:{rest // 60:02d}:{rest % 60:02d} left"
        if hours
        else f"  {rest // 60}:{rest % 60:02d} left"
    )

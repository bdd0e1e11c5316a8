"""Everything that is printed: results on stdout, all else on stderr. The only file that imports rich.

On a terminal long work shows a bar; elsewhere a plain line every 30 seconds, no colour, no wrapping, no carriage
return. Control characters in names (a file may be called anything) are shown as escapes.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from videobert_cli.errors import ResourceError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SECONDS_BETWEEN_LINES = 30.0
Verbosity = Literal["quiet", "normal", "verbose"]


class ReaderGoneError(Exception):
    """Whoever read our standard output has closed it (`| head`): nobody is left to tell, and nothing is wrong."""


class Console:
    """Prints for people on stderr and results on stdout."""

    def __init__(self, verbosity: Verbosity = "normal") -> None:
        self._verbosity = verbosity
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        # What stands under the bar, changed in place: the bar draws itself ten times a second.
        self._rows: list[tuple[str, str]] = []
        self._last_line: dict[str, float] = {}
        # When a stage was first heard of, and how far it was then: a stage that goes on did not do that just now.
        self._started: dict[str, tuple[float, float]] = {}

    # --- the pipeline's news (Reporter) --------------------------------------------------------------------------

    def line(self, text: str) -> None:
        """Print one sentence of news."""
        if self._verbosity != "quiet":
            self._write(text)

    def warning(self, text: str) -> None:
        """Print a warning, also under `-q`."""
        self._write(f"warning: {text}")

    def progress(
        self, stage: str, *, done: float, total: float, detail: str, rows: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Show how far a stage is: a bar on a terminal, with `rows` under it, else a line every 30 seconds."""
        if self._verbosity == "quiet":
            return
        started, first = self._started.setdefault(stage, (time.monotonic(), done))
        left = _time_left(time.monotonic() - started, done=done - first, total=total - first)
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            shown = left.strip() if rows else f"{detail}{left}"
            self._show_bar(stage, done=done, total=total, detail=shown, rows=rows)
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
            self._rows.clear()

    # --- details -------------------------------------------------------------------------------------------------

    def _show_bar(
        self, stage: str, *, done: float, total: float, detail: str, rows: Sequence[tuple[str, str]]
    ) -> None:
        if self._bar is None:
            self._bar = _new_bar(self._rows)
            self._bar.start()
        if stage not in self._tasks:
            self._tasks[stage] = self._bar.add_task(stage, total=total, detail=detail)
        self._rows[:] = [(one_line(name), one_line(text)) for name, text in rows]
        self._bar.update(self._tasks[stage], completed=done, total=total, detail=detail)

    def _write(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(one_line(text), markup=False, highlight=False, soft_wrap=True)
        else:
            _tell(one_line(text))


def _new_bar(rows: Sequence[tuple[str, str]]) -> "Progress":
    """Return a bar that draws `rows` under itself, each cut where the screen ends."""
    from rich.console import Console as RichConsole
    from rich.console import RenderableType
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Table
    from rich.text import Text

    class BarWithRows(Progress):
        def get_renderables(self) -> Iterable[RenderableType]:
            yield from super().get_renderables()
            table = Table.grid(padding=(0, 2, 0, 0))
            table.add_column(style="dim", no_wrap=True, min_width=9)
            table.add_column(no_wrap=True, overflow="ellipsis")
            for name, text in rows:
                table.add_row(Text(name), Text(text))
            yield table

    columns = (
        TextColumn("{task.description:<9}"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
        TextColumn("{task.fields[detail]}", markup=False),
    )
    return BarWithRows(*columns, console=RichConsole(stderr=True), transient=True)


def print_results(lines: Iterable[str]) -> None:
    """Print result lines on stdout.

    Raises:
        ReaderGoneError: Standard output was closed by its reader.
        ResourceError: Standard output cannot be written.
    """
    _give("".join(one_line(line) + "\n" for line in lines))


def print_document(document: Any) -> None:
    """Print one JSON document on stdout; raises as `print_results`."""
    _give(json.dumps(document, indent=2, ensure_ascii=True) + "\n")


def print_json_line(value: Any) -> None:
    """Print one JSON line on stdout; raises as `print_results`."""
    _give(json.dumps(value, ensure_ascii=True) + "\n")


def print_error(*, what: str, at: str, fix: str) -> None:
    """Print an error's three lines on stderr; a place or a fix that is not known has no line.

    Only `what` may have more than one line; they stand under each other.
    """
    indent = " " * len("error: ")
    lines = [printable(line.strip()) for line in what.splitlines() if line.strip()]
    _tell("error: " + f"\n{indent}".join(lines))
    for label, text in (("  at", at), ("  fix", fix)):
        if text:
            _tell(f"{label}: {one_line(text)}")


def print_help(text: str) -> None:
    """Print help that nobody asked for on stderr."""
    _tell(text)


def one_line(text: str) -> str:
    r"""Return the text as `printable` does, line feeds escaped too: a file's name may hold one.

    >>> one_line("a\nb")
    'a\\nb'
    """
    return printable(text).replace("\n", "\\n")


def printable(text: str) -> str:
    r"""Return the text with control characters and broken surrogates as escapes; line feeds stay.

    >>> printable("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    shown = "".join(char if char == "\n" or char.isprintable() else ascii(char)[1:-1] for char in text)
    return shown.encode("utf-8", "backslashreplace").decode()


def _give(text: str) -> None:
    """Write a result; once that has failed, standard output leads nowhere, so that Python's exit is quiet."""
    if sys.stdout is None:
        raise _cannot_write("it is closed")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError as error:
        _silence_stdout()
        raise ReaderGoneError from error
    except OSError as error:
        _silence_stdout()
        raise _cannot_write(error.strerror or str(error)) from error


def _cannot_write(reason: str) -> ResourceError:
    return ResourceError(
        f"cannot write the result: {reason}",
        at="standard output",
        fix="free some space, or send the output elsewhere",
    )


def _silence_stdout() -> None:
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(text: str) -> None:
    """Write to stderr; news that nobody can read any more must not end the work."""
    with contextlib.suppress(OSError):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


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

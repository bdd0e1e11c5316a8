"""To whom the pipeline tells its news; the commands decide how it looks."""

from collections.abc import Sequence
from typing import Protocol


class Reporter(Protocol):
    """Takes news: lines for people, progress of long work, and a stage's end."""

    def line(self, text: str) -> None:
        """Take one sentence worth a line."""

    def warning(self, text: str) -> None:
        """Take one sentence the user should act on."""

    def progress(
        self, stage: str, *, done: float, total: float, detail: str, rows: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Take how far a stage is, in whatever it counts, with a few words of detail.

        `rows` say the same at more length, each a name and a text, where there is a screen to show them on.
        """

    def stage_finished(self, stage: str, *, summary: str, seconds: float) -> None:
        """Take a stage's end: what it made, in one line."""


class SilentReporter:
    """Takes all news and tells nothing: what the ranks beside the first have."""

    def line(self, text: str) -> None:
        """Take one sentence."""

    def warning(self, text: str) -> None:
        """Take one sentence."""

    def progress(
        self, stage: str, *, done: float, total: float, detail: str, rows: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Take how far a stage is."""

    def stage_finished(self, stage: str, *, summary: str, seconds: float) -> None:
        """Take a stage's end."""

"""What a sweep tells of the training of one trial."""

from collections.abc import Sequence

from videobert_cli.pipeline.reporter import Reporter


class TrialNews:
    """A reporter that names the trial, and leaves out that stages are finished: the earlier ones are so for each."""

    def __init__(self, reporter: Reporter, *, number: int) -> None:
        self._reporter = reporter
        self._head = f"trial {number}"

    def line(self, text: str) -> None:
        """Take one sentence worth a line."""
        self._reporter.line(f"{self._head}: {text}")

    def warning(self, text: str) -> None:
        """Take one sentence the user should act on."""
        self._reporter.warning(f"{self._head}: {text}")

    def progress(
        self, stage: str, *, done: float, total: float, detail: str, rows: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Take how far the trial's training is."""
        self._reporter.progress(f"{self._head}: {stage}", done=done, total=total, detail=detail, rows=rows)

    def stage_finished(self, stage: str, *, summary: str, seconds: float) -> None:
        """Take the end of a stage: the trial's own end says more."""

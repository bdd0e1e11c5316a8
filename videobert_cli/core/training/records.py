"""What a training says of itself: `metrics.jsonl`, and the news that the loop raises."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videobert_cli.artifacts import append_line
from videobert_cli.core.training.checkpoint import TrainingState, cut_metrics
from videobert_cli.core.training.meter import Speed

METRICS_NAME = "metrics.jsonl"


@dataclass(frozen=True, kw_only=True)
class LoopProgress:
    """One line of news: steps done of all, the newest metrics, and steps a second of this process."""

    step: int
    num_steps: int
    metrics: Mapping[str, float]
    steps_per_second: float


@dataclass(frozen=True, kw_only=True)
class LoopEvents:
    """Whom the loop tells: progress, and sentences worth a line (a resume, a damaged checkpoint, an early stop).

    `on_start` is told after how many steps training goes on, `on_record` each line that `metrics.jsonl` gets from then
    on; both may raise, which ends the training as a kill would. `on_end` is told last, however it ended.
    """

    on_progress: Callable[[LoopProgress], None]
    on_message: Callable[[str], None]
    on_start: Callable[[int], None] = lambda _step: None
    on_record: Callable[[Mapping[str, Any]], None] = lambda _record: None
    on_end: Callable[[], None] = lambda: None


SILENT = LoopEvents(on_progress=lambda _progress: None, on_message=lambda _text: None)


class MetricsLog:
    """`metrics.jsonl` under a stage's directory: means since the line before, validations, and speed.

    The running sums are the training state's, so that a checkpoint between two lines keeps them.
    """

    def __init__(
        self,
        directory: Path,
        *,
        on_record: Callable[[Mapping[str, Any]], None],
        is_writing: bool = True,
    ) -> None:
        """Args: `is_writing` is False on all ranks but the first: they count the same, and write nothing."""
        self._path = directory / METRICS_NAME
        self._on_record = on_record
        self._is_writing = is_writing

    def cut(self, *, last_step: int) -> None:
        """Drop what a killed process logged after its last checkpoint."""
        if self._is_writing:
            cut_metrics(self._path, last_step=last_step)

    def add(self, state: TrainingState, metrics: Mapping[str, float]) -> None:
        """Count a step's metrics; one that the step does not have is not counted in it."""
        for name, value in metrics.items():
            state.sums[name] = state.sums.get(name, 0.0) + value
            state.num_summed[name] = state.num_summed.get(name, 0) + 1

    def means(self, state: TrainingState) -> dict[str, float]:
        """Return the means since the line before."""
        return {name: total / state.num_summed[name] for name, total in state.sums.items()}

    def write_means(self, state: TrainingState, *, learning_rate: float) -> dict[str, float]:
        """Write the means since the line before, begin new ones, and return them."""
        means = self.means(state)
        state.sums, state.num_summed = {}, {}
        self._write(state, {"learning_rate": learning_rate, **_rounded(means)})
        return means

    def write_validation(self, state: TrainingState, metrics: Mapping[str, float]) -> None:
        """Write the held-out metrics of the state's step."""
        self._write(state, {"validation": _rounded(metrics)})

    def write_speed(self, state: TrainingState, speed: Speed) -> None:
        """Write how fast it was, on a line of its own: all others are the same in every run of a recipe."""
        self._write(state, {"speed": speed.record()})

    def _write(self, state: TrainingState, values: Mapping[str, Any]) -> None:
        if self._is_writing:
            record = {"step": state.step, **values}
            append_line(self._path, record)
            self._on_record(record)


def _rounded(metrics: Mapping[str, float]) -> dict[str, float]:
    # In the order of their names: the sums of a resumed run come from JSON, whose keys are sorted.
    return {name: float(f"{metrics[name]:.6g}") for name in sorted(metrics)}

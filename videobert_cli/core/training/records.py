"""What a training says of itself: `metrics.jsonl`, and the news that the loop raises."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from videobert_cli.artifacts import append_line
from videobert_cli.core.training.checkpoint import TrainingState, cut_metrics

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
    """Whom the loop tells: progress, and sentences worth a line (a resume, a damaged checkpoint, an early stop)."""

    on_progress: Callable[[LoopProgress], None]
    on_message: Callable[[str], None]


class MetricsLog:
    """`metrics.jsonl` under a stage's directory: means since the line before, and validations.

    The running sums are the training state's, so that a checkpoint between two lines keeps them.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / METRICS_NAME

    def cut(self, *, last_step: int) -> None:
        """Drop what a killed process logged after its last checkpoint."""
        cut_metrics(self._path, last_step=last_step)

    def add(self, state: TrainingState, metrics: Mapping[str, float]) -> None:
        """Count a step's metrics; one that the step does not have is not counted in it."""
        for name, value in metrics.items():
            state.sums[name] = state.sums.get(name, 0.0) + value
            state.num_summed[name] = state.num_summed.get(name, 0) + 1

    def write_means(self, state: TrainingState, *, learning_rate: float) -> dict[str, float]:
        """Write the means since the line before, begin new ones, and return them."""
        means = {name: total / state.num_summed[name] for name, total in state.sums.items()}
        state.sums, state.num_summed = {}, {}
        append_line(self._path, {"step": state.step, "learning_rate": learning_rate, **_rounded(means)})
        return means

    def write_validation(self, state: TrainingState, metrics: Mapping[str, float]) -> None:
        """Write the held-out metrics of the state's step."""
        append_line(self._path, {"step": state.step, "validation": _rounded(metrics)})


def _rounded(metrics: Mapping[str, float]) -> dict[str, float]:
    # In the order of their names: the sums of a resumed run come from JSON, whose keys are sorted.
    return {name: float(f"{metrics[name]:.6g}") for name in sorted(metrics)}

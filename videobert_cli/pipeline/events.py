"""The training loop's news as the pipeline's news."""

from collections.abc import Mapping
from typing import Any

from videobert_cli.core.training.history import flat, read_records
from videobert_cli.core.training.records import METRICS_NAME, LoopEvents, LoopProgress
from videobert_cli.core.training.sinks import Sinks
from videobert_cli.pipeline.run import Run

_LOSS, _ACCURACY, _BY_KIND = "_loss", "_accuracy", "alignment_accuracy_"
_PROBE = "zero_shot."


def loop_events(run: Run, stage: str) -> LoopEvents:
    """Return events that the loop may raise, reported under the stage's name and handed to where the recipe says.

    Whoever watches the run (`Run.watch`) is told last of each line, and may end the training by an exception.
    """
    news = TrainingNews(run, stage)
    section = run.recipe.training(stage)
    sinks = Sinks(
        section.loop.log_to,
        directory=run.directory(stage),
        title=f"{run.paths.root.name} {stage}",
        settings={stage: section.settings()},
        on_problem=run.reporter.warning,
    )

    def on_start(step: int) -> None:
        news.on_start(step)
        sinks.start(step)

    def on_record(record: Mapping[str, Any]) -> None:
        news.on_record(record)
        sinks.record(record)
        run.watch(stage, record)

    return LoopEvents(
        on_progress=news.on_progress,
        on_message=lambda text: run.reporter.line(f"{stage}: {text}"),
        on_start=on_start,
        on_record=on_record,
        on_end=sinks.close,
    )


class TrainingNews:
    """What is told of a training while it goes: its newest numbers, of this process and of those before it."""

    def __init__(self, run: Run, stage: str) -> None:
        self._run = run
        self._stage = stage
        self._rate: float | None = None
        self._speed: Mapping[str, float] = {}
        self._held_out: tuple[int, Mapping[str, float]] | None = None
        self._probe: Mapping[str, float] = {}
        self._best: tuple[int, float] | None = None

    def on_start(self, step: int) -> None:
        """Take what the processes before this one have written, up to the step that training goes on from."""
        for record in read_records(self._run.directory(self._stage) / METRICS_NAME):
            if record["step"] <= step:
                self.on_record(record)
        # The speed of another process, perhaps on another machine, is no news.
        self._speed = {}

    def on_record(self, record: Mapping[str, Any]) -> None:
        """Take a line of `metrics.jsonl`."""
        part, numbers = flat(record)
        if part == "speed":
            self._speed = numbers
        elif part == "training":
            self._rate = numbers.get("learning_rate")
        else:
            self._held_out = (record["step"], numbers)
            self._probe = {name: numbers[name] for name in numbers if name.startswith(_PROBE)} or self._probe
            if "loss" in numbers and (self._best is None or numbers["loss"] < self._best[1]):
                self._best = (record["step"], numbers["loss"])

    def on_progress(self, progress: LoopProgress) -> None:
        """Report how far it is, in one line and in rows."""
        losses, accuracies = _losses(progress.metrics), _accuracies(progress.metrics)
        speed = self._speed_words(progress)
        short = [*speed[:3], losses, f"accuracy {accuracies}" if accuracies else "", self._held_out_words()]
        rows = [
            ("loss", losses.removeprefix("loss ")),
            ("accuracy", accuracies),
            ("alignment", _by_kind(progress.metrics)),
            ("held out", self._held_out_words().removeprefix("held out ")),
            ("zero-shot", self._probe_words()),
            ("speed", "  ".join(speed)),
        ]
        self._run.reporter.progress(
            self._stage,
            done=progress.step,
            total=progress.num_steps,
            detail="  ".join(part for part in short if part),
            rows=[row for row in rows if row[1]],
        )

    def _held_out_words(self) -> str:
        if self._held_out is None or self._best is None:
            return ""
        step, numbers = self._held_out
        best_step, best = self._best
        if step == best_step:
            return f"held out {numbers['loss']:.3f} at step {step:,}, the best"
        return f"held out {numbers['loss']:.3f} at step {step:,}, best {best:.3f} at step {best_step:,}"

    def _probe_words(self) -> str:
        shown = {
            name.removeprefix(_PROBE): value for name, value in self._probe.items() if name.count(".") == 2
        }
        return "  ".join(f"{name} {value:.3f}" for name, value in shown.items())

    def _speed_words(self, progress: LoopProgress) -> list[str]:
        """Return tokens, steps and share of the peak first: a line has room for these."""
        speed = self._speed
        words = [f"{progress.steps_per_second:.1f} steps/s"]
        if "tokens_per_second" in speed:
            words.insert(0, f"{speed['tokens_per_second']:,.0f} tokens/s")
        if "mfu" in speed:
            words.append(f"MFU {100 * speed['mfu']:.1f}% of {_operations(speed['peak_flops_per_second'])}")
        if "memory_bytes" in speed:
            words.append(f"memory {speed['memory_bytes'] / 1e9:.1f} GB")
        return words if self._rate is None else [*words, f"rate {self._rate:.2e}"]


def _losses(metrics: Mapping[str, float]) -> str:
    parts = [f"{name.removesuffix(_LOSS)} {metrics[name]:.3f}" for name in metrics if name.endswith(_LOSS)]
    return "  ".join([f"loss {metrics['loss']:.3f}", *parts]) if "loss" in metrics else ""


def _accuracies(metrics: Mapping[str, float]) -> str:
    if "accuracy" in metrics:
        return f"{metrics['accuracy']:.3f}"
    return "  ".join(
        f"{name.removesuffix(_ACCURACY)} {metrics[name]:.3f}" for name in metrics if name.endswith(_ACCURACY)
    )


def _by_kind(metrics: Mapping[str, float]) -> str:
    kinds = {
        name.removeprefix(_BY_KIND): metrics[name] for name in sorted(metrics) if name.startswith(_BY_KIND)
    }
    return "  ".join(f"{kind.replace('_', ' ')} {value:.3f}" for kind, value in kinds.items())


def _operations(per_second: float) -> str:
    """Return a rate as people write it.

    >>> _operations(989e12), _operations(335.4e9)
    ('989 TFLOP/s', '335 GFLOP/s')
    """
    scale, unit = (1e12, "TFLOP/s") if per_second >= 1e12 else (1e9, "GFLOP/s")
    return f"{per_second / scale:.0f} {unit}"

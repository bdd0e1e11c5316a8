"""The training loop's news as the pipeline's news."""

from collections.abc import Callable, Mapping

from videobert_cli.core.training.records import LoopEvents, LoopProgress
from videobert_cli.pipeline.run import Run

_SHOWN = ("loss", "text_accuracy", "visual_accuracy", "alignment_accuracy", "accuracy")


def loop_events(run: Run, stage: str, *, latest: Callable[[], Mapping[str, float]] = dict) -> LoopEvents:
    """Return events that the loop may raise, reported under the stage's name.

    `latest` returns more to show in the progress: scores of the last probe.
    """

    def on_progress(progress: LoopProgress) -> None:
        shown = [f"{name} {progress.metrics[name]:.3f}" for name in _SHOWN if name in progress.metrics]
        shown += [f"{name} {score:.3f}" for name, score in latest().items()]
        detail = f"{progress.steps_per_second:.1f} steps/s  {'  '.join(shown)}"
        run.reporter.progress(stage, done=progress.step, total=progress.num_steps, detail=detail)

    return LoopEvents(on_progress=on_progress, on_message=lambda text: run.reporter.line(f"{stage}: {text}"))

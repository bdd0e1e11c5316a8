"""Runs over a folder with one (empty) video, and stages that only write a file: the pipeline without the work."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from videobert_cli.pipeline.run import Run
from videobert_cli.pipeline.stage import Stage, StageReport
from videobert_cli.recipe.load import load_recipe
from videobert_cli.runtime import StopRequest


class News:
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.warnings: list[str] = []
        self.finished: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    def progress(self, stage: str, *, done: float, total: float, detail: str, rows: Any = ()) -> None:
        pass

    def stage_finished(self, stage: str, *, summary: str, seconds: float) -> None:
        self.finished.append(f"{stage}: {summary}")


def make_run(folder: Path, *overrides: str, text: str = "", videos: bool = True) -> Run:
    """Return a run of a small recipe under `folder`; the recipe's first lines are run, data, videos."""
    if videos:
        (folder / "clips").mkdir(exist_ok=True)
        (folder / "clips" / "a.mp4").touch()
    path = folder / "recipe.yaml"
    path.write_text(f"run: {folder / 'run'}\ndata:\n  videos: {folder / 'clips'}\n{text}")
    return Run(
        load_recipe(path, overrides=overrides),
        device=torch.device("cpu"),
        stop=StopRequest(),
        reporter=News(),
    )


def make_stage(
    name: str,
    *,
    needs: tuple[str, ...] = (),
    inputs: Callable[[Run], dict[str, str]] = lambda _run: {},
    is_complete: Callable[[Run], bool] = lambda _run: True,
    num_failed: int = 0,
) -> Stage:
    """Return a stage that depends on the seed and writes one file."""

    def output(run: Run) -> Path:
        return run.directory(name) / "made.txt"

    def execute(run: Run) -> StageReport:
        path = output(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as stream:
            stream.write(f"{run.recipe.seed}\n")
        return StageReport(summary=f"made with {run.recipe.seed}", facts={name: 1}, num_failed=num_failed)

    def settings(run: Run) -> dict[str, Any]:
        return {"seed": run.recipe.seed}

    return Stage(
        name=name,
        needs=lambda _run: needs,
        settings=settings,
        inputs=inputs,
        execute=execute,
        outputs=lambda run: (output(run),),
        is_complete=is_complete,
    )

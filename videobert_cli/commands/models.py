"""Which model answers: the one named, the one of the environment, or that of the newest finished run."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from videobert_cli.artifacts import is_finished
from videobert_cli.errors import MissingInputError

if TYPE_CHECKING:
    from videobert_cli.recipe.load import LoadedRecipe

ENVIRONMENT_VARIABLE = "VIDEOBERT_MODEL"
RUNS = Path("runs")
_STAGES = ("pretrain", "finetune", "caption", "retrieval")


def find_models(name: str | None) -> list[Path]:
    """Return the model directories to ask: one, or both of a run (pretrained and fine-tuned).

    Raises:
        MissingInputError: Nothing is named and there is no finished run, or the name is no model and no run.
    """
    chosen = name or os.environ.get(ENVIRONMENT_VARIABLE)
    if chosen:
        models = _models_at(Path(chosen))
        if not models:
            where = "--model" if name else f"${ENVIRONMENT_VARIABLE}"
            raise MissingInputError(
                "there is no finished model here",
                at=f"{where} {chosen}",
                fix="videobert pretrain RECIPE makes one",
            )
        return models
    runs = [run for run in RUNS.glob("*") if _models_at(run)] if RUNS.is_dir() else []
    if not runs:
        raise MissingInputError(
            "there is no model: no --model, no $VIDEOBERT_MODEL, and no finished run under ./runs",
            at=str(RUNS.absolute()),
            fix="videobert demo demo && videobert pretrain demo; or name one with --model DIR",
        )
    newest = max(
        runs, key=lambda run: max((model / "manifest.json").stat().st_mtime for model in _models_at(run))
    )
    return _models_at(newest)


def models_of_recipe(loaded: "LoadedRecipe") -> list[Path]:
    """Return the model directories of the run that a recipe fills.

    Raises:
        MissingInputError: None of them is finished.
    """
    models = _models_at(loaded.recipe.run)
    if not models:
        raise MissingInputError(
            "there is no finished model in this run",
            at=str(loaded.recipe.run),
            fix=loaded.command("pretrain"),
        )
    return models


def require_model(path: Path) -> None:
    """Check what `--model` names, before any work.

    Raises:
        MissingInputError: It is not one model directory.
    """
    models = _models_at(path)
    if models == [path]:
        return
    what = "a run, not one model directory" if models else "not a model directory"
    raise MissingInputError(
        f"{path} is {what}" if path.exists() else "there is no such directory",
        at=f"--model {path}",
        fix="name one of its models: " + " or ".join(f"--model {model}" for model in models)
        if models
        else "videobert pretrain RECIPE makes one",
    )


def _models_at(path: Path) -> list[Path]:
    """Return the path itself if it is a model directory, else the models of the run at the path."""
    if (path / "config.json").is_file() and is_finished(path):
        return [path]
    return [path / stage / "model" for stage in _STAGES if is_finished(path / stage / "model")]

"""The page of a training, made when it is finished and whenever it is asked for; no stage reads it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from videobert_cli.artifacts import (
    hash_file,
    is_finished,
    publish_directory,
    publish_text,
    read_manifest,
    seal,
)
from videobert_cli.core.reports.training import TrainingFacts, training_page
from videobert_cli.core.training.history import read_records
from videobert_cli.core.training.records import METRICS_NAME
from videobert_cli.errors import MissingInputError
from videobert_cli.pipeline.run import Run
from videobert_cli.pipeline.stage import StageRecord, read_record
from videobert_cli.recipe.schema import TRAININGS
from videobert_cli.recipe.snapshot import ENVIRONMENT_NAME, settings_yaml

KIND = "training-report"
PAGE_NAME = "index.html"
Training = Literal["pretrain", "finetune", "caption", "retrieval"]
# Another page is made where what it shows is drawn otherwise.
_PAGE_VERSION = 1


def is_report_due(run: Run, stage: Training) -> bool:
    """Return whether the stage has metrics that its page does not show."""
    if not _metrics(run, stage).is_file():
        return False
    directory = _directory(run, stage)
    if not is_finished(directory):
        return True
    manifest = read_manifest(directory)
    return manifest.parents != _parents(run, stage) or manifest.settings != {"page_version": _PAGE_VERSION}


def look(run: Run, stage: Training) -> Mapping[str, Any]:
    """Make the page; what goes wrong with it is a warning, as the model is safe."""
    try:
        make_report(run, stage)
    except Exception as error:  # noqa: BLE001 - a page must never cost the model, whatever is wrong with it
        what = getattr(error, "what", None) or f"{type(error).__name__}: {error}"
        run.reporter.warning(f"the report of {stage} could not be made, the model is not touched: {what}")
    return {}


def make_report(run: Run, stage: Training) -> Path:
    """Make the page of the stage as it is now, finished or not, and return where it is.

    Raises:
        MissingInputError: The stage has not written a line of metrics yet.
    """
    records = read_records(_metrics(run, stage))
    if not records:
        raise MissingInputError(
            f"{stage} has not logged anything yet, so there is nothing to report",
            at=str(_metrics(run, stage)),
            fix=run.loaded.command(stage),
        )
    parents = _parents(run, stage)
    page = training_page(records, facts=_facts(run, stage))
    directory = _directory(run, stage)
    with publish_directory(directory) as temporary:
        publish_text(temporary / PAGE_NAME, page)
        seal(temporary, kind=KIND, settings={"page_version": _PAGE_VERSION}, parents=parents)
    return directory / PAGE_NAME


def _directory(run: Run, stage: Training) -> Path:
    return run.directory(stage) / "report"


def _metrics(run: Run, stage: Training) -> Path:
    return run.directory(stage) / METRICS_NAME


def _parents(run: Run, stage: Training) -> dict[str, str]:
    return {"metrics": hash_file(_metrics(run, stage))}


def _facts(run: Run, stage: Training) -> TrainingFacts:
    record = read_record(run.directory(stage))
    section = _section(run, stage, record)
    environment = _environment(run)
    facts = {
        "run": run.paths.root.name,
        "data": run.recipe.data.videos.name,
        "seed": str(record.settings.get("seed", run.recipe.seed) if record else run.recipe.seed),
        "device": str(environment.get("gpu") or environment.get("device", "not recorded")),
        "started": record.started_at if record else "",
        "finished": record.finished_at if record else "",
    }
    steps = section.get("loop", {}).get("num_steps")
    notes = [] if record and record.state == "finished" else [_unfinished(steps)]
    titles = {
        "pretrain": "Pretraining",
        "finetune": "Fine-tuning",
        "caption": "Captioning",
        "retrieval": "Retrieval",
    }
    return TrainingFacts(
        title=f"{titles[stage]} of {run.recipe.data.videos.name}",
        facts={name: value for name, value in facts.items() if value},
        recipe=settings_yaml({TRAININGS[stage]: section}),
        notes=notes,
    )


def _section(run: Run, stage: Training, record: StageRecord | None) -> Mapping[str, Any]:
    """Return the recipe's section that the stage was made with, which the recipe may have left behind."""
    recorded: Any = record.settings if record else None
    for key in TRAININGS[stage].split("."):
        recorded = recorded.get(key) if isinstance(recorded, Mapping) else None
    return recorded if isinstance(recorded, Mapping) else run.recipe.training(stage).settings()


def _unfinished(num_steps: object) -> str:
    of = f" of {num_steps:,} steps" if isinstance(num_steps, int) else ""
    return f"This training{of} was not finished when the page was made."


def _environment(run: Run) -> Mapping[str, Any]:
    path = run.paths.root / ENVIRONMENT_NAME
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}

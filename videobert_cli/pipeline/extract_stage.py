"""The extract stage: the videos of `data:` into the run's feature store."""

from pathlib import Path
from typing import Any

from videobert_cli.artifacts import hash_file
from videobert_cli.core.features.quarantine import read_quarantine
from videobert_cli.core.features.store import FeatureStore
from videobert_cli.errors import InputError
from videobert_cli.pipeline.extraction import ExtractJob, extract_reported
from videobert_cli.pipeline.run import Run
from videobert_cli.pipeline.stage import Stage, StageReport

# Settings that change how long extraction takes or what it refuses, not what a feature is.
_NOT_REMEMBERED = {"batch_num_clips", "engine"}


def _settings(run: Run) -> dict[str, Any]:
    settings = {
        key: value for key, value in run.recipe.extract.settings().items() if key not in _NOT_REMEMBERED
    }
    settings["reader"] = {"name": run.recipe.extract.reader.name}
    return {"extract": settings}


def _inputs(run: Run) -> dict[str, str]:
    """The videos are compared one by one by the store itself; a weights file counts as a whole."""
    weights = run.recipe.extract.weights
    return {"weights": hash_file(weights)} if isinstance(weights, Path) and weights.is_file() else {}


def require_videos(run: Run) -> None:
    """Refuse a recipe whose data hold no video.

    Raises:
        InputError: There is none.
    """
    if not run.videos:
        raise InputError(
            "there is no video to extract",
            at=str(run.recipe.data.videos),
            fix="check data.videos in the recipe",
        )


def extract_job(run: Run) -> ExtractJob:
    """Return what the stage does."""
    return ExtractJob(
        videos=run.videos,
        options=run.recipe.extract,
        directory=run.paths.features,
        device=run.device,
        on_failed=run.on_failed,
        stop=run.stop,
        reporter=run.reporter,
    )


def _execute(run: Run) -> StageReport:
    require_videos(run)
    report = extract_reported(extract_job(run))
    return StageReport(summary=report.summary, facts=report.facts, num_failed=report.num_failed)


def _is_complete(run: Run) -> bool:
    """Whether no video of the manifest is new since the stage finished, or is to be tried again."""
    known = set(FeatureStore.open(run.paths.features).ids())
    if run.on_failed == "keep":
        known |= set(read_quarantine(run.paths.features))
    return all(video.id in known for video in run.videos)


def _outputs(run: Run) -> tuple[Path, ...]:
    return (run.paths.features / "manifest.json",)


STAGE = Stage(
    name="extract",
    needs=lambda _run: (),
    settings=_settings,
    inputs=_inputs,
    execute=_execute,
    outputs=_outputs,
    is_complete=_is_complete,
)

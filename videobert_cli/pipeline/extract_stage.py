"""The extract stage: the videos of `data:` into the run's feature store."""

from pathlib import Path
from typing import Any

from videobert_cli.artifacts import hash_file
from videobert_cli.core.features.store.quarantine import read_quarantine
from videobert_cli.core.features.store.reader import locate_items
from videobert_cli.core.features.store.source import changed_videos
from videobert_cli.errors import InputError
from videobert_cli.pipeline.extraction import ExtractJob, extract_reported
from videobert_cli.pipeline.imported import imported_inputs, take_imported
from videobert_cli.pipeline.kept_words import is_of_the_codebook, place_of, require_codebook_outside
from videobert_cli.pipeline.run import Run
from videobert_cli.pipeline.stage import Stage, StageReport

# Settings that change how long extraction takes or what it refuses, not what a feature is.
# What is kept of a feature and where is for the stores to say: features made before stay, words are added to them.
_NOT_REMEMBERED = {"batch_num_clips", "engine", "keep", "codebook", "features"}
_NUM_SHOWN = 10


def _settings(run: Run) -> dict[str, Any]:
    if run.recipe.extract.features is not None:
        return {"extract": {"features": "made elsewhere"}}
    settings = {
        key: value for key, value in run.recipe.extract.settings().items() if key not in _NOT_REMEMBERED
    }
    settings["reader"] = {"name": run.recipe.extract.reader.name}
    return {"extract": settings}


def _inputs(run: Run) -> dict[str, str]:
    """A weights file counts as a whole; the videos are compared one by one (`_changed_items`)."""
    weights = run.recipe.extract.weights
    if run.recipe.extract.features is not None:
        return imported_inputs(run)
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
    require_codebook_outside(run)
    place = place_of(
        run.recipe.extract, words=run.paths.kept_words, features=run.paths.features, device=run.device
    )
    return ExtractJob(
        videos=run.videos,
        options=run.recipe.extract,
        directory=place.directory,
        open_writer=place.open_writer,
        sealed_together=place.beside,
        device=run.device,
        on_failed=run.on_failed,
        stop=run.stop,
        reporter=run.reporter,
    )


def _execute(run: Run) -> StageReport:
    require_videos(run)
    if run.recipe.extract.features is not None:
        return take_imported(run)
    report = extract_reported(extract_job(run))
    return StageReport(summary=report.summary, facts=report.facts, num_failed=report.num_failed)


def _is_complete(run: Run) -> bool:
    """Whether no video of the manifest is new since the stage finished, or is to be tried again."""
    if run.recipe.extract.features is not None:
        return True
    if run.recipe.extract.keeps_words and not is_of_the_codebook(run):
        return False
    known = set(locate_items(run.extracted))
    if run.on_failed == "keep":
        known |= set(read_quarantine(run.extracted))
    return all(video.id in known for video in run.videos)


def _changed_items(run: Run) -> tuple[str, ...]:
    """Return a line for each video whose file is another than the one its features were made from."""
    if run.recipe.extract.features is not None:
        return ()
    facts = {item_id: location.item.facts for item_id, location in locate_items(run.extracted).items()}
    changed = changed_videos(run.videos, remembered=facts)
    more = [f"... and {len(changed) - _NUM_SHOWN:,} more videos"] if len(changed) > _NUM_SHOWN else []
    return (
        *(
            f"video {video.path}: another file than its features were made from"
            for video in changed[:_NUM_SHOWN]
        ),
        *more,
    )


def _outputs(run: Run) -> tuple[Path, ...]:
    extract = run.recipe.extract
    if extract.features is not None:
        return (extract.features / "manifest.json",)
    stores = [run.extracted, *([run.paths.features] if extract.keep == "both" else [])]
    return tuple(store / "manifest.json" for store in stores)


STAGE = Stage(
    name="extract",
    needs=lambda _run: (),
    settings=_settings,
    inputs=_inputs,
    execute=_execute,
    outputs=_outputs,
    is_complete=_is_complete,
    changed_items=_changed_items,
)

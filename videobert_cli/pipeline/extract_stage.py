"""The extract stage: the videos of `data:` into the run's feature store."""

from pathlib import Path
from typing import Any

from videobert_cli.artifacts import hash_file
from videobert_cli.core.features.extract import ExtractProgress, extract_features
from videobert_cli.core.features.quarantine import read_quarantine
from videobert_cli.core.features.store import FeatureStore
from videobert_cli.errors import InputError
from videobert_cli.pipeline.run import Run
from videobert_cli.pipeline.stage import Stage, StageReport

# Settings that change how long extraction takes or what it refuses, not what a feature is.
_NOT_REMEMBERED = {"batch_num_clips"}


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


def _execute(run: Run) -> StageReport:
    if not run.videos:
        raise InputError(
            "there is no video to extract",
            at=str(run.recipe.data.videos),
            fix="check data.videos in the recipe",
        )

    def on_progress(progress: ExtractProgress) -> None:
        done = progress.num_done + progress.num_kept + progress.num_failed
        failed = f"  {progress.num_failed} failed" if progress.num_failed else ""
        run.reporter.progress("extract", done=done, total=progress.num_total, detail=f"videos{failed}")

    report = extract_features(
        run.videos,
        options=run.recipe.extract,
        directory=run.paths.features,
        device=run.device,
        on_progress=on_progress,
        should_stop=lambda: run.stop.requested,
    )
    run.stop.raise_if_requested(f"{report.num_readable:,} of {len(run.videos):,} videos are extracted")
    failures = ", ".join(f"{count} {reason}" for reason, count in sorted(report.failures_by_reason.items()))
    if report.num_failed:
        path = run.paths.features / "quarantine.jsonl"
        run.reporter.warning(
            f"{report.num_failed:,} of {len(run.videos):,} videos failed: {failures} -> {path}"
        )
    num_videos = report.num_readable
    if not num_videos:
        raise InputError(
            f"no video could be read: {failures}",
            at=str(run.paths.features / "quarantine.jsonl"),
            fix="look at the reasons in that file; repair the videos, then run the same command again",
        )
    failed = f", {report.num_failed} failed" if report.num_failed else ""
    return StageReport(
        summary=f"{num_videos:,} videos, {report.num_clips:,} clips{failed}",
        facts={"extract.num_videos": num_videos, "extract.num_clips": report.num_clips},
        num_failed=report.num_failed,
    )


def _is_complete(run: Run) -> bool:
    """Whether no video of the manifest is new since the stage finished."""
    known = set(FeatureStore.open(run.paths.features).ids()) | set(read_quarantine(run.paths.features))
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

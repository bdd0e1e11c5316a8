"""The quantize stage: the run's features into a codebook and the words of every video."""

from pathlib import Path
from typing import Any

from videobert_cli.artifacts import hash_json
from videobert_cli.core.words.quantize import quantize_features
from videobert_cli.pipeline.gallery import is_look_due, look
from videobert_cli.pipeline.kept_words import take_words, words_inputs
from videobert_cli.pipeline.leaks import check_words
from videobert_cli.pipeline.quantize_fit import fit_control, help_fit, training_ids
from videobert_cli.pipeline.ranks import call_for_help
from videobert_cli.pipeline.run import Run
from videobert_cli.pipeline.stage import Stage, StageReport


def _ids(run: Run) -> list[str]:
    known = set(run.store.ids())
    return [video.id for video in run.videos if video.id in known]


def _settings(run: Run) -> dict[str, Any]:
    if run.recipe.extract.keeps_words:
        return {}
    return {"seed": run.recipe.seed, "quantize": run.recipe.quantize.settings()}


def _inputs(run: Run) -> dict[str, str]:
    if run.recipe.extract.keeps_words:
        return words_inputs(run)
    return {
        "features": run.store.content_hash(_ids(run)),
        "train_videos": hash_json(training_ids(run)),
    }


def _execute(run: Run) -> StageReport:
    if run.recipe.extract.keeps_words:
        return take_words(run)

    ranks = call_for_help("quantize")
    report = quantize_features(
        run.store,
        train_ids=training_ids(run),
        all_ids=_ids(run),
        options=run.recipe.quantize,
        directory_codebook=run.paths.codebook,
        directory_words=run.paths.words,
        seed=run.recipe.seed,
        device=run.device,
        control=fit_control(run, ranks=ranks),
    )
    return StageReport(
        summary=(
            f"{report.num_words_used:,} of {report.num_words:,} words used, perplexity {report.perplexity:.0f}, "
            f"{report.num_clips:,} clips"
        ),
        facts={
            "quantize.num_words": report.num_words,
            "quantize.num_words_used": report.num_words_used,
            "quantize.perplexity": report.perplexity,
        },
    )


def _outputs(run: Run) -> tuple[Path, ...]:
    return (run.paths.codebook / "manifest.json", run.paths.words / "manifest.json")


STAGE = Stage(
    name="quantize",
    needs=lambda _run: ("extract",),
    settings=_settings,
    inputs=_inputs,
    execute=_execute,
    outputs=_outputs,
    check=check_words,
    look=look,
    is_look_due=is_look_due,
    help=help_fit,
)

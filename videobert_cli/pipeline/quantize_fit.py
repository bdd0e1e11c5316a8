"""The fit of the codebook as the quantize stage runs it: kept while unfinished, stopped by signals, shared by ranks."""

from videobert_cli.core.words.fit import FitControl
from videobert_cli.core.words.quantize import fit_on_videos
from videobert_cli.pipeline.run import Run
from videobert_cli.ranks import Ranks, connected_ranks

SAVED = "the codebook as far as it is fitted; the same command goes on there and gives the same words"


def training_ids(run: Run) -> list[str]:
    """Return the videos the codebook is fitted on: those of the train split that have features."""
    known = set(run.store.ids())
    return [video.id for video in run.videos if video.id in known and video.split == "train"]


def fit_control(run: Run, *, ranks: Ranks) -> FitControl:
    """Return what the fit does beside fitting."""
    num_levels = run.recipe.quantize.num_levels
    return FitControl(
        ranks=ranks,
        directory=run.directory("quantize") / "fit",
        should_stop=lambda: run.stop.raise_if_requested(SAVED),
        on_progress=lambda done: run.reporter.progress(
            "quantize", done=done, total=num_levels, detail="levels"
        ),
    )


def help_fit(run: Run) -> None:
    """Take part in the fit that rank 0 has called for.

    Raises:
        InterruptedRunError: A stop was asked for.
    """
    fit_on_videos(
        run.store,
        train_ids=training_ids(run),
        options=run.recipe.quantize,
        seed=run.recipe.seed,
        device=run.device,
        control=fit_control(run, ranks=connected_ranks()),
    )

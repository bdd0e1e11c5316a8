"""An untrained model of the shape of a run's: what a task scores that nobody learned (`evaluate --init random`)."""

from pathlib import Path

from videobert_cli.artifacts import is_finished, read_manifest
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.training.model_directory import load_model
from videobert_cli.pipeline.learned_model import publish_learned
from videobert_cli.pipeline.run import Run

STAGE = "untrained"


def untrained_model(run: Run) -> Path:
    """Return the directory of a model like the run's pretrained one, with first weights drawn from the recipe's seed.

    It is made where it is missing or of another model's shape.
    """
    directory = run.paths.stage(STAGE) / "model"
    parents = {"model": read_manifest(run.paths.pretrained, kind="model").content_hash}
    settings = {"seed": run.recipe.seed}
    if is_finished(directory):
        manifest = read_manifest(directory, kind="model")
        if manifest.parents == parents and manifest.settings == settings:
            return directory
    loaded = load_model(run.paths.pretrained, device=run.device)
    publish_learned(
        run,
        STAGE,
        VideoBERTForPreTraining(loaded.model.config, seed=run.recipe.seed).eval(),
        start=loaded,
        card=("video-text-pretraining", "An untrained VideoBERT, to compare with"),
        settings=settings,
        parents=parents,
        facts={"num_steps": 0},
    )
    return directory

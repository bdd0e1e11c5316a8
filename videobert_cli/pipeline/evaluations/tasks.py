"""The tasks by name, in the order in which they are measured and shown."""

from videobert_cli.artifacts import read_manifest
from videobert_cli.errors import InputError
from videobert_cli.pipeline.evaluations import (
    caption,
    classify,
    explain,
    forecast,
    labels,
    probes,
    retrieval,
    summarize,
    text_to_video,
    zero_shot,
)
from videobert_cli.pipeline.evaluations.evaluation import Evaluation
from videobert_cli.pipeline.run import Run

EVALUATIONS: dict[str, Evaluation] = {
    evaluation.task: evaluation
    for evaluation in (
        zero_shot.EVALUATION,
        classify.EVALUATION,
        labels.EVALUATION,
        forecast.EVALUATION,
        text_to_video.EVALUATION,
        summarize.EVALUATION,
        retrieval.EVALUATION,
        caption.EVALUATION,
        probes.LINEAR_PROBE,
        probes.FEW_SHOT,
        explain.CLOZE,
        explain.CLASSES,
    )
}


def evaluations_of(run: Run) -> tuple[Evaluation, ...]:
    """Return the tasks of the recipe; with a model made elsewhere, those of them that this model can do.

    Raises:
        InputError: The model can do none of them.
    """
    asked = [evaluation for name, evaluation in EVALUATIONS.items() if name in run.recipe.evaluate.tasks]
    if run.external_model is None:
        return tuple(asked)
    manifest = read_manifest(run.external_model, kind="model")
    fitting = tuple(evaluation for evaluation in asked if evaluation.fits(manifest))
    if not fitting:
        able = [name for name, evaluation in EVALUATIONS.items() if evaluation.fits(manifest)]
        raise InputError(
            f"this model can do none of evaluate.tasks ({', '.join(run.recipe.evaluate.tasks)})",
            at=str(run.external_model),
            fix=f"--set 'evaluate.tasks=[{able[0]}]'",
        )
    return fitting

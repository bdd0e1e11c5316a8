"""The heads of labels that were trained beside the pretraining."""

from videobert_cli.core.metrics.evaluate import TaskResult
from videobert_cli.core.metrics.labels import evaluate_labels
from videobert_cli.pipeline.evaluations.evaluation import Evaluation, is_pretrained, pretrained_model
from videobert_cli.pipeline.run import Run


def _measure(run: Run) -> TaskResult:
    loaded, model = pretrained_model(run, task="labels")
    segments = [segment for segment in run.segments if segment.split == run.recipe.evaluate.split]
    return evaluate_labels(model, loaded.tokenizer, segments=segments)


EVALUATION = Evaluation(
    task="labels",
    stage="pretrain",
    measure=_measure,
    fits=lambda manifest: is_pretrained(manifest) and bool(manifest.facts.get("label_heads")),
)

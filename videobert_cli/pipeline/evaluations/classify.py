"""Classes of labelled segments, by a fine-tuned classifier."""

from videobert_cli.core.metrics.evaluate import TaskResult, evaluate_classification
from videobert_cli.core.model.classification import VideoBERTForSequenceClassification
from videobert_cli.core.sequences.labelled import with_labels
from videobert_cli.core.training.model_directory import load_model
from videobert_cli.errors import InputError
from videobert_cli.pipeline.evaluations.evaluation import Evaluation
from videobert_cli.pipeline.learned_model import require_same_codebook
from videobert_cli.pipeline.run import Run


def _measure(run: Run) -> TaskResult:
    label = run.recipe.finetune.label
    loaded = load_model(run.model_of("finetune"), device=run.device)
    require_same_codebook(run, loaded.directory)
    if not isinstance(loaded.model, VideoBERTForSequenceClassification):
        raise InputError(
            "classify needs a fine-tuned model; this one is only pretrained",
            at=str(loaded.directory),
            fix=run.loaded.command("finetune"),
        )
    classes = [loaded.model.config.id2label[number] for number in range(len(loaded.model.config.id2label))]
    segments = [
        segment for segment in with_labels(run.segments, label) if segment.split == run.recipe.evaluate.split
    ]
    return evaluate_classification(
        loaded.model, loaded.tokenizer, segments=segments, label=label, classes=classes
    )


EVALUATION = Evaluation(
    task="classify",
    stage="finetune",
    measure=_measure,
    fits=lambda manifest: bool(manifest.facts.get("num_classes")),
)

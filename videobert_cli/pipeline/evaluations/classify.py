"""Classes of labelled segments, by a fine-tuned classifier."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from videobert_cli.core.metrics.evaluate import TaskResult, evaluate_classification
from videobert_cli.core.model.classification import VideoBERTForSequenceClassification
from videobert_cli.core.reports.confusion import confusion_png
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
    labelled = with_labels(run.segments, label)
    by_split = {
        split: [segment for segment in labelled if segment.split == split]
        for split in (run.recipe.evaluate.split, "validation")
    }
    result = evaluate_classification(
        loaded.model,
        loaded.tokenizer,
        segments=by_split[run.recipe.evaluate.split],
        label=label,
        classes=classes,
        validation=by_split["validation"],
    )
    return replace(result, files={"confusion_classify.png": _confusion(result, classes=classes, label=label)})


def _confusion(result: TaskResult, *, classes: Sequence[str], label: str) -> bytes:
    """Return the picture of which class was answered for which."""
    numbers = {name: number for number, name in enumerate(classes)}
    counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for prediction in result.predictions:
        counts[numbers[prediction["truth"]], numbers[prediction["predicted"]]] += 1
    return confusion_png(counts, classes=classes, title=f"{label}: {len(result.predictions):,} segments")


EVALUATION = Evaluation(
    task="classify",
    stage="finetune",
    measure=_measure,
    fits=lambda manifest: bool(manifest.facts.get("num_classes")),
)

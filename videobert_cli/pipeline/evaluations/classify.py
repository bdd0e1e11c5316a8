"""Classes of labelled segments or whole videos, by a fine-tuned classifier."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from videobert_cli.core.metrics.classes import classify, evaluate_classes
from videobert_cli.core.metrics.evaluate import TaskResult
from videobert_cli.core.model.classification import VideoBERTForSequenceClassification
from videobert_cli.core.model.labels import LabelHead
from videobert_cli.core.reports.confusion import confusion_png
from videobert_cli.core.training.model_directory import LoadedModel, load_model
from videobert_cli.core.training.units import labelled_units
from videobert_cli.errors import InputError
from videobert_cli.pipeline.evaluations.classify_baselines import baselines
from videobert_cli.pipeline.evaluations.evaluation import Evaluation
from videobert_cli.pipeline.learned_model import require_same_codebook
from videobert_cli.pipeline.run import Run


def _measure(run: Run) -> TaskResult:
    loaded = load_model(run.model_of("finetune"), device=run.device)
    require_same_codebook(run, loaded.directory)
    model, head = classifier_of(run, loaded)
    options, unit = run.recipe.evaluate, run.recipe.finetune.unit
    units = labelled_units(run.segments, head=head, unit=unit)
    known = [each for each in units if set(each.values) & set(head.classes)]
    asked, train, held = (
        tuple(each for each in known if each.split == split)
        for split in (options.split, "train", "validation")
    )
    found = classify(model, loaded.tokenizer, units=asked)
    num_asked = sum(each.split == options.split for each in units)
    result = evaluate_classes(
        found,
        head=head,
        num_unknown=num_asked - len(asked),
        validation=classify(model, loaded.tokenizer, units=held) if held else None,
        baselines=baselines(run, train=train, held_out=asked, head=head),
        threshold=options.classify.threshold,
    )
    if head.kind == "multi":
        return result
    title = f"{head.name}: {len(found.units):,} {unit}s"
    picture = _confusion(result, classes=head.classes, title=title)
    return replace(result, files={"confusion_classify.png": picture})


def classifier_of(run: Run, loaded: LoadedModel) -> tuple[VideoBERTForSequenceClassification, LabelHead]:
    """Return the classifier, and its classes as a head of the recipe's column.

    Raises:
        InputError: The model is none, or answers one class where the recipe asks for several, or the other way round.
    """
    model, options = loaded.model, run.recipe.finetune
    if not isinstance(model, VideoBERTForSequenceClassification):
        raise InputError(
            "classify needs a fine-tuned model; this one is only pretrained",
            at=str(loaded.directory),
            fix=run.loaded.command("finetune"),
        )
    kind = "multi" if model.is_multi_label else "single"
    if kind != options.labels:
        told = "any number of classes" if model.is_multi_label else "one class"
        raise InputError(
            f"this model answers {told} of each segment, and finetune.labels is {options.labels}",
            at=str(loaded.directory),
            fix=f"--set finetune.labels={kind}",
        )
    classes = tuple(model.config.id2label[number] for number in range(len(model.config.id2label)))
    return model, LabelHead(name=options.label, kind=kind, classes=classes, separator=options.separator)


def _confusion(result: TaskResult, *, classes: Sequence[str], title: str) -> bytes:
    """Return the picture of which class was answered for which."""
    numbers = {name: number for number, name in enumerate(classes)}
    counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for prediction in result.predictions:
        counts[numbers[prediction["truth"]], numbers[prediction["predicted"]]] += 1
    return confusion_png(counts, classes=classes, title=title)


EVALUATION = Evaluation(
    task="classify",
    stage="finetune",
    measure=_measure,
    fits=lambda manifest: bool(manifest.facts.get("num_classes")),
)

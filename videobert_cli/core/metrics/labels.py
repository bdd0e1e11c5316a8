"""Answers of the heads of labels that a model learned while it was pretrained, as flat metrics."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from videobert_cli.core.metrics.classification import classification_scores
from videobert_cli.core.metrics.evaluate import TaskResult, identity
from videobert_cli.core.metrics.multi_label import THRESHOLD, multi_label_scores, truth_table
from videobert_cli.core.model.labels import LabelHead
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.sequences.labelled import LabelledWords
from videobert_cli.core.tasks.labels import label_probabilities
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer
from videobert_cli.errors import InputError

# Shapes: N segments, C classes of one head.


def evaluate_labels(
    model: VideoBERTForPreTraining, tokenizer: VideoBERTTokenizer, *, segments: Sequence[LabelledWords]
) -> TaskResult:
    """Return the scores of every head on the segments that have its label, each beside chance.

    A single-label head has accuracy, macro F1 and top-5; a multi-label head the scores of
    `multi_label_scores`. A label that is no class of the head is passed over; a segment that has no other
    is left out and counted.

    Raises:
        InputError: The model has no heads, or no segment has a label of any.
    """
    heads = model.config.label_heads
    asked = [segment for segment in segments if any(head.values(segment.labels) for head in heads)]
    if not asked:
        raise InputError(
            "labels: no segment of the chosen split has a label of a head of the model"
            if heads
            else "labels: the model has no heads of labels",
            at="evaluate.tasks",
            fix="pretrain with heads (pretrain.labels.heads), on columns of your manifest; or leave `labels` out",
        )
    found = label_probabilities(model, tokenizer, words=[segment.words_T for segment in asked])
    metrics: dict[str, float] = {"labels.num_segments": float(len(asked))}
    predictions: list[dict[str, Any]] = [identity(segment) for segment in asked]
    texts = []
    for head, probabilities_NC in zip(heads, found, strict=True):
        numbers = [head.numbers(segment.labels) for segment in asked]
        is_known_N = np.array([bool(own) for own in numbers])
        prefix = f"labels.{head.name}"
        num_labelled = sum(bool(head.values(segment.labels)) for segment in asked)
        metrics[f"{prefix}.num_segments"] = float(is_known_N.sum())
        metrics[f"{prefix}.num_segments_of_unknown_class"] = float(num_labelled - is_known_N.sum())
        _predict(head, probabilities_NC, numbers=numbers, predictions=predictions)
        if is_known_N.any():
            known = [own for own in numbers if own]
            scores, text = _scores(head, probabilities_NC[is_known_N], numbers=known)
            metrics |= {f"{prefix}.{name}": value for name, value in scores.items()}
            texts.append(f"{head.name}\n{text}")
    return TaskResult(metrics=metrics, predictions=predictions, text="\n".join(texts))


def _scores(
    head: LabelHead, probabilities_NC: np.ndarray, *, numbers: Sequence[Sequence[int]]
) -> tuple[dict[str, float], str]:
    if head.kind == "multi":
        scores = multi_label_scores(
            probabilities_NC, truth_table(numbers, num_classes=len(head.classes)), classes=head.classes
        )
        return dict(scores.metrics), scores.report_text
    truth_N = np.array([own[0] for own in numbers])
    found = classification_scores(probabilities_NC, truth_N, classes=head.classes)
    return {
        "accuracy": found.accuracy,
        "accuracy.chance": 1 / len(head.classes),
        "accuracy.most_frequent": float(np.bincount(truth_N).max() / len(truth_N)),
        "macro_f1": found.macro_f1,
        "top5": found.top5,
    }, found.report_text


def _predict(
    head: LabelHead,
    probabilities_NC: np.ndarray,
    *,
    numbers: Sequence[Sequence[int]],
    predictions: Sequence[dict[str, Any]],
) -> None:
    """Add the head's truth and answer to each segment's prediction."""
    for row_C, own, prediction in zip(probabilities_NC, numbers, predictions, strict=True):
        best = int(row_C.argmax())
        answered = [best] if head.kind == "single" else np.flatnonzero(row_C > THRESHOLD).tolist()
        prediction[head.name] = {
            "truth": [head.classes[number] for number in own],
            "predicted": [head.classes[number] for number in answered],
            "confidence": round(float(row_C[best]), 4),
        }

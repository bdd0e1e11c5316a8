"""Answers of a fine-tuned classifier about segments or whole videos as flat metrics, each beside what it has to beat.

Shapes: N segments or videos, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from videobert_cli.core.metrics.calibration import at_temperature, best_temperature, calibration_error
from videobert_cli.core.metrics.classification import classification_scores, true_ranks
from videobert_cli.core.metrics.evaluate import TOP_KS, TaskResult, identity
from videobert_cli.core.metrics.intervals import Interval, mean_interval, ratio_interval
from videobert_cli.core.metrics.multi_label import THRESHOLD, multi_label_scores, truth_table
from videobert_cli.core.model.classification import VideoBERTForSequenceClassification
from videobert_cli.core.model.labels import LabelHead
from videobert_cli.core.tasks.classify import class_probabilities
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer
from videobert_cli.core.training.units import LabelledUnit
from videobert_cli.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Classified:
    """Units that have a class of the classifier, and what it answers (N, C)."""

    units: tuple[LabelledUnit, ...]
    probabilities_NC: np.ndarray

    @property
    def videos(self) -> list[str]:
        """The video of each unit."""
        return [unit.video_id for unit in self.units]


def classify(
    model: VideoBERTForSequenceClassification,
    tokenizer: VideoBERTTokenizer,
    *,
    units: tuple[LabelledUnit, ...],
) -> Classified:
    """Return what the model answers about each unit; where one is read in parts, the mean of their probabilities.

    Raises:
        InputError: There is no unit to measure on.
    """
    if not units:
        raise InputError(
            "classify: no segment of the chosen split has a label that the model knows",
            at="data.videos",
            fix="name the column of your manifest (finetune.label) and the split (evaluate.split)",
        )
    parts = [unit.parts(max_num_words=model.config.max_num_words) for unit in units]
    words = [part.words_T for own in parts for part in own]
    rows_MC = class_probabilities(model, tokenizer, words=words)
    firsts = np.cumsum([0, *(len(own) for own in parts[:-1])])
    counts_N1 = np.array([[len(own)] for own in parts])
    return Classified(units=units, probabilities_NC=np.add.reduceat(rows_MC, firsts, axis=0) / counts_N1)


def evaluate_classes(
    found: Classified,
    *,
    head: LabelHead,
    num_unknown: int = 0,
    validation: Classified | None = None,
    baselines: Mapping[str, np.ndarray] | None = None,
    threshold: float = THRESHOLD,
) -> TaskResult:
    """Return the scores of a classifier, their 95 % intervals over videos, and scikit-learn's report.

    `num_unknown` units were left out, as none of their classes is one of the classifier's.
    Where one class is right, the calibration error is also that after one temperature, which the `validation` units
    choose. `baselines` are probabilities (N, C) of other classifiers of the same units, by the ends of their metrics;
    `threshold` is where a class is answered, where several may be right.
    """
    more = baselines or {}
    if head.kind == "multi":
        metrics, predictions, text = _multi(found, head=head, baselines=more, threshold=threshold)
    else:
        metrics, predictions, text = _single(found, head=head, baselines=more)
        metrics |= _calibration(found, validation, head=head)
    unit = found.units[0].unit
    metrics[f"num_{unit}s"] = float(len(found.units))
    metrics[f"num_{unit}s_of_unknown_class"] = float(num_unknown)
    told = [_identity(each) | prediction for each, prediction in zip(found.units, predictions, strict=True)]
    return TaskResult(
        metrics={f"classify.{name}": value for name, value in metrics.items()}, predictions=told, text=text
    )


_Found = tuple[dict[str, float], list[dict[str, Any]], str]


def _single(found: Classified, *, head: LabelHead, baselines: Mapping[str, np.ndarray]) -> _Found:
    truth_N = _true_classes(found.units, head=head)
    scores = classification_scores(found.probabilities_NC, truth_N, classes=head.classes)
    ranks_N = true_ranks(found.probabilities_NC, truth_N)
    metrics = {
        "accuracy": scores.accuracy,
        "accuracy.chance": 1 / len(head.classes),
        "accuracy.most_frequent": float(np.bincount(truth_N).max() / len(truth_N)),
        "macro_f1": scores.macro_f1,
        "top5": scores.top5,
        "top5.chance": min(1.0, TOP_KS[-1] / len(head.classes)),
    }
    for end, probabilities_NC in baselines.items():
        other = classification_scores(probabilities_NC, truth_N, classes=head.classes)
        metrics |= {
            f"accuracy.{end}": other.accuracy,
            f"macro_f1.{end}": other.macro_f1,
            f"top5.{end}": other.top5,
        }
    predictions = [
        {
            "truth": head.classes[truth],
            "predicted": head.classes[int(row_C.argmax())],
            "rank": int(rank),
            "confidence": round(float(row_C.max()), 4),
        }
        for row_C, truth, rank in zip(found.probabilities_NC, truth_N, ranks_N, strict=True)
    ]
    metrics |= _ends("accuracy", mean_interval(ranks_N == 1, found.videos))
    return metrics, predictions, scores.report_text


def _multi(
    found: Classified, *, head: LabelHead, baselines: Mapping[str, np.ndarray], threshold: float
) -> _Found:
    is_true_NC = truth_table(class_numbers(found.units, head=head), num_classes=len(head.classes))
    scores = multi_label_scores(found.probabilities_NC, is_true_NC, classes=head.classes, threshold=threshold)
    metrics = dict(scores.metrics)
    for end, probabilities_NC in baselines.items():
        other = multi_label_scores(probabilities_NC, is_true_NC, classes=head.classes, threshold=threshold)
        metrics |= {f"{name}.{end}": value for name, value in other.metrics.items() if "." not in name}
    metrics |= _ends("micro_f1", ratio_interval(scores.hits_N, scores.asked_N, found.videos))
    predictions = [
        {
            "truth": [value for value in each.values if value in head.classes],
            "predicted": {
                head.classes[number]: round(float(row_C[number]), 4)
                for number in np.flatnonzero(row_C > threshold)
            },
        }
        for each, row_C in zip(found.units, found.probabilities_NC, strict=True)
    ]
    return metrics, predictions, scores.report_text


def _calibration(found: Classified, validation: Classified | None, *, head: LabelHead) -> dict[str, float]:
    """Return how far confidence is from accuracy, and that at the temperature which the validation units choose."""
    truth_N = _true_classes(found.units, head=head)
    metrics = {"calibration_error": float(calibration_error(found.probabilities_NC, truth_N))}
    if validation is not None:
        held_N = _true_classes(validation.units, head=head)
        chosen = best_temperature(validation.probabilities_NC, held_N)
        after_NC = at_temperature(found.probabilities_NC, chosen)
        metrics["temperature"] = chosen
        metrics["calibration_error.after_temperature"] = float(calibration_error(after_NC, truth_N))
    return metrics


def _ends(name: str, interval: Interval) -> dict[str, float]:
    return {f"{name}.low": interval.low, f"{name}.high": interval.high}


def class_numbers(units: Sequence[LabelledUnit], *, head: LabelHead) -> list[list[int]]:
    """Return the numbers of each unit's classes; those that the head does not have are passed over."""
    numbers = {name: number for number, name in enumerate(head.classes)}
    return [[numbers[value] for value in unit.values if value in numbers] for unit in units]


def _true_classes(units: Sequence[LabelledUnit], *, head: LabelHead) -> np.ndarray:
    return np.array([own[0] for own in class_numbers(units, head=head)])


def _identity(unit: LabelledUnit) -> dict[str, Any]:
    """Return what tells a unit from others, as JSON values."""
    if unit.unit == "segment":
        return identity(unit.segments[0])
    return {"video": unit.video_id, "num_words": len(unit.words())}

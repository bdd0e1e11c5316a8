"""Accuracy, top-k and scikit-learn's report from scores and truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# Shapes: N segments, C classes.


@dataclass(frozen=True, kw_only=True)
class ClassificationScores:
    """Accuracy, macro F1 and top-5 of a classifier, with scikit-learn's table as text and as numbers."""

    accuracy: float
    macro_f1: float
    top5: float
    num_segments: int
    report_text: str
    report: dict[str, Any]


def top_k_accuracy(scores_NC: np.ndarray, truth_N: np.ndarray, *, k: int) -> float:
    """Return the share of rows whose true column is among the k best; ties count against the model.

    A constant row therefore scores 0 in top-1, never 1: a dead model cannot look right.
    """
    if len(truth_N) == 0:
        return float("nan")
    return float((true_ranks(scores_NC, truth_N) <= k).mean())


def true_ranks(scores_NC: np.ndarray, truth_N: np.ndarray) -> np.ndarray:
    """Return the rank (N,) of each row's true column, from 1; ties and scores that are no number count against it.

    >>> true_ranks(np.array([[0.1, 0.7, 0.2], [0.5, 0.5, 0.0]]), np.array([2, 0]))
    array([2, 2])
    """
    true_score_N1 = scores_NC[np.arange(len(truth_N)), truth_N][:, None]
    # "Not worse" rather than "better or equal": a score that is not a number counts against the model, too.
    ranks_N = (~(scores_NC < true_score_N1)).sum(axis=1)
    ranks_N[np.isnan(true_score_N1[:, 0])] = scores_NC.shape[1] + 1
    return np.asarray(ranks_N)


def classification_scores(
    probabilities_NC: np.ndarray, truth_N: np.ndarray, *, classes: Sequence[str]
) -> ClassificationScores:
    """Return scikit-learn's scores of the most probable class against the truth.

    As by its default, means over classes are those of classes that have a segment or were answered: a class of the
    training videos that the split does not show can be neither right nor wrong.
    """
    # Half a second of imports that only this function needs; a finished evaluation is shown without it.
    from sklearn.metrics import accuracy_score, classification_report, f1_score

    predicted_N = probabilities_NC.argmax(axis=1)
    labels = [int(label) for label in np.union1d(truth_N, predicted_N)]
    names = [classes[label] for label in labels]
    arguments: dict[str, Any] = {"labels": labels, "target_names": names, "zero_division": 0}
    return ClassificationScores(
        accuracy=float(accuracy_score(truth_N, predicted_N)),
        macro_f1=float(f1_score(truth_N, predicted_N, labels=labels, average="macro", zero_division=0)),
        top5=top_k_accuracy(probabilities_NC, truth_N, k=5),
        num_segments=len(truth_N),
        report_text=classification_report(truth_N, predicted_N, digits=3, **arguments),
        report=classification_report(truth_N, predicted_N, output_dict=True, **arguments),
    )

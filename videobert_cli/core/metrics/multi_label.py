"""Scores of a classifier that may answer several classes, by scikit-learn, each beside what needs no model.

Shapes: N segments, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

THRESHOLD = 0.5


@dataclass(frozen=True, kw_only=True)
class MultiLabelScores:
    """Scores by name, what each segment adds to micro F1's two sums (N,), and scikit-learn's table."""

    metrics: Mapping[str, float]
    hits_N: np.ndarray
    asked_N: np.ndarray
    report_text: str


def truth_table(numbers: Sequence[Sequence[int]], *, num_classes: int) -> np.ndarray:
    """Return which classes (N, C) each segment has, from their numbers.

    >>> truth_table([[0, 2], []], num_classes=3).astype(int)
    array([[1, 0, 1],
           [0, 0, 0]])
    """
    is_true_NC = np.zeros((len(numbers), num_classes), dtype=bool)
    for row_C, own in zip(is_true_NC, numbers, strict=True):
        row_C[list(own)] = True
    return is_true_NC


def multi_label_scores(
    probabilities_NC: np.ndarray,
    is_true_NC: np.ndarray,
    *,
    classes: Sequence[str],
    threshold: float = THRESHOLD,
) -> MultiLabelScores:
    """Return F1 of the classes above the threshold, and average precision, which needs none.

    `mean_average_precision` and `macro_f1` are means over the classes that a segment has: of the others nothing can be
    right. `micro_average_precision` and `micro_f1` count all pairs of segment and class as one list. Chance is what an
    order at random gets; `most_frequent` answers the commonest class of these segments, always.
    """
    from sklearn.metrics import average_precision_score, classification_report, f1_score

    answered_NC = probabilities_NC > threshold
    shown = np.flatnonzero(is_true_NC.any(axis=0))
    commonest_NC = np.zeros_like(is_true_NC)
    commonest_NC[:, is_true_NC.sum(axis=0).argmax()] = True
    shown_truth_NC, shown_probabilities_NC = is_true_NC[:, shown], probabilities_NC[:, shown]
    metrics = {
        "mean_average_precision": average_precision_score(
            shown_truth_NC, shown_probabilities_NC, average="macro"
        ),
        "mean_average_precision.chance": shown_truth_NC.mean(),
        "micro_average_precision": average_precision_score(is_true_NC, probabilities_NC, average="micro"),
        "micro_average_precision.chance": is_true_NC.mean(),
        "micro_f1": f1_score(is_true_NC, answered_NC, average="micro", zero_division=0),
        "micro_f1.most_frequent": f1_score(is_true_NC, commonest_NC, average="micro", zero_division=0),
        "macro_f1": f1_score(shown_truth_NC, answered_NC[:, shown], average="macro", zero_division=0),
    }
    return MultiLabelScores(
        metrics={name: float(value) for name, value in metrics.items()},
        hits_N=2.0 * (answered_NC & is_true_NC).sum(axis=1),
        asked_N=(answered_NC.sum(axis=1) + is_true_NC.sum(axis=1)).astype(np.float64),
        report_text=classification_report(
            is_true_NC, answered_NC, target_names=list(classes), digits=3, zero_division=0
        ),
    )

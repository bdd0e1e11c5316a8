"""What a linear classifier makes of frozen features: the paper's supervised row, and few labels a class.

The classifier is scikit-learn's logistic regression on standardised features, with its own default regularisation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from videobert_cli.core.metrics.classification import top_k_accuracy
from videobert_cli.core.metrics.evaluate import TOP_KS, TaskResult
from videobert_cli.core.metrics.multi_label import truth_table
from videobert_cli.core.model.labels import LabelHead
from videobert_cli.errors import InputError
from videobert_cli.runtime import derive_seed

# Shapes: N segments, D features, C classes, K visual words, T words of a segment.

_MAX_NUM_ITERATIONS = 2_000
# Rows (N, D): an array, or a sparse one of SciPy.
Rows = Any


@dataclass(frozen=True, kw_only=True)
class ProbeSegments:
    """Segments as rows of features (N, D), one array a kind of features, and the class of each."""

    features: Mapping[str, np.ndarray]
    labels: Sequence[str]


def linear_probe(
    train_ND: Rows, train_truth_N: np.ndarray, held_out_ND: Rows, *, num_classes: int
) -> np.ndarray:
    """Return log-probabilities (N, C) of held-out rows; minus infinity for classes without a training row.

    Sparse rows are taken as they are: they are counts, and a rare word would weigh most if each had the same spread.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scores_NC = np.full((held_out_ND.shape[0], num_classes), -np.inf)
    known = np.unique(train_truth_N)
    if len(known) == 1:
        scores_NC[:, known[0]] = 0.0
        return scores_NC
    classifier = LogisticRegression(max_iter=_MAX_NUM_ITERATIONS)
    is_dense = isinstance(train_ND, np.ndarray)
    model = make_pipeline(StandardScaler(), classifier) if is_dense else classifier
    model.fit(train_ND, train_truth_N)
    # A probability of 0 is minus infinity, not worth a warning.
    with np.errstate(divide="ignore"):
        scores_NC[:, known] = np.log(model.predict_proba(held_out_ND))
    return scores_NC


def probe_probabilities(
    train_ND: Rows, truths: Sequence[Sequence[int]], held_out_ND: Rows, *, head: LabelHead
) -> np.ndarray:
    """Return the probabilities (N, C) of a head's classes for held-out rows; `truths` are training rows' class numbers.

    Where several classes may be right each has a linear classifier of its own.
    """
    if head.kind == "single":
        truth_N = np.array([own[0] for own in truths])
        return np.asarray(np.exp(linear_probe(train_ND, truth_N, held_out_ND, num_classes=len(head.classes))))
    is_true_NC = truth_table(truths, num_classes=len(head.classes))
    columns = [
        linear_probe(train_ND, is_true_N.astype(np.int64), held_out_ND, num_classes=2)[:, 1]
        for is_true_N in is_true_NC.T
    ]
    return np.asarray(np.exp(np.stack(columns, axis=1)))


def word_histograms(words: Sequence[np.ndarray], *, num_words: int) -> Rows:
    """Return the logarithm of how often each visual word occurs, plus one: sparse (N, K), a row for each (T,).

    >>> word_histograms([np.array([2, 0, 2])], num_words=3).toarray().round(2)
    array([[0.69, 0.  , 1.1 ]])
    """
    from scipy.sparse import csr_array

    rows = np.repeat(np.arange(len(words)), [len(each) for each in words])
    counts_NK = csr_array((np.ones(len(rows)), (rows, np.concatenate(words))), shape=(len(words), num_words))
    counts_NK.sum_duplicates()
    return counts_NK.log1p()


def evaluate_linear_probe(columns: Mapping[str, tuple[ProbeSegments, ProbeSegments]]) -> TaskResult:
    """Return top-1 and top-5 of a linear classifier on each kind of features: `raw`, and others as ends of names.

    `columns` has for each name the training segments and the held-out ones; of these, those of a class without a
    training segment count as wrong.

    Raises:
        InputError: There is nothing to learn from or to measure on.
    """
    metrics: dict[str, float] = {}
    for name, (train, held_out) in columns.items():
        classes, train_truth_N, truth_N = _truths(train, held_out, task="linear_probe")
        counts_C = np.bincount(train_truth_N, minlength=len(classes))
        metrics["linear_probe.num_segments"] = float(len(truth_N))
        for kind, rows_ND in held_out.features.items():
            scores_NC = linear_probe(train.features[kind], train_truth_N, rows_ND, num_classes=len(classes))
            for k in TOP_KS:
                end = "" if kind == "raw" else f".{kind}"
                metrics[f"linear_probe.{name}.top{k}{end}"] = top_k_accuracy(scores_NC, truth_N, k=k)
        for k in TOP_KS:
            commonest = np.argsort(-counts_C, kind="stable")[:k]
            metrics[f"linear_probe.{name}.top{k}.most_frequent"] = float(np.isin(truth_N, commonest).mean())
            metrics[f"linear_probe.{name}.top{k}.chance"] = min(1.0, k / len(classes))
    return TaskResult(metrics=metrics)


def evaluate_few_shot(
    train: ProbeSegments,
    held_out: ProbeSegments,
    *,
    shots: Sequence[int],
    num_draws: int,
    seed: int,
) -> TaskResult:
    """Return the accuracy of a linear classifier on `encoder` features of k training segments a class, for each k.

    Each is the mean over `num_draws` draws of these segments, with the lowest and the highest as `.low` and `.high`;
    `all` takes every training segment. Beside it, on the same draws: `linear_probe`, the same on `raw` features where
    there are some. A class with fewer than k segments gives all it has.

    Raises:
        InputError: There is nothing to learn from or to measure on.
    """
    classes, train_truth_N, truth_N = _truths(train, held_out, task="few_shot")
    metrics: dict[str, float] = {"few_shot.num_segments": float(len(truth_N))}
    for name, num in [*((f"shots{k}", k) for k in shots), ("all", len(train_truth_N))]:
        draws = [
            _drawn(train_truth_N, num=num, seed=derive_seed(seed, "few shot", num, draw))
            for draw in range(num_draws if name != "all" else 1)
        ]
        for kind, rows_ND in held_out.features.items():
            accuracies = [
                top_k_accuracy(
                    linear_probe(
                        train.features[kind][rows],
                        train_truth_N[rows],
                        rows_ND,
                        num_classes=len(classes),
                    ),
                    truth_N,
                    k=1,
                )
                for rows in draws
            ]
            key = f"few_shot.{name}.accuracy" + ("" if kind == "encoder" else ".linear_probe")
            metrics[key] = float(np.mean(accuracies))
            metrics |= {f"{key}.low": min(accuracies), f"{key}.high": max(accuracies)}
        metrics[f"few_shot.{name}.accuracy.chance"] = 1 / len(classes)
    return TaskResult(metrics=metrics)


def _truths(
    train: ProbeSegments, held_out: ProbeSegments, *, task: str
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Return all classes, and the number of each segment's."""
    if len(set(train.labels)) < 2 or not held_out.labels:
        raise InputError(
            f"{task}: the training split has {len(set(train.labels))} classes, the chosen split "
            f"{len(held_out.labels)} segments with one",
            at="data.videos",
            fix="name the columns of your manifest (evaluate.verb, evaluate.object, finetune.label) and the split",
        )
    classes = tuple(sorted({*train.labels, *held_out.labels}))
    numbers = {name: number for number, name in enumerate(classes)}
    train_truth_N, truth_N = (
        np.array([numbers[label] for label in part.labels], dtype=np.int64) for part in (train, held_out)
    )
    return classes, train_truth_N, truth_N


def _drawn(truth_N: np.ndarray, *, num: int, seed: int) -> np.ndarray:
    """Return the rows of `num` segments of each class, drawn without replacement, in ascending order."""
    generator = np.random.default_rng(seed)
    rows = [generator.permutation(np.flatnonzero(truth_N == number))[:num] for number in np.unique(truth_N)]
    return np.sort(np.concatenate(rows))

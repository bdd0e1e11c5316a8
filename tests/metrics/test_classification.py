"""Accuracy and top-k: scikit-learn's where there are no ties, and against the model where there are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import top_k_accuracy_score

from videobert_cli.core.metrics.classification import classification_scores, top_k_accuracy


@given(num=st.integers(1, 40), num_classes=st.integers(3, 9), k=st.integers(1, 9), seed=st.integers(0, 999))
def test_without_ties_it_is_scikit_learns(num, num_classes, k, seed):
    generator = np.random.default_rng(seed)
    scores = generator.permuted(np.tile(np.arange(num_classes, dtype=float), (num, 1)), axis=1)
    truth = generator.integers(0, num_classes, num)
    found = top_k_accuracy(scores, truth, k=k)
    if k < num_classes:
        expected = top_k_accuracy_score(truth, scores, k=k, labels=np.arange(num_classes))
        assert found == pytest.approx(expected)
    else:
        assert found == 1.0


@pytest.mark.parametrize("value", [0.0, -np.inf, np.inf, np.nan])
@pytest.mark.parametrize("k", [1, 5])
def test_a_dead_model_scores_nothing(value, k):
    assert top_k_accuracy(np.full((6, 7), value), np.arange(6), k=k) == 0.0


def test_a_number_that_is_none_counts_against_the_model():
    scores = np.array([[0.9, np.nan, 0.1], [np.nan, 0.5, 0.1], [0.9, 0.5, 0.1]])
    assert top_k_accuracy(scores, np.array([0, 0, 0]), k=1) == pytest.approx(1 / 3)
    assert top_k_accuracy(scores, np.array([0, 0, 0]), k=2) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("scores", "k", "expected"),
    [([3, 3, 1], 1, 0.0), ([3, 3, 1], 2, 1.0), ([3, 3, 3], 2, 0.0), ([3, 4, 3], 2, 0.0), ([3, 4, 3], 3, 1.0)],
)
def test_ties_count_as_if_the_others_came_first(scores, k, expected):
    assert top_k_accuracy(np.array([scores], dtype=float), np.array([0]), k=k) == expected


def test_nothing_to_measure_is_no_number():
    assert np.isnan(top_k_accuracy(np.zeros((0, 3)), np.zeros(0, dtype=int), k=1))


def test_the_report_is_scikit_learns():
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.6, 0.3, 0.1], [0.2, 0.1, 0.7]])
    scores = classification_scores(probabilities, np.array([0, 1, 1, 2]), classes=("cut", "stir", "fry"))
    assert scores.accuracy == 0.75
    assert scores.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert scores.top5 == 1.0
    assert scores.num_segments == 4
    assert scores.report["cut"]["precision"] == 0.5
    assert scores.report["stir"]["recall"] == 0.5
    assert all(name in scores.report_text for name in ("cut", "stir", "fry", "macro avg"))


def test_a_class_that_is_answered_without_having_segments_counts_with_zero():
    scores = classification_scores(
        np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 0]), classes=("cut", "stir")
    )
    assert scores.report["stir"]["f1-score"] == 0.0
    assert scores.macro_f1 == pytest.approx((2 / 3 + 0) / 2)


def test_a_class_that_the_split_does_not_show_is_no_mistake():
    classes = ("cut", "stir", "fry", "boil")
    truth = np.array([0, 2, 2])
    scores = classification_scores(np.eye(4)[truth], truth, classes=classes)
    assert scores.accuracy == 1.0
    assert scores.macro_f1 == 1.0
    assert scores.report["macro avg"]["f1-score"] == 1.0
    assert scores.report["fry"]["support"] == 2
    assert "boil" not in scores.report_text

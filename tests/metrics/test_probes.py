"""Linear classifiers on features: what separates them is found, draws have the size asked for, nothing unseen is said."""

import numpy as np
import pytest

from videobert_cli.core.metrics.probes import (
    ProbeSegments,
    evaluate_few_shot,
    evaluate_linear_probe,
    linear_probe,
    probe_probabilities,
    word_histograms,
)
from videobert_cli.core.model.labels import LabelHead
from videobert_cli.errors import InputError


def segments(num_a_class: int, *, seed: int, noise: float = 0.1, num_classes: int = 3) -> ProbeSegments:
    """Features `raw` tell the classes apart, features `encoder` are noise."""
    generator = np.random.default_rng(seed)
    truth = np.repeat(np.arange(num_classes), num_a_class)
    clear = np.eye(num_classes)[truth] + noise * generator.normal(size=(len(truth), num_classes))
    return ProbeSegments(
        features={"raw": clear, "encoder": generator.normal(size=(len(truth), 4))},
        labels=[("cut", "fry", "wash", "boil")[n] for n in truth],
    )


def test_scores_are_scikit_learns_and_a_class_never_seen_cannot_be_said() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    train, held_out = segments(10, seed=0).features["raw"], segments(5, seed=1).features["raw"]
    truth = np.repeat([0, 1, 3], 10)
    found = linear_probe(train, truth, held_out, num_classes=5)
    scaler = StandardScaler().fit(train)
    model = LogisticRegression(max_iter=2000).fit(scaler.transform(train), truth)
    np.testing.assert_allclose(found[:, [0, 1, 3]], model.predict_log_proba(scaler.transform(held_out)))
    assert np.isneginf(found[:, [2, 4]]).all()
    alone = linear_probe(train[:3], np.zeros(3, dtype=int), held_out, num_classes=2)
    assert alone[:, 0].tolist() == [0.0] * 15


def test_a_linear_classifier_finds_what_separates_and_only_that() -> None:
    found = evaluate_linear_probe({"verb": (segments(20, seed=0), segments(20, seed=1))}).metrics
    assert found["linear_probe.verb.top1"] == 1
    assert found["linear_probe.verb.top1.encoder"] < 0.6
    assert found["linear_probe.verb.top1.chance"] == pytest.approx(1 / 3)
    assert found["linear_probe.verb.top1.most_frequent"] == pytest.approx(1 / 3)
    assert found["linear_probe.verb.top5.chance"] == 1


def test_more_labels_are_never_much_worse_and_the_same_seed_draws_the_same() -> None:
    train, held_out = segments(20, seed=0, noise=0.6), segments(40, seed=1, noise=0.6)
    swapped = [
        ProbeSegments(
            features={"encoder": part.features["raw"], "raw": part.features["encoder"]}, labels=part.labels
        )
        for part in (train, held_out)
    ]
    found = evaluate_few_shot(*swapped, shots=(1, 5), num_draws=4, seed=0).metrics
    assert found["few_shot.shots1.accuracy"] < found["few_shot.shots5.accuracy"] <= 1
    assert found["few_shot.shots5.accuracy"] <= found["few_shot.all.accuracy"] + 0.05
    assert found["few_shot.shots1.accuracy.low"] <= found["few_shot.shots1.accuracy"]
    assert found["few_shot.shots1.accuracy"] <= found["few_shot.shots1.accuracy.high"]
    assert found["few_shot.all.accuracy.linear_probe"] < 0.6
    again = evaluate_few_shot(*swapped, shots=(1, 5), num_draws=4, seed=0).metrics
    assert again == found
    assert evaluate_few_shot(*swapped, shots=(1, 5), num_draws=4, seed=1).metrics != found


def test_one_class_or_nothing_held_out_is_an_error() -> None:
    one = segments(5, seed=0, num_classes=1)
    with pytest.raises(InputError, match="the training split has 1 classes"):
        evaluate_linear_probe({"verb": (one, one)})
    nothing = ProbeSegments(features={}, labels=[])
    with pytest.raises(InputError, match="the chosen split 0 segments"):
        evaluate_few_shot(segments(5, seed=0), nothing, shots=(1,), num_draws=1, seed=0)


def test_several_classes_each_have_a_classifier_as_scikit_learns_one_vs_rest() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    generator = np.random.default_rng(3)
    words = [generator.integers(0, 6, 5) for _ in range(60)]
    truths = [sorted({int(word) for word in own if word < 3}) for own in words]
    head = LabelHead(name="verbs", kind="multi", classes=("cut", "fry", "wash", "never seen"))
    counts = word_histograms(words, num_words=6)
    assert counts.toarray()[0].tolist() == pytest.approx(np.log1p(np.bincount(words[0], minlength=6)))
    found = probe_probabilities(counts[:40], truths[:40], counts[40:], head=head)
    is_true = np.array([[number in own for number in range(3)] for own in truths])
    peer = OneVsRestClassifier(LogisticRegression(max_iter=2000)).fit(counts[:40], is_true[:40])
    np.testing.assert_allclose(found[:, :3], peer.predict_proba(counts[40:]), atol=1e-6)
    assert found[:, 3].tolist() == [0.0] * 20

"""A classifier's answers measured: beside chance and other classifiers, of segments and of whole videos."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score
from small_models import NUM_POSITIONS, NUM_WORDS, small_classifier, small_tokenizer

from videobert_cli.core.metrics.classes import classify, evaluate_classes
from videobert_cli.core.model.classification import VideoBERTForSequenceClassification
from videobert_cli.core.model.labels import LabelHead
from videobert_cli.core.sequences.labelled import LabelledWords
from videobert_cli.core.tasks.classify import class_probabilities
from videobert_cli.core.training.units import labelled_units
from videobert_cli.errors import InputError

VERBS = ("cut", "fry", "pour")
SINGLE = LabelHead(name="verb", kind="single", classes=VERBS)
MULTI = LabelHead(name="verbs", kind="multi", classes=VERBS)
TOKENIZER = small_tokenizer()


def multi_label_classifier():
    config = replace(small_classifier().config, problem_type="multi_label_classification")
    return VideoBERTForSequenceClassification(config, seed=3).eval()


def segments(num, *, num_a_video=1, length=4, seed=0):
    generator = np.random.default_rng(seed)
    return [
        LabelledWords(
            video_id=f"v{number // num_a_video}",
            split="test",
            start_seconds=float(number),
            end_seconds=None,
            words_T=generator.integers(0, NUM_WORDS, length),
            labels={
                "verb": VERBS[(number // num_a_video) % 3],
                "verbs": "|".join(generator.choice(VERBS, generator.integers(1, 3), replace=False)),
            },
        )
        for number in range(num)
    ]


def measured(model, units, head, **options):
    return evaluate_classes(classify(model, TOKENIZER, units=units), head=head, **options)


def test_one_class_a_segment_is_beside_chance_the_most_frequent_class_and_other_classifiers() -> None:
    units = labelled_units(segments(30), head=SINGLE, unit="segment")
    perfect = np.eye(3)[[number % 3 for number in range(30)]]
    result = measured(small_classifier(), units, SINGLE, num_unknown=2, baselines={"word_histogram": perfect})
    metrics = result.metrics
    assert (metrics["classify.num_segments"], metrics["classify.num_segments_of_unknown_class"]) == (30, 2)
    assert metrics["classify.accuracy.chance"] == metrics["classify.accuracy.most_frequent"] == 1 / 3
    assert metrics["classify.accuracy.word_histogram"] == metrics["classify.macro_f1.word_histogram"] == 1.0
    right = np.mean([p["truth"] == p["predicted"] for p in result.predictions])
    assert metrics["classify.accuracy"] == pytest.approx(right)
    assert metrics["classify.accuracy.low"] <= right <= metrics["classify.accuracy.high"]
    assert [p["truth"] for p in result.predictions] == [VERBS[number % 3] for number in range(30)]
    assert "macro avg" in result.text


def test_several_classes_a_segment_score_as_scikit_learn_says() -> None:
    model, found = multi_label_classifier(), segments(40)
    units = labelled_units(found, head=MULTI, unit="segment")
    metrics = measured(model, units, MULTI, threshold=0.4).metrics
    probabilities = class_probabilities(model, TOKENIZER, words=[segment.words_T for segment in found])
    assert np.abs(probabilities.sum(axis=1) - 1).max() > 0.1
    truth = np.array([[verb in segment.labels["verbs"].split("|") for verb in VERBS] for segment in found])
    for average, name in (("macro", "mean_average_precision"), ("micro", "micro_average_precision")):
        expected = average_precision_score(truth, probabilities, average=average)
        assert metrics[f"classify.{name}"] == pytest.approx(expected)
        assert metrics[f"classify.{name}.chance"] == pytest.approx(truth.mean())
    answered = probabilities > 0.4
    assert 0 < answered.sum() < answered.size
    assert metrics["classify.micro_f1"] == pytest.approx(f1_score(truth, answered, average="micro"))
    assert metrics["classify.macro_f1"] == pytest.approx(f1_score(truth, answered, average="macro"))
    assert metrics["classify.micro_f1.low"] < metrics["classify.micro_f1"] < metrics["classify.micro_f1.high"]
    assert not any(name.startswith(("classify.accuracy", "classify.calibration")) for name in metrics)


def test_predictions_of_several_classes_have_those_above_the_threshold() -> None:
    units = labelled_units(segments(12), head=MULTI, unit="segment")
    model = multi_label_classifier()
    rows = class_probabilities(model, TOKENIZER, words=[unit.words() for unit in units])
    for prediction, unit, row in zip(measured(model, units, MULTI).predictions, units, rows, strict=True):
        assert prediction["truth"] == list(unit.values)
        assert set(prediction["predicted"]) == {
            verb for verb, value in zip(VERBS, row, strict=True) if value > 0.5
        }


def test_a_whole_video_that_the_model_has_no_room_for_has_the_mean_of_its_parts() -> None:
    model, found = small_classifier(), segments(8, num_a_video=4, length=5)
    units = labelled_units(found, head=SINGLE, unit="video")
    assert [len(unit.segments) for unit in units] == [4, 4]
    classified = classify(model, TOKENIZER, units=units)
    # 20 words, and room for 9 at once: parts of 7, 7 and 6.
    assert model.config.max_num_words == NUM_POSITIONS - 3
    words = np.concatenate([segment.words_T for segment in found[4:]])
    rows = class_probabilities(model, TOKENIZER, words=[words[:7], words[7:14], words[14:]])
    assert classified.probabilities_NC[1] == pytest.approx(rows.mean(axis=0), abs=1e-6)
    result = measured(model, units, SINGLE)
    assert result.metrics["classify.num_videos"] == 2
    assert "classify.num_segments" not in result.metrics
    assert result.predictions[1]["video"] == "v1"
    assert result.predictions[1]["num_words"] == 20


def test_nothing_to_measure_on_is_an_input_error() -> None:
    with pytest.raises(InputError, match="classify: no segment of the chosen split") as caught:
        classify(small_classifier(), TOKENIZER, units=())
    assert "finetune.label" in caught.value.fix

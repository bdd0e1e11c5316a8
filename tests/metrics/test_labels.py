"""Heads of labels measured: every score beside its chance, by scikit-learn, on the segments that have the label."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from videobert_cli.core.metrics.labels import evaluate_labels
from videobert_cli.core.model.config import VideoBERTConfig
from videobert_cli.core.model.labels import LabelHead
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.sequences.labelled import LabelledWords
from videobert_cli.core.tasks.labels import label_probabilities
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer
from videobert_cli.errors import InputError

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cut", "fry", "pour"]
TOOLS = ("knife", "lid", "pan", "whisk")
HEADS = (
    LabelHead(name="verb", kind="single", classes=("cut", "fry", "pour")),
    LabelHead(name="tools", kind="multi", classes=TOOLS),
)


@pytest.fixture(scope="module")
def tokenizer():
    return VideoBERTTokenizer.from_vocabulary(TOKENS, num_words=12)


@pytest.fixture(scope="module")
def model():
    config = VideoBERTConfig(
        vocab_size=len(TOKENS),
        num_visual_words=12,
        visual_embedding_size=6,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=48,
        initializer_range=0.3,
        label_heads=HEADS,
    )
    return VideoBERTForPreTraining(config, seed=1).eval()


def segments(num, **labels):
    generator = np.random.default_rng(0)
    found = []
    for number in range(num):
        own = {
            "verb": HEADS[0].classes[generator.integers(3)],
            "tools": "|".join(generator.choice(TOOLS[:3], generator.integers(1, 3), replace=False)),
        }
        words_T = generator.integers(0, 12, 4)
        found.append(
            LabelledWords(
                video_id=f"v{number}",
                split="test",
                start_seconds=0.0,
                end_seconds=None,
                words_T=words_T,
                labels={**own, **labels},
            )
        )
    return found


def test_scores_are_beside_chance_and_predictions_beside_the_truth(model, tokenizer):
    found = segments(50)
    result = evaluate_labels(model, tokenizer, segments=found)
    metrics = result.metrics
    _, probabilities = label_probabilities(model, tokenizer, words=[s.words_T for s in found])
    assert np.abs(probabilities.sum(1) - 1).max() > 0.1
    truths = [prediction["verb"]["truth"][0] for prediction in result.predictions]
    right = [p["verb"]["predicted"] == p["verb"]["truth"] for p in result.predictions]
    assert metrics["labels.verb.accuracy"] == pytest.approx(np.mean(right))
    assert metrics["labels.verb.accuracy.chance"] == pytest.approx(1 / 3)
    assert metrics["labels.verb.accuracy.most_frequent"] == max(map(truths.count, truths)) / 50
    pairs = [(set(p["tools"]["predicted"]), set(p["tools"]["truth"])) for p in result.predictions]
    hits = sum(len(answered & true) for answered, true in pairs)
    asked = sum(len(answered) + len(true) for answered, true in pairs)
    assert metrics["labels.tools.micro_f1"] == pytest.approx(2 * hits / asked)
    is_true = np.array([[tool in true for tool in TOOLS[:3]] for _, true in pairs])
    means = [average_precision_score(is_true[:, n], probabilities[:, n]) for n in range(3)]
    assert metrics["labels.tools.mean_average_precision"] == pytest.approx(np.mean(means))
    assert metrics["labels.tools.mean_average_precision.chance"] == pytest.approx(is_true.mean())
    assert "micro avg" in result.text


def test_labels_that_are_no_class_are_left_out_and_counted(model, tokenizer):
    found = [*segments(6), *segments(2, verb="juggle"), *segments(3, tools="", verb="")]
    metrics = evaluate_labels(model, tokenizer, segments=found).metrics
    assert metrics["labels.num_segments"] == 8
    assert metrics["labels.verb.num_segments"] == 6
    assert metrics["labels.verb.num_segments_of_unknown_class"] == 2
    assert metrics["labels.tools.num_segments"] == 8


def test_nothing_to_measure_is_said(model, tokenizer):
    with pytest.raises(InputError, match="no segment of the chosen split has a label of a head"):
        evaluate_labels(model, tokenizer, segments=segments(3, verb="", tools=""))
    without = VideoBERTForPreTraining(
        VideoBERTConfig(
            vocab_size=8,
            num_visual_words=12,
            visual_embedding_size=6,
            hidden_size=12,
            intermediate_size=8,
            num_hidden_layers=1,
        ),
        seed=0,
    )
    with pytest.raises(InputError, match="the model has no heads of labels"):
        evaluate_labels(without.eval(), tokenizer, segments=segments(3))

"""Evaluation of real tiny models: names of the metrics, groups, and what an untrained model scores."""

import numpy as np
import pytest

from videobert_cli.core.metrics.evaluate import evaluate_zero_shot
from videobert_cli.core.model.config import VideoBERTConfig
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.sequences.labelled import LabelledWords
from videobert_cli.core.tasks.zero_shot import Candidates, Cloze
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer
from videobert_cli.errors import InputError

VERBS = ("cut", "fry", "pour", "stir")
OBJECTS = ("egg", "onion", "rice")
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "how", "to", "the", *VERBS, *OBJECTS]
SIZES = {
    "vocab_size": len(TOKENS),
    "num_visual_words": 12,
    "visual_embedding_size": 6,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "initializer_range": 0.3,
}
CANDIDATES = Candidates(verb=VERBS, object=OBJECTS)


@pytest.fixture(scope="module")
def tokenizer():
    return VideoBERTTokenizer.from_vocabulary(TOKENS, num_words=12)


@pytest.fixture(scope="module")
def cloze(tokenizer):
    model = VideoBERTForPreTraining(VideoBERTConfig(**SIZES), seed=1).eval()
    return Cloze(model, tokenizer, template="how to [MASK] the [MASK]")


def segments(num, *, seed=0, verbs=VERBS, objects=OBJECTS):
    generator = np.random.default_rng(seed)
    return [
        LabelledWords(
            video_id=f"v{number}",
            split="test",
            start_seconds=1.0,
            end_seconds=None,
            words_T=generator.integers(0, 12, 4),
            labels={
                "verb": verbs[generator.integers(len(verbs))],
                "object": objects[generator.integers(len(objects))],
            },
        )
        for number in range(num)
    ]


def evaluate(cloze, found, *, seen=(), candidates=CANDIDATES):
    return evaluate_zero_shot(
        cloze, found, columns=("verb", "object"), candidates=candidates, seen_pairs=frozenset(seen)
    )


def test_metrics_are_flat_and_beside_chance_prior_and_groups(cloze):
    seen = {("cut", "egg"), ("stir", "rice")}
    metrics = evaluate(cloze, segments(60), seen=seen).metrics
    expected = {"zero_shot.num_segments", "zero_shot.num_segments_of_unknown_label"}
    for slot in ("verb", "object"):
        for k in (1, 5):
            name = f"zero_shot.{slot}.top{k}"
            expected |= {
                name,
                *(
                    f"{name}.{end}"
                    for end in ("language_prior", "chance", "seen_pairs", "unseen_pairs", "low", "high")
                ),
            }
    assert set(metrics) == expected
    assert metrics["zero_shot.num_segments"] == 60
    assert metrics["zero_shot.verb.top1.chance"] == 0.25
    assert metrics["zero_shot.object.top5.chance"] == 1.0
    assert all(0 <= metrics[name] <= 1 for name in expected if ".top" in name)


def test_the_whole_is_the_weighted_mean_of_its_groups(cloze):
    seen = {(verb, "egg") for verb in VERBS}
    found = segments(60)
    metrics = evaluate(cloze, found, seen=seen).metrics
    share = sum(segment.labels["object"] == "egg" for segment in found) / 60
    for slot in ("verb", "object"):
        name = f"zero_shot.{slot}.top1"
        mean = share * metrics[f"{name}.seen_pairs"] + (1 - share) * metrics[f"{name}.unseen_pairs"]
        assert metrics[name] == pytest.approx(mean)


def test_a_group_without_segments_is_left_out(cloze):
    metrics = evaluate(cloze, segments(5), seen=()).metrics
    assert "zero_shot.verb.top1.unseen_pairs" in metrics
    assert "zero_shot.verb.top1.seen_pairs" not in metrics


def test_an_untrained_model_and_the_prior_score_about_chance(cloze):
    num = 1000
    metrics = evaluate(cloze, segments(num)).metrics
    for slot, chance in (("verb", 1 / 4), ("object", 1 / 3)):
        deviation = np.sqrt(chance * (1 - chance) / num)
        score = metrics[f"zero_shot.{slot}.top1"]
        assert metrics[f"zero_shot.{slot}.top1.low"] < score < metrics[f"zero_shot.{slot}.top1.high"]
        for name in (f"zero_shot.{slot}.top1", f"zero_shot.{slot}.top1.language_prior"):
            assert abs(metrics[name] - chance) < 4 * deviation, name


def test_predictions_name_segment_truth_and_answer(cloze):
    found = segments(6)
    result = evaluate(cloze, found, seen={(found[0].labels["verb"], found[0].labels["object"])})
    scores = cloze.scores([segment.words_T for segment in found], slot="verb", candidates=VERBS)
    for number, prediction in enumerate(result.predictions):
        assert prediction["video"] == f"v{number}"
        assert prediction["verb"] == {
            "truth": found[number].labels["verb"],
            "predicted": VERBS[int(scores[number].argmax())],
            "rank": 1 + sum(scores[number] > scores[number][VERBS.index(found[number].labels["verb"])]),
        }
        assert prediction["object"]["predicted"] in OBJECTS
    assert not result.predictions[0]["unseen_pair"]
    right = np.mean([p["verb"]["truth"] == p["verb"]["predicted"] for p in result.predictions])
    assert result.metrics["zero_shot.verb.top1"] == pytest.approx(right)


def test_labels_that_are_no_candidates_are_left_out_and_counted(cloze):
    """As with a model made elsewhere: its candidates are not this manifest's labels."""
    known, unknown = segments(5), segments(3, verbs=("juggle",))
    metrics = evaluate(cloze, [*unknown, *known]).metrics
    assert metrics["zero_shot.num_segments"] == 5
    assert metrics["zero_shot.num_segments_of_unknown_label"] == 3
    with pytest.raises(InputError, match="no segment of the chosen split has a label in verb and object"):
        evaluate(cloze, unknown)


def test_nothing_to_measure_on_is_an_input_error(cloze):
    with pytest.raises(InputError, match="zero_shot: no segment") as caught:
        evaluate(cloze, [])
    assert "evaluate.verb" in caught.value.fix

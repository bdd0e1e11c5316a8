"""The deletion metric: every loss is what hiding by hand costs, and a method that knows nothing is no better than chance."""

import itertools

import numpy as np
import pytest
from small_models import NUM_WORDS, small_classifier, small_model, small_tokenizer

from videobert_cli.core.metrics import explain as metric
from videobert_cli.core.metrics.explain import (
    ExplainedAnswer,
    deletion,
    evaluate_explanations,
    measured_segments,
    num_hidden,
)
from videobert_cli.core.sequences.labelled import LabelledWords
from videobert_cli.core.tasks.explain import METHODS, clip_weights
from videobert_cli.core.tasks.explained_questions import asked_of_classifier, asked_of_cloze
from videobert_cli.core.tasks.visual_questions import MASKED
from videobert_cli.core.tasks.zero_shot import Cloze
from videobert_cli.errors import InputError

TOKENIZER, MODEL, CLASSIFIER = small_tokenizer(), small_model(), small_classifier()
TEMPLATE = "pour [MASK] [MASK]"
CANDIDATES = ("cut", "fry", "pour")
SHARES = (0.25, 0.5, 0.75)


def segment(number, num_clips):
    words = np.random.default_rng(number).integers(0, NUM_WORDS, num_clips)
    return LabelledWords(
        video_id=f"v{number // 3}",
        split="test",
        start_seconds=6.0 * number,
        end_seconds=6.0 * number + 1.5 * num_clips,
        words_T=words,
        labels={},
    )


SEGMENTS = [segment(number, 2 + number % 4) for number in range(12)]


def cloze_answers(segments=SEGMENTS):
    asked = asked_of_cloze(
        MODEL,
        TOKENIZER,
        template=TEMPLATE,
        slot="object",
        candidates=CANDIDATES,
        words=[each.words_T for each in segments],
    )
    return [
        ExplainedAnswer(segment=each, asked=question) for each, question in zip(segments, asked, strict=True)
    ]


def class_answers():
    asked = asked_of_classifier(CLASSIFIER, TOKENIZER, words=[each.words_T for each in SEGMENTS])
    return [
        ExplainedAnswer(segment=each, asked=question) for each, question in zip(SEGMENTS, asked, strict=True)
    ]


def score(words, answer):
    """The cloze task's own score of an answer."""
    cloze = Cloze(MODEL, TOKENIZER, template=TEMPLATE)
    return float(cloze.scores([words], slot="object", candidates=(answer,))[0, 0])


def loss_by_hand(answer, order, num):
    words = answer.segment.words_T.copy()
    whole = score(words, answer.asked.answer)
    words[list(order[:num])] = MASKED
    return whole - score(words, answer.asked.answer)


def test_what_is_explained_is_the_best_answer() -> None:
    for answer in cloze_answers():
        scores = {name: score(answer.segment.words_T, name) for name in CANDIDATES}
        assert answer.asked.answer == max(scores, key=scores.get)
    for answer in class_answers():
        assert answer.asked.answer in CLASSIFIER.config.label2id


def test_every_loss_is_what_hiding_by_hand_costs() -> None:
    for answer in cloze_answers():
        words = answer.segment.words_T
        found = deletion(answer.asked, words, hidden_shares=SHARES, seed=0)
        for method in METHODS:
            weights = clip_weights(answer.asked, words, method=method)
            order = sorted(range(len(words)), key=lambda clip: -weights[clip])
            for place, share in enumerate(SHARES):
                num = num_hidden(len(words), share=share)
                assert found.most_first[method][place] == pytest.approx(
                    loss_by_hand(answer, order, num), abs=1e-4
                )
                assert found.least_first[method][place] == pytest.approx(
                    loss_by_hand(answer, order[::-1], num), abs=1e-4
                )
        everything = range(len(words))
        assert found.all_hidden == pytest.approx(loss_by_hand(answer, everything, len(words)), abs=1e-4)


def test_random_orders_cost_what_any_order_does() -> None:
    [answer] = cloze_answers([segment(3, 3)])
    words = answer.segment.words_T
    losses = [
        [loss_by_hand(answer, order, num_hidden(3, share=share)) for share in SHARES]
        for order in itertools.permutations(range(3))
    ]
    draws = [deletion(answer.asked, words, hidden_shares=SHARES, seed=seed).random_K for seed in range(40)]
    spread = np.std(losses, axis=0).max()
    assert spread > 0.01
    # 320 orders in all.
    np.testing.assert_allclose(np.mean(draws, axis=0), np.mean(losses, axis=0), atol=4 * spread / 320**0.5)
    again = deletion(answer.asked, words, hidden_shares=SHARES, seed=7).random_K
    assert again.tolist() == draws[7].tolist()
    assert any(draw.tolist() != again.tolist() for draw in draws)


def test_the_metrics_are_means_over_segments_beside_what_they_have_to_beat() -> None:
    answers = {"explain.object": cloze_answers(), "explain.verb": class_answers()}
    found = evaluate_explanations(answers, task="explain", hidden_shares=SHARES, seed=0, num_of_one_clip=3)
    metrics = found.metrics
    assert metrics["explain.num_segments"] == 12
    assert metrics["explain.num_segments_of_one_clip"] == 3
    assert len(found.predictions) == 24
    for name in answers:
        rows = [row for row in found.predictions if row["question"] == name]
        for method in METHODS:
            key = f"{name}.{method}"
            own = np.mean([row[method]["most_first"] for row in rows])
            random = np.mean([row["random"] for row in rows])
            assert metrics[key] == pytest.approx(own, abs=1e-4)
            assert metrics[f"{key}.random"] == pytest.approx(random, abs=1e-4)
            assert metrics[f"{key}.above_random"] == pytest.approx(own - random, abs=2e-4)
            assert metrics[f"{key}.above_random.low"] < own - random < metrics[f"{key}.above_random.high"]
            assert metrics[f"{key}.low"] < own < metrics[f"{key}.high"]
        assert metrics[f"{name}.occlusion.least_first"] < metrics[f"{name}.occlusion.random"]
        assert metrics[f"{name}.occlusion.above_random.low"] > 0
        assert metrics[f"{name}.gradients.above_random.low"] > 0
    seeds = (0, 1)
    first, other = (
        evaluate_explanations(answers, task="explain", hidden_shares=SHARES, seed=seed).metrics
        for seed in seeds
    )
    assert first == metrics | {"explain.num_segments_of_one_clip": 0.0}
    assert other["explain.object.occlusion"] == first["explain.object.occlusion"]
    assert other["explain.object.occlusion.random"] != first["explain.object.occlusion.random"]


def test_a_method_that_knows_nothing_is_no_better_than_random(monkeypatch) -> None:
    generator = np.random.default_rng(0)
    monkeypatch.setattr(
        metric, "clip_weights", lambda asked, words_T, *, method: generator.random(len(words_T))
    )
    many = {"explain.object": cloze_answers([segment(number, 4) for number in range(30)])}
    above = []
    for seed in range(8):
        metrics = evaluate_explanations(many, task="explain", hidden_shares=SHARES, seed=seed).metrics
        above += [metrics[f"explain.object.{method}.above_random"] for method in METHODS]
    assert abs(np.mean(above)) < 4 * np.std(above) / len(above) ** 0.5


def test_clips_that_the_model_has_no_room_for_are_not_hidden() -> None:
    long = segment(0, 30)
    [answer] = cloze_answers([long])
    room = answer.asked.parts[0].max_num_clips
    assert room < 30
    found = deletion(answer.asked, long.words_T, hidden_shares=(0.5,), seed=0)
    same = deletion(answer.asked, long.words_T[:room], hidden_shares=(0.5,), seed=0)
    assert len(found.weights["occlusion"]) == room
    assert found.most_first["occlusion"].tolist() == same.most_first["occlusion"].tolist()


def test_segments_are_drawn_by_the_seed_in_their_order_and_stay_when_others_come() -> None:
    given = [*SEGMENTS, segment(20, 1)]
    assert measured_segments(given, num_segments=50, seed=0) == SEGMENTS
    few = measured_segments(given, num_segments=5, seed=0)
    assert [each.start_seconds for each in few] == sorted(each.start_seconds for each in few)
    assert few == measured_segments(given[::-1], num_segments=5, seed=0)[::-1]
    assert few != measured_segments(given, num_segments=5, seed=1)
    more = measured_segments([*given, segment(30, 3)], num_segments=5, seed=0)
    assert len([each for each in more if each not in few]) <= 1


def test_nothing_to_measure_on_is_an_error() -> None:
    with pytest.raises(InputError, match="explain: no labelled segment of the chosen split has two clips"):
        evaluate_explanations({}, task="explain", hidden_shares=SHARES, seed=0)

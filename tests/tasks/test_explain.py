"""Explanations: what hiding each clip costs, gradients that sum to what the clips are worth, where attention leads."""

import numpy as np
import pytest
import torch
from small_models import NUM_WORDS, small_classifier, small_model, small_tokenizer

from videobert_cli.core.model.attention import SequenceLayout
from videobert_cli.core.model.attention_record import recorded_attention
from videobert_cli.core.tasks.classify import class_probabilities
from videobert_cli.core.tasks.explain import METHODS, explain, log_probabilities
from videobert_cli.core.tasks.explained_questions import AskedClass, AskedCloze
from videobert_cli.core.tasks.visual_questions import MASKED
from videobert_cli.core.tasks.zero_shot import Cloze

TOKENIZER, MODEL, CLASSIFIER = small_tokenizer(), small_model(), small_classifier()
TEMPLATE = "pour [MASK] [MASK]"
WORDS = np.array([3, 0, 7, 5])


def asked_cloze(answer="fry"):
    return AskedCloze(MODEL, TOKENIZER, template=TEMPLATE, slot="object", answer=answer)


def log_probability(asked, words):
    return float(np.mean([part_log_probability(part, words) for part in asked.parts]))


def part_log_probability(part, words):
    batch = part.batch([words])
    with torch.no_grad():
        return float(part.log_probability(part.model.bert(batch).hidden_SH, batch)[0])


def test_what_is_explained_is_what_the_task_says() -> None:
    cloze = Cloze(MODEL, TOKENIZER, template=TEMPLATE)
    for answer in ("fry", "cut fry"):
        expected = cloze.scores([WORDS], slot="object", candidates=(answer,))[0, 0]
        assert log_probability(asked_cloze(answer), WORDS) == pytest.approx(expected, abs=1e-5)
    [probabilities] = class_probabilities(CLASSIFIER, TOKENIZER, words=[WORDS])
    for number, probability in enumerate(probabilities):
        asked = AskedClass(CLASSIFIER, TOKENIZER, number=number)
        assert log_probability(asked, WORDS) == pytest.approx(np.log(probability), abs=1e-4)


@pytest.mark.parametrize("asked", [asked_cloze(), AskedClass(CLASSIFIER, TOKENIZER, number=1)])
def test_occlusion_is_what_each_hidden_clip_costs(asked) -> None:
    found = explain(asked, WORDS, method="occlusion")
    whole = log_probability(asked, WORDS)
    for clip, weight in enumerate(found.weights):
        hidden = WORDS.copy()
        hidden[clip] = MASKED
        assert weight == pytest.approx(whole - log_probability(asked, hidden), abs=2e-4)
    assert max(map(abs, found.weights)) > 0.01


def at_the_start(asked):
    """The log-probability where all clips have the mask's embedding, and are clips all the same."""
    return float(np.mean([part_at_the_start(part) for part in asked.parts]))


def part_at_the_start(part):
    batch = part.batch([WORDS])
    with torch.no_grad():
        hidden = part.batch([np.full(len(WORDS), MASKED)])
        states = part.model.bert.encoder(part.model.bert.embeddings(hidden), SequenceLayout.of(hidden))
        return float(part.log_probability(states, batch)[0])


@pytest.mark.parametrize(
    "asked", [asked_cloze(), asked_cloze("cut fry"), AskedClass(CLASSIFIER, TOKENIZER, number=1)]
)
def test_integrated_gradients_sum_to_what_the_clips_are_worth(asked) -> None:
    found = explain(asked, WORDS, method="gradients")
    worth = log_probability(asked, WORDS) - at_the_start(asked)
    assert abs(worth) > 0.01
    assert sum(found.weights) == pytest.approx(worth, rel=0.01, abs=1e-3)
    assert all(parameter.grad is None for part in asked.parts for parameter in part.model.parameters())


def test_gradients_are_captums() -> None:
    captum = pytest.importorskip("captum.attr", reason="captum is not installed")
    [asked] = asked_cloze().parts
    ends = asked.batch([np.full(len(WORDS), MASKED), WORDS])
    with torch.no_grad():
        start, stop = asked.model.bert.embeddings(ends).chunk(2)

    def forward(points):
        batch = asked.batch([WORDS] * len(points))
        hidden = asked.model.bert.encoder(points.flatten(0, 1), SequenceLayout.of(batch))
        return asked.log_probability(hidden, batch)

    theirs = captum.IntegratedGradients(forward).attribute(
        stop[None], baselines=start[None], n_steps=64, method="riemann_middle"
    )
    first = asked.first_clip
    weights = theirs[0].sum(-1)[first : first + len(WORDS)].detach().numpy()
    np.testing.assert_allclose(explain(asked_cloze(), WORDS, method="gradients").weights, weights, atol=2e-4)


@pytest.mark.parametrize(
    ("asked", "places", "first"),
    [
        # [CLS] pour [MASK] [MASK] [>] and the clips; the object is the second mask, read piece by piece.
        (asked_cloze(), [3], 5),
        (asked_cloze("cut fry"), [3, 4], 6),
        (AskedClass(CLASSIFIER, TOKENIZER, number=1), [0], 1),
    ],
)
def test_attention_is_shared_from_where_the_answer_is_read(asked, places, first) -> None:
    expected = 0.0
    for part, place in zip(asked.parts, places, strict=True):
        batch = part.batch([WORDS])
        ids = batch.input_ids_S.tolist()
        assert ids[place] == (TOKENIZER.mask_id if place else ids[0])
        [heads] = recorded_attention(part.model.bert, batch).numpy()
        mean = (heads[0] + heads[1]) / 2
        # One layer: a clip gets half of what the place attends to it, and none of the residual, which stays with it.
        expected += mean[place] / 2 / len(places)
    found = explain(asked, WORDS, method="attention")
    assert found.unit == "share"
    np.testing.assert_allclose(found.weights, expected[first : first + 4], atol=6e-5)
    assert 0 < sum(found.weights) < 0.5
    assert min(found.weights) >= 0


def test_many_questions_are_asked_in_portions() -> None:
    asked = asked_cloze()
    words = np.random.default_rng(0).integers(0, NUM_WORDS, (130, 4))
    found = log_probabilities(asked, list(words))
    for number in (0, 63, 64, 129):
        assert found[number] == pytest.approx(log_probability(asked, words[number]), abs=1e-5)


def test_clips_that_do_not_fit_were_not_read_and_carried_nothing() -> None:
    many = np.random.default_rng(0).integers(0, NUM_WORDS, 30)
    for method in METHODS:
        asked = asked_cloze()
        found = explain(asked, many, method=method)
        assert len(found.weights) == 30
        assert set(found.weights[asked.parts[0].max_num_clips :]) == {0.0}
        assert any(found.weights[: asked.parts[0].max_num_clips])

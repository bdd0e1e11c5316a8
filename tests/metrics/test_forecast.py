"""Forecasts: the model is asked what it should be, and every baseline scores what counting by hand gives."""

import numpy as np
import pytest
import torch
from small_models import NUM_WORDS, small_model, small_tokenizer

from videobert_cli.core.metrics.forecast import evaluate_forecast, questions_of
from videobert_cli.core.sequences.packing import TokenSequence, pack
from videobert_cli.core.tasks.forecast import Forecaster
from videobert_cli.core.tasks.options import ForecastOptions
from videobert_cli.core.tasks.visual_questions import VisualAsker
from videobert_cli.errors import InputError, UsageError


@pytest.fixture(scope="module")
def tokenizer():
    return small_tokenizer()


@pytest.fixture(scope="module")
def model():
    return small_model()


class Copies(Forecaster):
    """Says the last word seen with certainty, then word 0, 1, ..."""

    def __init__(self):
        self.asked = []

    def log_probabilities(self, contexts, *, horizon):
        self.asked.append((horizon, [context.tolist() for context in contexts]))
        scores_NK = np.tile(-np.arange(float(NUM_WORDS)), (len(contexts), 1))
        scores_NK[np.arange(len(contexts)), [context[-1] for context in contexts]] = 1.0
        for start in range(0, len(contexts), 2):
            yield scores_NK[start : start + 2]


def evaluate(forecaster, videos, train, **options):
    return evaluate_forecast(
        forecaster,
        {name: np.array(words, dtype=np.int32) for name, words in videos.items()},
        train_videos={name: np.array(words, dtype=np.int32) for name, words in train.items()},
        num_words=NUM_WORDS,
        options=ForecastOptions(**options),
    )


def test_the_question_is_the_words_and_masks_read_at_the_last_of_them(model, tokenizer):
    contexts = [np.array([1, 2, 3], dtype=np.int32), np.array([5], dtype=np.int32)]
    for horizon in (1, 3):
        (found_BK,) = Forecaster(VisualAsker(model, tokenizer)).log_probabilities(contexts, horizon=horizon)
        assert found_BK.shape == (2, NUM_WORDS)
        np.testing.assert_allclose(np.exp(found_BK).sum(axis=1), 1, rtol=1e-5)
        for words, row in zip(contexts, found_BK, strict=True):
            ids = [tokenizer.cls_id, *(tokenizer.word_to_id(int(w)) for w in words)]
            ids += [tokenizer.mask_id] * horizon + [tokenizer.sep_id]
            types = np.array([0, *[1] * (len(ids) - 1)])
            labels = np.full(len(ids), -100)
            one = TokenSequence(input_ids=np.array(ids), token_type_ids=types, labels=labels, alignment=-100)
            with torch.no_grad():
                scores = model.token_logits(pack([one]), torch.tensor([len(ids) - 2]))[0].float()
            expected = torch.log_softmax(scores[tokenizer.word_to_id(0) :], dim=0)
            np.testing.assert_allclose(row, expected.numpy(), atol=1e-5)


def test_neither_batches_nor_neighbours_change_an_answer(model, tokenizer, monkeypatch):
    generator = np.random.default_rng(0)
    contexts = [generator.integers(0, NUM_WORDS, generator.integers(1, 9)) for _ in range(9)]
    forecaster = Forecaster(VisualAsker(model, tokenizer))
    together = np.concatenate(list(forecaster.log_probabilities(contexts, horizon=2)))
    monkeypatch.setattr("videobert_cli.core.tasks.visual_questions.BATCH_NUM_SEQUENCES", 2)
    apart = np.concatenate(list(forecaster.log_probabilities(contexts, horizon=2)))
    np.testing.assert_allclose(together, apart, atol=1e-4)


def test_of_a_long_context_the_latest_words_count_and_what_fits_not_at_all_is_refused(model, tokenizer):
    forecaster = Forecaster(VisualAsker(model, tokenizer))
    long = np.arange(40) % NUM_WORDS
    (whole,) = forecaster.log_probabilities([long], horizon=2)
    (latest,) = forecaster.log_probabilities([long[-8:]], horizon=2)
    np.testing.assert_array_equal(whole, latest)
    with pytest.raises(UsageError, match="12 positions"):
        list(forecaster.log_probabilities([long], horizon=10))


def test_every_baseline_is_what_counting_by_hand_gives():
    videos = {"b": [1, 1, 2], "a": [3, 4]}
    train = {"t": [1, 2, 1, 2, 1, 2], "u": [3, 3, 4]}
    forecaster = Copies()
    metrics = evaluate(forecaster, videos, train, horizons=(1,)).metrics
    # Questions in order: a 3 -> 4, b 1 -> 1, b 1 -> 2. In training 1 is always followed by 2, 3 by 3 or 4 alike
    # (3 is commoner), and 1 and 2 are the commonest, 1 by its number.
    assert forecaster.asked == [(1, [[3], [1], [1, 1]])]
    assert metrics["forecast.horizon1.num_questions"] == 3
    assert metrics["forecast.horizon1.top1"] == pytest.approx(1 / 3)
    assert metrics["forecast.horizon1.top1.copy_last"] == pytest.approx(1 / 3)
    assert metrics["forecast.horizon1.top1.most_frequent"] == pytest.approx(1 / 3)
    assert metrics["forecast.horizon1.top1.word_pairs"] == pytest.approx(1 / 3)
    assert metrics["forecast.horizon1.top1.chance"] == pytest.approx(1 / NUM_WORDS)
    assert metrics["forecast.horizon1.top5"] == pytest.approx(1)
    assert metrics["forecast.horizon1.top5.word_pairs"] == pytest.approx(1)


def test_predictions_say_where_what_and_how_far():
    found = evaluate(Copies(), {"v": [6, 6, 5]}, {}, horizons=(1, 2))
    first = {"video": "v", "horizon": 1, "last_clip": 0, "truth": 6, "predicted": [6, 0, 1], "rank": 1}
    assert found.predictions[0] == first
    assert [prediction["horizon"] for prediction in found.predictions] == [1, 1, 2]


def test_a_context_is_as_long_as_asked_for():
    forecaster = Copies()
    evaluate(forecaster, {"v": [0, 1, 2, 3, 4]}, {}, horizons=(2,), context_num_clips=2)
    assert forecaster.asked == [(2, [[0], [0, 1], [1, 2]])]


def test_many_places_are_asked_about_in_part_evenly():
    questions = questions_of({"v": np.zeros(101), "w": np.zeros(101)}, horizon=1, max_num=20)
    assert len(questions) == 20
    assert sum(question.video_id == "v" for question in questions) == 10
    assert [question.last for question in questions[:3]] == [0, 10, 20]


def test_videos_too_short_for_any_horizon_are_refused():
    with pytest.raises(InputError, match="more than 2 clips"):
        evaluate(Copies(), {"v": [1, 2]}, {}, horizons=(2, 4))
    assert "forecast.horizon4.top1" not in evaluate(Copies(), {"v": [1, 2, 3]}, {}, horizons=(1, 4)).metrics

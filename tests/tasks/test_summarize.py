"""Summaries: cuts are the best of all there are, surprise is the model's, and what is chosen stands for its stretch."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from small_models import NUM_WORDS, small_model, small_tokenizer

from videobert_cli.core.tasks.summarize import Scatter, Summarizer, best_cuts, clip_weights, surprise
from videobert_cli.core.tasks.visual_questions import MASKED, VisualAsker, VisualQuestion

ASKER = VisualAsker(small_model(), small_tokenizer())
CENTROIDS = np.random.default_rng(3).normal(size=(NUM_WORDS, 4)).astype(np.float32)


def scatter_by_hand(rows: np.ndarray, weights: np.ndarray) -> float:
    mean = np.average(rows, axis=0, weights=weights)
    return float((weights * ((rows - mean) ** 2).sum(axis=1)).sum())


def summarizer(**more: float) -> Summarizer:
    options = {"surprise_weight": 1.0, "context_num_clips": 3, **more}
    return Summarizer(ASKER, centroids_KD=CENTROIDS, **options)


def test_the_cuts_are_the_best_of_all() -> None:
    generator = np.random.default_rng(0)
    for num_stretches in (1, 2, 3, 4):
        rows, weights = generator.normal(size=(9, 3)), generator.uniform(1, 3, 9)
        scatter = Scatter(rows, weights_T=weights)

        def inside(ends, rows=rows, weights=weights) -> float:
            return sum(scatter_by_hand(rows[a:b], weights[a:b]) for a, b in pairwise([0, *ends]))

        ways = [[*cut, 9] for cut in combinations(range(1, 9), num_stretches - 1)]
        best = min(ways, key=inside)
        assert best_cuts(scatter, num_stretches=num_stretches) == best
        assert scatter.explained(best) == pytest.approx(1 - inside(best) / scatter_by_hand(rows, weights))


def test_surprise_is_the_negative_log_probability_of_the_word_among_its_neighbours() -> None:
    words = np.array([1, 2, 2, 5, 0])
    found = surprise(ASKER, words, context_num_clips=1)
    for clip, seen in enumerate(([MASKED, 2], [1, MASKED, 2], [2, MASKED, 5], [2, MASKED, 0], [5, MASKED])):
        question = VisualQuestion(words_T=np.array(seen), asked=seen.index(MASKED))
        [scores] = ASKER.log_probabilities([question])
        assert found[clip] == pytest.approx(-scores[0, words[clip]], abs=1e-5)
    # 12 positions hold nine words: four on each side, however many are asked for.
    long = np.arange(40) % NUM_WORDS
    np.testing.assert_allclose(
        surprise(ASKER, long, context_num_clips=99), surprise(ASKER, long, context_num_clips=4)
    )


def test_neither_batches_nor_neighbours_change_the_surprise(monkeypatch) -> None:
    words = np.random.default_rng(1).integers(0, NUM_WORDS, 30)
    together = surprise(ASKER, words, context_num_clips=3)
    monkeypatch.setattr("videobert_cli.core.tasks.visual_questions.BATCH_NUM_SEQUENCES", 1)
    np.testing.assert_allclose(together, surprise(ASKER, words, context_num_clips=3), atol=1e-4)


def test_what_surprises_weighs_more_and_where_all_is_certain_all_weigh_alike() -> None:
    np.testing.assert_allclose(clip_weights(np.array([1.0, 3.0]), surprise_weight=2.0), [2.0, 4.0])
    np.testing.assert_allclose(clip_weights(np.array([1.0, 3.0]), surprise_weight=0.0), [1.0, 1.0])
    np.testing.assert_allclose(clip_weights(np.zeros(3), surprise_weight=2.0), [3.0, 3.0, 3.0])


def test_a_video_of_three_scenes_gives_the_middle_of_each() -> None:
    words = np.array([4] * 5 + [1] * 3 + [6] * 7)
    summary = summarizer().summarize(words, num_clips=3)
    assert [(key.clip, key.word, key.first, key.stop) for key in summary.clips] == [
        (2, 4, 0, 5),
        (6, 1, 5, 8),
        (11, 6, 8, 15),
    ]
    assert summary.explained == 1.0
    assert summary.explained_by_even < 1.0
    expected = surprise(ASKER, words, context_num_clips=3)
    assert [key.surprise for key in summary.clips] == [round(float(expected[c]), 4) for c in (2, 6, 11)]


@pytest.mark.parametrize("words", [[3], [3, 3, 3], [1, 2]])
def test_short_and_still_videos_are_summaries_too(words) -> None:
    summary = summarizer().summarize(np.array(words), num_clips=5)
    assert [key.clip for key in summary.clips] == list(range(len(words)))
    assert summary.explained == 1.0

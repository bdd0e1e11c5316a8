"""Retrieval: every rank is what a sorted list gives, and every figure what counting gives."""

import numpy as np
import pytest

from videobert_cli.core.metrics.retrieval import best_ranks, evaluate_retrieval
from videobert_cli.core.sequences.pairs import ShownSentence
from videobert_cli.core.words.text_counts import TextCounts
from videobert_cli.errors import InputError

NUM_WORDS = 6


def test_ranks_are_those_of_a_list_in_random_order_on_average() -> None:
    generator = np.random.default_rng(0)
    scores = generator.integers(0, 3, (20, 7)).astype(float)
    is_right = generator.random((20, 7)) < 0.3
    is_right[:, 0] |= ~is_right.any(axis=1)
    found = best_ranks(scores, is_right)
    for row, right, rank in zip(scores, is_right, found, strict=True):
        drawn = []
        for _ in range(4000):
            order = sorted(range(7), key=lambda n: (-row[n], generator.random()))
            drawn.append(1 + next(place for place, n in enumerate(order) if right[n]))
        assert rank == pytest.approx(np.mean(drawn), abs=0.12)


class Says:
    """A retriever whose vector of a text is its first token's row, of a segment its first word's."""

    def __init__(self, rows: np.ndarray) -> None:
        self._rows = rows

    def embed_texts(self, texts):
        return np.eye(len(self._rows))[[int(text[0]) for text in texts]]

    def embed_segments(self, words):
        return self._rows.T[[int(found[0]) for found in words]]


class Aligns:
    """An alignment head that is sure where token and word have the same number."""

    def log_odds(self, pairs):
        return np.array([5.0 if text[0] == words[0] else -5.0 for text, words in pairs])


def pair(token: int, word: int, video: str = "a") -> ShownSentence:
    return ShownSentence(
        video_id=video,
        text=f"t{token}",
        text_L=np.array([token]),
        words_T=np.array([word]),
        start_seconds=1.5,
    )


COUNTS = TextCounts.count(
    [(np.array([n]), np.array([n])) for n in range(NUM_WORDS)], num_tokens=NUM_WORDS, num_words=NUM_WORDS
)
PAIRS = [pair(0, 0), pair(1, 1), pair(2, 2, "b"), pair(3, 3, "b")]


def measure(rows, pairs=PAIRS, **changes):
    options = {
        "alignment": Aligns(),
        "counts": COUNTS,
        "rerank_num_candidates": 2,
        "max_num_aligned_pairs": 100,
    }
    return evaluate_retrieval(Says(np.asarray(rows, dtype=float)), pairs, **{**options, **changes})


def test_every_figure_by_hand() -> None:
    # Of sentence 0 its segment comes second, of 1 first, of 2 third, of 3 last.
    rows = [[5, 9, 1, 0], [0, 9, 1, 2], [8, 9, 5, 0], [7, 6, 5, 0]]
    metrics = measure(rows).metrics
    name = "retrieval.text_to_video"
    assert metrics[f"{name}.r1"] == 0.25
    assert metrics[f"{name}.r5"] == 1
    assert metrics[f"{name}.median_rank"] == 2.5
    assert metrics[f"{name}.r1.chance"] == 0.25
    assert metrics[f"{name}.r1.word_counts"] == 1
    assert metrics[f"{name}.r1.alignment"] == 1
    # Two are ordered anew: sentence 0 is mended, 2 and 3 are too far down.
    assert metrics[f"{name}.r1.reranked"] == 0.5
    # By columns: segment 0 is found by sentences 2 3 0 1, segment 1 by 0 1 2 in a draw, 2 by 2 or 3 in a draw.
    turned = "retrieval.video_to_text"
    assert metrics[f"{turned}.median_rank"] == pytest.approx(np.median([3, 2, 1.5, 3]))
    assert metrics[f"{turned}.r1"] == 0
    assert metrics[f"{name}.r1.low"] <= 0.25 <= metrics[f"{name}.r1.high"]


def test_the_same_sentence_of_several_segments_is_right_with_each() -> None:
    pairs = [pair(0, 1), pair(0, 0), pair(2, 2)]
    metrics = measure([[9, 0, 0], [0, 0, 0], [0, 0, 9]], pairs).metrics
    assert metrics["retrieval.text_to_video.r1"] == 1
    assert metrics["retrieval.text_to_video.r1.chance"] == pytest.approx((2 + 2 + 1) / 9)


def test_a_scorer_that_says_the_same_of_all_is_at_chance_and_order_changes_nothing() -> None:
    flat = measure(np.zeros((4, 4)), alignment=None).metrics
    assert flat["retrieval.text_to_video.median_rank"] == 2.5
    assert flat["retrieval.text_to_video.r1"] == 0
    assert "retrieval.text_to_video.r1.reranked" not in flat
    generator = np.random.default_rng(3)
    rows, pairs = generator.normal(size=(6, 6)), [pair(n, n) for n in range(6)]
    turned = [pairs[n] for n in generator.permutation(6)]
    assert measure(rows, pairs).metrics == pytest.approx(measure(rows, turned).metrics)


def test_too_many_pairs_for_the_alignment_head_and_nothing_to_measure_on() -> None:
    metrics = measure(np.eye(4), max_num_aligned_pairs=15).metrics
    assert "retrieval.text_to_video.r1.alignment" not in metrics
    assert "retrieval.text_to_video.r1.reranked" in metrics
    with pytest.raises(InputError, match="no sentence of the chosen split covers a clip"):
        measure(np.eye(4), [])

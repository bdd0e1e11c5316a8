"""Text to video: every figure is what counting by hand gives."""

import numpy as np
import pytest

from videobert_cli.core.metrics.text_to_video import evaluate_text_to_video
from videobert_cli.core.sequences.pairs import ShownSentence
from videobert_cli.core.tasks.text_to_video import TextToVideo
from videobert_cli.core.words.text_counts import TextCounts
from videobert_cli.errors import InputError

NUM_WORDS = 8


class Knows(TextToVideo):
    """Says of a text of one token that token as a word, then 7, 6, ...; without text 5, then 7, 6, ..."""

    def __init__(self) -> None:
        pass

    def log_probabilities(self, texts):
        for text_L in texts:
            yield self._says(int(text_L[0]))[None]

    def without_text(self):
        return self._says(5)

    def _says(self, word: int) -> np.ndarray:
        scores_K = np.arange(NUM_WORDS, dtype=np.float64)
        scores_K[word] = 100
        return scores_K


def sentence(video: str, word: int, *truth: int) -> ShownSentence:
    return ShownSentence(
        video_id=video, text=f"w{word}", text_L=np.array([word]), words_T=np.array(truth, dtype=np.int64)
    )


def counted(*seen: tuple[int, list[int]]) -> TextCounts:
    pairs = [(np.array([token]), np.array(words)) for token, words in seen]
    return TextCounts.count(pairs, num_tokens=10, num_words=NUM_WORDS)


def test_every_figure_by_hand() -> None:
    asked = [sentence("a", 1, 1, 2), sentence("a", 2, 3), sentence("b", 4, 0, 0)]
    result = evaluate_text_to_video(
        Knows(),
        asked,
        train_words=[np.array([3, 3, 0]), np.array([3, 2])],
        counts=counted((1, [2, 2]), (2, [3]), (4, [1])),
        num_words=NUM_WORDS,
    )
    metrics = result.metrics
    assert metrics["text_to_video.num_sentences"] == 3
    assert metrics["text_to_video.top1"] == pytest.approx(1 / 3)
    assert metrics["text_to_video.top1.chance"] == pytest.approx((2 + 1 + 1) / 3 / 8)
    assert metrics["text_to_video.top1.most_frequent"] == pytest.approx(1 / 3)
    assert metrics["text_to_video.top1.no_text"] == 0
    # Beside token 1 came word 2, beside 2 word 3, beside 4 word 1.
    assert metrics["text_to_video.top1.word_counts"] == pytest.approx(2 / 3)
    # Of five: 1 7 6 5 4; 2 7 6 5 4; 4 7 6 5 3. The commonest: 3 0 2 1 4 (ties by number). Without text: 5 7 6 4 3.
    assert metrics["text_to_video.top5"] == pytest.approx(1 / 3)
    assert metrics["text_to_video.top5.most_frequent"] == 1
    assert metrics["text_to_video.top5.no_text"] == pytest.approx(1 / 3)
    assert metrics["text_to_video.top5.chance"] == pytest.approx((1 - 3 / 28 + 5 / 8 + 5 / 8) / 3)
    assert metrics["text_to_video.top1.low"] <= 1 / 3 <= metrics["text_to_video.top1.high"]
    assert result.predictions[1] == {"video": "a", "text": "w2", "truth": [3], "predicted": [2, 7, 6]}


def test_nothing_to_measure_on_is_an_error() -> None:
    with pytest.raises(InputError, match="no sentence of the chosen split covers a clip"):
        evaluate_text_to_video(Knows(), [], train_words=[], counts=counted(), num_words=NUM_WORDS)

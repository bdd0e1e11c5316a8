"""Captions as a task: right captions score best, and each baseline says what its name says."""

import numpy as np
import pytest

from videobert_cli.core.metrics.captioning import evaluate_captions, nearest_texts
from videobert_cli.core.sequences.pairs import ShownSentence
from videobert_cli.core.tasks.caption import Caption
from videobert_cli.errors import InputError


def shown(text: str, *words: int, video: str = "a") -> ShownSentence:
    return ShownSentence(video_id=video, text=text, text_L=np.array([1]), words_T=np.array(words))


TRAIN = [
    shown("cut the big red onion now", 0, 0),
    shown("fry the small white egg now", 1, 2),
    shown("wash it", 3),
    shown("wash it", 3),
]
HELD_OUT = [
    shown("cut the big red onion now", 0, video="x"),
    shown("fry the small white egg now", 2, 1, 1, video="y"),
]


class Says:
    """A captioner that says what it is told, and without a video `nothing at all to see`."""

    def __init__(self, *texts: str) -> None:
        self._texts = texts

    def captions(self, words, *, features=()):
        if words == [None]:
            return [[Caption(text="nothing at all to see", score=-1.0)]]
        return [[Caption(text=text, score=-1.0), Caption(text="another", score=-2.0)] for text in self._texts]


def test_right_captions_score_best_and_the_nearest_neighbour_finds_them_too() -> None:
    result = evaluate_captions(Says(*(each.text for each in HELD_OUT)), HELD_OUT, train=TRAIN, num_words=4)
    metrics = result.metrics
    assert metrics["caption.bleu4"] == pytest.approx(1)
    assert metrics["caption.cider_d"] == pytest.approx(10)
    assert metrics["caption.cider_d.nearest_neighbour"] == pytest.approx(10)
    assert metrics["caption.cider_d.most_frequent"] < 1
    assert metrics["caption.cider_d.language_prior"] < 1
    assert metrics["caption.cider_d.low"] <= 10 <= metrics["caption.cider_d.high"] + 1e-9
    assert metrics["caption.num_captions"] == 2
    assert result.predictions[0]["caption"] == "cut the big red onion now"
    assert result.predictions[0]["others"] == ["another"]
    swapped = evaluate_captions(
        Says(*(each.text for each in HELD_OUT[::-1])), HELD_OUT, train=TRAIN, num_words=4
    )
    assert swapped.metrics["caption.cider_d"] < 5


def test_the_nearest_is_by_the_cosine_of_counts() -> None:
    asked = [shown("?", 1, 2), shown("?", 0, 0, 0, 1), shown("?", 3, 2)]
    said = ["fry the small white egg now", "cut the big red onion now", "wash it"]
    assert nearest_texts(asked, train=TRAIN, num_words=4) == said


def test_nothing_to_measure_on_or_to_compare_with_is_an_error() -> None:
    with pytest.raises(InputError, match="chosen split"):
        evaluate_captions(Says(), [], train=TRAIN, num_words=4)
    with pytest.raises(InputError, match="training split"):
        evaluate_captions(Says("a"), HELD_OUT[:1], train=[], num_words=4)

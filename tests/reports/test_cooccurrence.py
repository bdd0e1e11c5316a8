"""Which text words are said where a visual word is seen."""

import math

import numpy as np
import pytest

from videobert_cli.core.reports.cooccurrence import log_odds, match_texts, text_words
from videobert_cli.core.text.sentences import Sentence
from videobert_cli.core.words.table import WordTable


def corpus(pairs):
    """Return a video in which sentence k is said over clip k: `pairs` are (what is said, the clip's word)."""
    table = WordTable(num_words=10, clip_seconds=1.5, clip_length_seconds=1.5, codebook_hash="x")
    table.add(
        "v",
        words_T=np.array([word for _, word in pairs]),
        clip_start_seconds_T=np.arange(len(pairs)) * 1.5,
    )
    sentences = tuple(
        Sentence(start_seconds=1.5 * number, end_seconds=1.5 * number + 1.5, text=text)
        for number, (text, _) in enumerate(pairs)
    )
    return {"v": sentences}, table


def test_the_score_is_the_formula_of_the_page():
    sentences, table = corpus([
        *[("Cut the onion!", 3)] * 6,
        *[("the soup", 3)] * 2,
        *[("the onion", 5)] * 3,
        *[("the soup", 5)] * 9,
    ])  # fmt: skip
    found = match_texts(sentences, words=table, ids=["v", "v", "nobody"])
    assert (found.num_counted, found.num_sentences) == (20, 20)
    onion = next(match for match in found.by_word[3] if match.text == "onion")
    a, b, c, d = 6.5, 2.5, 3.5, 9.5
    assert onion.count == 6
    assert onion.score == pytest.approx(math.log(a * d / (b * c)) / math.sqrt(1 / a + 1 / b + 1 / c + 1 / d))
    assert [match.text for match in found.by_word[3]] == ["cut", "onion"]
    # "the" is in every sentence: it says nothing of any word.
    assert all(match.text != "the" for matches in found.by_word.values() for match in matches)


def test_what_is_rare_or_said_elsewhere_is_not_shown():
    sentences, table = corpus([
        *[("onion", 3)] * 2,  # twice is not enough
        *[("pan", 4)] * 20,
        *[("nothing to see", 5)] * 20,
    ])  # fmt: skip
    found = match_texts(sentences, words=table, ids=["v"])
    assert 3 not in found.by_word
    assert [match.text for match in found.by_word[4]] == ["pan"]


def test_a_sentence_counts_a_word_once_however_often_it_is_said_or_seen():
    sentences, table = corpus([("stir stir stir", 2)] * 5 + [("wait", 1)] * 5)
    assert [
        (match.text, match.count) for match in match_texts(sentences, words=table, ids=["v"]).by_word[2]
    ] == [("stir", 5)]


def test_other_splits_and_videos_without_words_are_not_counted():
    sentences, table = corpus([("stir", 2)] * 5)
    assert match_texts(sentences, words=table, ids=[]).num_sentences == 0
    assert match_texts({"w": sentences["v"]}, words=table, ids=["w"]).num_sentences == 0


def test_many_sentences_are_counted_in_evenly_spread_videos(monkeypatch):
    monkeypatch.setattr("videobert_cli.core.reports.cooccurrence._MAX_NUM_SENTENCES", 25)
    sentences, table = corpus([("stir", 2)] * 10)
    for name in "abcdefghi":
        table.add(name, words_T=table.words("v"), clip_start_seconds_T=table.clip_start_seconds("v"))
        sentences[name] = sentences["v"]
    found = match_texts(sentences, words=table, ids=list(sentences))
    assert (found.num_counted, found.num_sentences) == (30, 100)


def test_words_of_any_script_and_no_punctuation():
    assert text_words("Ça va? «Schön»-fein, l'œuf 2.5 нож_x") == [
        "ça",
        "va",
        "schön",
        "fein",
        "l'œuf",
        "2",
        "5",
        "нож",
        "x",
    ]
    assert log_odds(np.array([9]), seen=np.array([9]), said=np.array([9]), total=100)[0] > 2

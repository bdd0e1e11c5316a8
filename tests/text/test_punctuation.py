"""Punctuation restored by real forward passes of a model whose right answers are known by how it is built."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from punctuation_samples import WORDS, write_punctuator

from videobert_cli.core.text.cues import Cue, WordTime
from videobert_cli.core.text.punctuation import PunctuationModel, _windows, lacks_punctuation, punctuate
from videobert_cli.errors import InputError


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return write_punctuator(tmp_path_factory.mktemp("models") / "p", others=("then",))


def restored(directory, text):
    words = text.split()
    marks = PunctuationModel(str(directory), device="cpu")(words)
    return " ".join(word + mark for word, mark in zip(words, marks, strict=True))


def test_marks_follow_the_words_that_the_model_knows(directory):
    assert (
        restored(directory, "cut the onion done now then fry it") == "cut the onion done. now then, fry it."
    )


def test_windows_overlap_and_miss_no_word(directory):
    # 38 pieces fit into a window: ten windows, the ends at every place of one.
    words = [word for number in range(60) for word in [*WORDS[: number % 5 + 1], "done"]]
    text = " ".join(words)
    assert restored(directory, text) == text.replace("done", "done.")


@pytest.mark.parametrize(
    ("labels", "text", "expected"),
    [
        (("O", "PERIOD", "COMMA"), "it done then fry it", "it done. then, fry it."),
        (("OO", ".O", ",O", "OU"), "it done then fry it", "it done. then, fry it."),
        (("O", "B-QUESTION", "I-COLON"), "it done then fry it", "it done? then: fry it."),
    ],
)
def test_labels_of_every_common_kind(tmp_path, labels, text, expected):
    assert restored(write_punctuator(tmp_path, labels=labels, others=("then",)), text) == expected


def test_of_a_word_in_pieces_the_last_speaks_or_the_first(tmp_path):
    # `onion` is one piece, `onion` misspelt `cution` is cut ##ion.
    plain = write_punctuator(tmp_path / "a", sentence_ends=("##ion",))
    assert restored(plain, "cution fry it") == "cution. fry it."
    cased = write_punctuator(
        tmp_path / "b", labels=("OO", ".O", ",O"), sentence_ends=("##ion",), others=("cut",)
    )
    assert restored(cased, "cution fry it") == "cution, fry it."


def test_cues_keep_their_words_and_times():
    times = (WordTime(start_seconds=1.0), WordTime(start_seconds=1.5))
    cues = [
        Cue(start_seconds=1, end_seconds=2, text="cut it", word_times=times),
        Cue(start_seconds=2, end_seconds=3, text="fry"),
    ]
    found = punctuate(cues, lambda words: ["", ".", "?"])
    assert [cue.text for cue in found] == ["cut it.", "fry?"]
    assert found[0].word_times == times


@pytest.mark.parametrize(
    ("texts", "lacks"),
    [
        (["cut it now"], True),
        (["cut it."], False),
        (["word " * 30, "the end."], False),
        (["word " * 60, "the end."], True),
        ([], False),
    ],
)
def test_which_captions_lack_punctuation(texts, lacks):
    cues = [Cue(start_seconds=n, end_seconds=n + 1, text=text.strip()) for n, text in enumerate(texts)]
    assert lacks_punctuation(cues) is lacks


@settings(deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=60), st.integers(1, 30))
def test_every_word_is_taken_from_one_window_and_windows_fit(num_pieces, room):
    windows = list(_windows(num_pieces, room=room))
    taken = [n for window in windows for n in range(window.first_taken, window.stop_taken)]
    assert taken == list(range(len(num_pieces)))
    for window in windows:
        assert window.start <= window.first_taken <= window.stop_taken <= window.stop
        assert sum(num_pieces[window.start : window.stop]) <= room or window.stop == window.start + 1


def test_a_model_that_ends_no_sentence_and_a_missing_one_are_three_lines(tmp_path):
    names = write_punctuator(tmp_path / "names", labels=("O", "B-PER", "I-PER"))
    with pytest.raises(InputError, match="none of this model's labels ends a sentence: O, B-PER") as raised:
        PunctuationModel(str(names), device="cpu")
    assert "PERIOD" in raised.value.fix
    with pytest.raises(InputError, match="no such directory") as raised:
        PunctuationModel(str(tmp_path / "gone"), device="cpu")
    assert raised.value.at.startswith("pretrain.text.punctuation: ")

"""Sentences from cues: where they end, when they are spoken, and that no word is lost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videobert_cli.core.text.cues import Cue, WordTime
from videobert_cli.core.text.sentences import sentences_from_cues, split_sentences
from videobert_cli.core.text.word_times import spoken_times


def cue(start, end, text):
    return Cue(start_seconds=start, end_seconds=end, text=text)


def sentences(*cues, pause=0.6, longest=20.0):
    found = sentences_from_cues(
        [cue(*item) for item in cues], pause_seconds=pause, max_sentence_seconds=longest
    )
    return [(sentence.start_seconds, sentence.end_seconds, sentence.text) for sentence in found]


def test_cues_join_until_a_full_stop():
    assert sentences((0, 1, "now cut"), (1.1, 2, "the onion."), (2.1, 3, "Fry it!"), (3, 4, "ready?")) == [
        (0, 2, "now cut the onion."),
        (2.1, 3, "Fry it!"),
        (3, 4, "ready?"),
    ]


def test_a_pause_ends_a_sentence():
    assert sentences((0, 1, "cut it"), (1.5, 2, "small"), (2.7, 3, "fry it")) == [
        (0, 2, "cut it small"),
        (2.7, 3, "fry it"),
    ]


def test_a_cue_of_two_sentences_shares_its_time_by_characters():
    assert sentences((10, 20, "Cut it. Go."), (20, 21, "Then eat it.")) == [
        (10, 17, "Cut it."),
        (17, 20, "Go."),
        (20, 21, "Then eat it."),
    ]


def test_the_end_of_one_cue_and_the_start_of_the_next_make_a_sentence():
    assert sentences((0, 10, "Cut it. now"), (10, 12, "we fry.")) == [
        (0, 7, "Cut it."),
        (7, 12, "now we fry."),
    ]


def test_speech_without_marks_is_cut_at_cue_ends_but_a_cue_is_whole():
    cues = [(i * 4.0, i * 4 + 4.0, f"word{i}") for i in range(6)]
    assert sentences(*cues, longest=10) == [
        (0, 8, "word0 word1"),
        (8, 16, "word2 word3"),
        (16, 24, "word4 word5"),
    ]
    assert sentences((0, 50, "one long cue"), (50, 51, "next"), longest=10) == [
        (0, 50, "one long cue"),
        (50, 51, "next"),
    ]


def test_a_title_near_the_end_of_a_cue_ends_nothing():
    assert sentences((0, 1, "ask Dr. Po"), (1, 2, "to cut.")) == [(0, 2, "ask Dr. Po to cut.")]
    assert sentences((0, 1, 'he said "cut it."'), (1, 2, "so I did")) == [
        (0, 1, 'he said "cut it."'),
        (1, 2, "so I did"),
    ]


def test_overlapping_and_unsorted_cues_keep_their_times_in_order():
    assert sentences((1, 3, "b"), (0, 9, "a"), (9.1, 10, "c")) == [(0, 10, "a b c")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Add 2.5 cups. Stir", ["Add 2.5 cups.", "Stir"]),
        ("Dr. Smith says hi. J. Doe too.", ["Dr. Smith says hi.", "J. Doe too."]),
        ("1. Cut the onion. 2. Fry it.", ["1. Cut the onion.", "2. Fry it."]),
        ('He said "stop!" Then (maybe.) more', ['He said "stop!"', "Then (maybe.)", "more"]),
        ("wait... what?! ok", ["wait...", "what?!", "ok"]),
        ("So do I. Then go", ["So do I.", "Then go"]),
        ("see www.site.com now", ["see www.site.com now"]),
        ("切洋葱。然后炒！好", ["切洋葱。", "然后炒！", "好"]),
        ("...", ["..."]),
        ("", []),
    ],
)
def test_where_text_is_split(text, expected):
    assert split_sentences(text) == expected


@pytest.mark.parametrize(
    "text", ["." * 200_000 + "x", "a" * 200_000, '."' * 100_000 + "x", "a. " * 60_000, "A. " * 10_000]
)
def test_hostile_text_is_split_in_linear_time(text):
    assert "".join(split_sentences(text)).replace(" ", "") == text.replace(" ", "")


times = st.tuples(st.floats(0, 100), st.floats(0, 10), st.text("ab.?! 1(", min_size=1).filter(str.strip))


@settings(deadline=None)
@given(st.lists(times, max_size=12), st.floats(0, 3), st.floats(0.5, 30))
def test_no_word_is_lost_and_times_stay_inside(raw, pause, longest):
    cues = [cue(start, start + length, " ".join(text.split())) for start, length, text in raw]
    found = sentences_from_cues(cues, pause_seconds=pause, max_sentence_seconds=longest)
    spoken = sorted("".join(c.text for c in cues).replace(" ", ""))
    assert sorted("".join(sentence.text for sentence in found).replace(" ", "")) == spoken
    starts = [sentence.start_seconds for sentence in found]
    assert starts == sorted(starts)
    longest_cue = max((c.end_seconds - c.start_seconds for c in cues), default=0)
    for sentence in found:
        assert sentence.start_seconds <= sentence.end_seconds
        assert sentence.end_seconds - sentence.start_seconds <= max(longest, longest_cue) + 1e-9


def timed(start, end, *words):
    times = tuple(WordTime(start_seconds=a, end_seconds=b) for _, a, b in words)
    return Cue(start_seconds=start, end_seconds=end, text=" ".join(w for w, _, _ in words), word_times=times)


def test_a_sentence_that_ends_inside_a_cue_ends_with_its_last_word():
    cues = [
        timed(
            0, 10, ("Cut", 0.5, 1.0), ("it.", 1.1, 1.5), ("now", 7, 7.5), ("we", None, None), ("fry.", 9, 9.5)
        )
    ]
    found = sentences_from_cues(cues, pause_seconds=0.6, max_sentence_seconds=20)
    assert [(s.start_seconds, s.end_seconds, s.text) for s in found] == [
        (0, 1.5, "Cut it."),
        (7, 10, "now we fry."),
    ]


def test_words_without_a_time_lie_between_their_neighbours():
    cue_ = timed(0, 10, ("ab", None, None), ("cd", None, None), ("ef", 6, None), ("gh", 5, 30))
    assert spoken_times(cue_) == [(0, 3), (3, 6), (6, 6), (6, 10)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "bb", "ccc.", "d!"]),
            st.none() | st.floats(-5, 30),
            st.none() | st.floats(-5, 30),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_times_of_words_never_fall_and_stay_in_the_cue(words):
    times = spoken_times(timed(1, 20, *words))
    flat = [edge for time in times for edge in time]
    assert len(times) == len(words)
    assert flat == sorted(flat)
    assert flat[0] >= 1
    assert flat[-1] <= 20

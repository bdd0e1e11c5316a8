"""One sequence: its layout, its types, what is cut and how words are thinned out."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sequence_samples import CLS, FIRST_WORD, GLUE, MASK, NUM_TEXT, NUM_WORDS, SEP, VOCABULARY

from videobert_cli.core.sequences.joint import join, masked_side, subsample, truncate, unmasked, without_loss
from videobert_cli.core.sequences.mask import MaskRule
from videobert_cli.core.sequences.packing import NO_LABEL

TEXT, WORDS = np.array([10, 11, 12]), np.array([50, 51])


def test_text_and_video():
    sequence = join(unmasked(TEXT), unmasked(WORDS), vocabulary=VOCABULARY, alignment=1)
    assert sequence.input_ids.tolist() == [CLS, 10, 11, 12, GLUE, 50, 51, SEP]
    assert sequence.token_type_ids.tolist() == [0, 0, 0, 0, 0, 1, 1, 1]
    assert sequence.alignment == 1


def test_text_alone_is_a_bert_sequence():
    sequence = join(unmasked(TEXT), None, vocabulary=VOCABULARY)
    assert sequence.input_ids.tolist() == [CLS, 10, 11, 12, SEP]
    assert sequence.token_type_ids.tolist() == [0] * 5
    assert sequence.alignment == NO_LABEL


def test_video_alone_has_no_glue():
    sequence = join(None, unmasked(WORDS), vocabulary=VOCABULARY)
    assert sequence.input_ids.tolist() == [CLS, 50, 51, SEP]
    assert sequence.token_type_ids.tolist() == [0, 1, 1, 1]


def test_labels_stay_beside_their_tokens_and_specials_have_none():
    generator = np.random.default_rng(0)
    text = masked_side(TEXT, "text", rule=MaskRule(fraction=0.9), vocabulary=VOCABULARY, generator=generator)
    words = masked_side(
        WORDS, "video", rule=MaskRule(fraction=0.9), vocabulary=VOCABULARY, generator=generator
    )
    sequence = join(text, words, vocabulary=VOCABULARY)
    originals = np.array([CLS, *TEXT, GLUE, *WORDS, SEP])
    labelled = sequence.labels != NO_LABEL
    assert labelled.sum() >= 3
    assert not labelled[[0, 4, 7]].any()
    assert (sequence.labels[labelled] == originals[labelled]).all()


@given(length=st.integers(1, 60), seed=st.integers(0, 10_000), modality=st.sampled_from(["text", "video"]))
def test_a_replacement_is_of_its_own_modality_and_no_special(length, seed, modality):
    start = 5 if modality == "text" else FIRST_WORD
    generator = np.random.default_rng(seed)
    ids = generator.integers(start, start + 30, length)
    result = masked_side(
        ids, modality, rule=MaskRule(fraction=0.9), vocabulary=VOCABULARY, generator=generator
    )
    allowed = range(5, NUM_TEXT) if modality == "text" else range(FIRST_WORD, FIRST_WORD + NUM_WORDS)
    assert all(token == MASK or token in allowed for token in result.input_ids_S)


def test_without_loss_keeps_the_corruption():
    masked = masked_side(
        np.arange(5, 40),
        "text",
        rule=MaskRule(fraction=0.5),
        vocabulary=VOCABULARY,
        generator=np.random.default_rng(0),
    )
    silent = without_loss(masked)
    assert (silent.input_ids_S == masked.input_ids_S).all()
    assert (silent.labels_S == NO_LABEL).all()


@given(num_text=st.integers(0, 100), num_words=st.integers(0, 100), max_num_tokens=st.integers(16, 120))
def test_what_is_cut_fits_and_is_of_the_longer_side(num_text, num_words, max_num_tokens):
    text, words = truncate(np.arange(num_text), np.arange(num_words), max_num_tokens=max_num_tokens)
    room = max_num_tokens - 3
    assert len(text) + len(words) == min(room, num_text + num_words)
    assert (text == np.arange(len(text))).all()
    assert (words == np.arange(len(words))).all()
    if len(text) < num_text and len(words) < num_words:
        assert abs(len(text) - len(words)) <= 1
    elif len(text) < num_text:
        assert len(text) >= len(words) - 1
    elif len(words) < num_words:
        assert len(words) >= len(text) - 1


@given(
    length=st.integers(0, 90),
    max_rate=st.integers(1, 16),
    min_num_words=st.integers(1, 20),
    seed=st.integers(0, 10_000),
)
def test_thinned_words_are_evenly_spaced_and_enough(length, max_rate, min_num_words, seed):
    words = subsample(
        np.arange(length),
        max_rate=max_rate,
        min_num_words=min_num_words,
        generator=np.random.default_rng(seed),
    )
    assert len(words) >= min(length, min_num_words)
    steps = set(np.diff(words).tolist())
    assert len(steps) <= 1
    assert all(1 <= step <= max_rate for step in steps)


def test_rates_1_to_5_come_equally_often_and_starts_within_them():
    generator = np.random.default_rng(0)
    rates, starts = Counter(), Counter()
    for _ in range(5000):
        words = subsample(np.arange(100), max_rate=5, min_num_words=1, generator=generator)
        rate = int(words[1] - words[0])
        rates[rate] += 1
        if rate == 3:
            starts[int(words[0])] += 1
    assert sorted(rates) == [1, 2, 3, 4, 5]
    assert all(abs(num - 1000) < 4 * np.sqrt(800) for num in rates.values())
    assert sorted(starts) == [0, 1, 2]
    expected = sum(starts.values()) / 3
    assert sum((num - expected) ** 2 / expected for num in starts.values()) < 13.8  # 2 degrees, p = 0.001


@pytest.mark.parametrize("length", [1, 2, 4])
def test_a_short_segment_is_never_emptied(length):
    for seed in range(300):
        words = subsample(
            np.arange(length), max_rate=5, min_num_words=1, generator=np.random.default_rng(seed)
        )
        assert len(words)

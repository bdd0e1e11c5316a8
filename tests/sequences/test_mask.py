"""Masking: 15 % exactly on average, 80/10/10, replacements of the same modality, never a special token."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videobert_cli.core.sequences.mask import NO_LOSS, mask_tokens

MASK = 4


def masked(ids, *, fraction=0.15, replacements=None, seed=0):
    return mask_tokens(
        np.asarray(ids, dtype=np.int64),
        fraction=fraction,
        mask_id=MASK,
        replacements=np.arange(100, 200) if replacements is None else replacements,
        generator=np.random.default_rng(seed),
    )


@given(
    ids=st.lists(st.integers(100, 199), max_size=40),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 1 << 32),
)
def test_labels_are_the_originals_and_everything_else_stays(ids, fraction, seed):
    result = masked(ids, fraction=fraction, seed=seed)
    ids = np.array(ids, dtype=np.int64)
    chosen = result.labels_S != NO_LOSS
    assert (result.labels_S[chosen] == ids[chosen]).all()
    assert (result.input_ids_S[~chosen] == ids[~chosen]).all()
    assert all(token == MASK or 100 <= token < 200 for token in result.input_ids_S)
    assert int(fraction * len(ids)) <= chosen.sum() <= int(fraction * len(ids)) + 1


@given(ids=st.lists(st.integers(100, 199), min_size=1, max_size=20), seed=st.integers(0, 1000))
def test_the_input_is_not_changed(ids, seed):
    before = np.array(ids)
    given_ids = before.copy()
    masked(given_ids, fraction=0.9, seed=seed)
    assert (given_ids == before).all()


def test_an_empty_side_has_nothing_to_mask():
    assert masked([]).input_ids_S.shape == masked([]).labels_S.shape == (0,)


@pytest.mark.parametrize("length", [1, 2, 3, 5, 7])
def test_the_rate_is_exact_on_average_however_short_the_sequence_is(length):
    num_trials = 3000
    num_chosen = sum(
        (masked(range(100, 100 + length), seed=seed).labels_S != NO_LOSS).sum() for seed in range(num_trials)
    )
    expected = 0.15 * length * num_trials
    # The number chosen is rounded at random: its variance is that of one draw with the remainder's probability.
    remainder = (0.15 * length) % 1
    deviation = np.sqrt(num_trials * remainder * (1 - remainder))
    assert abs(num_chosen - expected) < 4 * deviation


def test_every_position_is_chosen_equally_often():
    counts = sum((masked(range(100, 110), seed=seed).labels_S != NO_LOSS).astype(int) for seed in range(4000))
    expected = counts.sum() / 10
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert chi_square < 27.9  # 9 degrees of freedom, p = 0.001


def test_of_the_chosen_80_percent_are_masks_10_random_10_kept():
    ids = np.arange(1000, 61_000)  # outside of the replacements, so that a random token is never the original
    result = masked(ids, fraction=0.5)
    chosen = result.labels_S != NO_LOSS
    inputs, originals = result.input_ids_S[chosen], ids[chosen]
    num = len(inputs)
    for share, found in (
        (0.8, inputs == MASK),
        (0.1, inputs == originals),
        (0.1, (inputs >= 100) & (inputs < 200)),
    ):
        assert abs(found.mean() - share) < 4 * np.sqrt(share * (1 - share) / num)
    replaced = inputs[(inputs >= 100) & (inputs < 200)]
    counts = np.bincount(replaced - 100, minlength=100)
    assert (
        (counts - len(replaced) / 100) ** 2 / (len(replaced) / 100)
    ).sum() < 148.2  # 99 degrees, p = 0.001


def test_the_same_generator_gives_the_same_masks():
    one, other = masked(range(100, 180), seed=5), masked(range(100, 180), seed=5)
    assert (one.input_ids_S == other.input_ids_S).all()
    assert (one.input_ids_S != masked(range(100, 180), seed=6).input_ids_S).any()

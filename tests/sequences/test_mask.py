"""Masking: the stated rate exactly on average in any unit, 80/10/10, replacements of the same modality."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videobert_cli.core.sequences.mask import NO_LOSS, MaskRule, _span_order, mask_all, mask_tokens

MASK = 4


def masked(ids, *, fraction=0.15, replacements=None, seed=0, is_start=None, **rule):
    return mask_tokens(
        np.asarray(ids, dtype=np.int64),
        rule=MaskRule(fraction=fraction, **rule),
        is_start_S=is_start,
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


# --- other units, other shares ---

WORDS = st.lists(st.integers(1, 5), min_size=1, max_size=20)  # pieces of each word


def starts(pieces):
    is_start = np.zeros(sum(pieces), dtype=bool)
    is_start[np.cumsum([0, *pieces[:-1]])] = True
    return is_start


def runs(chosen):
    """Lengths of the runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(int), [0]])))
    return (edges[1::2] - edges[::2]).tolist()


@given(
    pieces=WORDS,
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 1 << 32),
    unit=st.sampled_from(["token", "whole_word", "span"]),
    most=st.integers(1, 12),
)
def test_every_unit_leaves_what_is_not_chosen_and_asks_for_the_originals(pieces, fraction, seed, unit, most):
    ids = np.arange(100, 100 + sum(pieces))
    result = masked(
        ids, fraction=fraction, seed=seed, is_start=starts(pieces), unit=unit, span_max_words=most
    )
    chosen = result.labels_S != NO_LOSS
    assert (result.labels_S[chosen] == ids[chosen]).all()
    assert (result.input_ids_S[~chosen] == ids[~chosen]).all()
    assert all(token == MASK or 100 <= token < 200 for token in result.input_ids_S)
    # Never more than one word beyond the rate, never more than one below it.
    assert abs(chosen.sum() - fraction * len(ids)) <= max(pieces)


@given(pieces=WORDS, seed=st.integers(0, 1 << 32), unit=st.sampled_from(["whole_word", "span"]))
def test_a_word_is_chosen_with_all_its_pieces(pieces, seed, unit):
    result = masked(
        range(100, 100 + sum(pieces)), fraction=0.5, seed=seed, is_start=starts(pieces), unit=unit
    )
    chosen = np.split(result.labels_S != NO_LOSS, np.cumsum(pieces)[:-1])
    assert all(word.all() or not word.any() for word in chosen)


@pytest.mark.parametrize("unit", ["token", "whole_word", "span"])
@pytest.mark.parametrize("pieces", [[1], [3], [1, 4, 2], [2] * 9, [5, 1, 1, 1, 1, 1, 7]], ids=str)
def test_the_rate_is_exact_on_average_in_every_unit(unit, pieces):
    counts = [
        (
            masked(range(100, 100 + sum(pieces)), seed=seed, is_start=starts(pieces), unit=unit).labels_S
            != NO_LOSS
        ).sum()
        for seed in range(1500)
    ]
    error = max(np.std(counts), 0.02) / np.sqrt(len(counts))
    assert abs(np.mean(counts) - 0.15 * sum(pieces)) < 4 * error


def test_spans_are_as_long_as_spanberts():
    """A first span alone, far from either end: its mean length is that of the cut geometric law, 3.8 words."""
    lengths = []
    for seed in range(1500):
        order, spans = _span_order(
            np.ones(500, dtype=int),
            rule=MaskRule(fraction=0.02, unit="span"),
            generator=np.random.default_rng(seed),
        )
        first = order[spans == 0]
        assert (np.diff(first) == 1).all()
        if first[0] < 490:
            lengths.append(len(first))
    assert max(lengths) == 10
    assert abs(np.mean(lengths) - 3.8) < 4 * np.std(lengths) / np.sqrt(len(lengths))


def test_spans_hide_neighbours_and_share_one_fate():
    ids = np.arange(1000, 61_000)
    result = masked(ids[:3000], fraction=0.3, unit="span", span_probability=0.2)
    chosen = result.labels_S != NO_LOSS
    single = masked(ids[:3000], fraction=0.3).labels_S != NO_LOSS
    assert np.mean(runs(chosen)) > 2 * np.mean(runs(single))
    masks = result.input_ids_S == MASK
    # Nine of ten neighbours in a span have the same fate: only borders of spans that meet differ.
    both = chosen[1:] & chosen[:-1]
    assert (masks[1:] == masks[:-1])[both].mean() > 0.85


def test_shares_are_as_stated():
    ids = np.arange(1000, 41_000)
    for mask_share, random_share in ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (0.5, 0.3)):
        result = masked(ids, fraction=0.5, mask_share=mask_share, random_share=random_share)
        chosen = result.labels_S != NO_LOSS
        found = (result.input_ids_S[chosen] == MASK).mean(), (result.input_ids_S[chosen] < 200).mean()
        assert found[0] == pytest.approx(mask_share, abs=0.02)
        assert found[1] - found[0] == pytest.approx(random_share, abs=0.02)


def test_a_hidden_side_shows_nothing_and_asks_for_everything():
    result = mask_all(np.array([100, 101, 102]), mask_id=MASK)
    assert result.input_ids_S.tolist() == [MASK] * 3
    assert result.labels_S.tolist() == [100, 101, 102]

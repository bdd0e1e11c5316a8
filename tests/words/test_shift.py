"""How far new data's words are from old ones: numbers by hand and by SciPy, and what the verdict says of known cases."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from videobert_cli.core.words.codebook import fit_codebook
from videobert_cli.core.words.options import QuantizeOptions
from videobert_cli.core.words.shift import js_divergence, word_shift
from videobert_cli.core.words.table import WordTable
from videobert_cli.core.words.usage import (
    USAGE_NAME,
    WordFit,
    WordUsage,
    counts_of,
    fit_of,
    read_usage,
    save_usage,
)
from videobert_cli.errors import ArtifactError

NUM_CLIPS = 40


@dataclass(frozen=True)
class Stored:
    features_TD: np.ndarray  # noqa: N815


class Store:
    def __init__(self, videos):
        self.videos = videos

    def read(self, item_id, /):
        return Stored(self.videos[item_id])


def videos(num, *, seed, centres, prefix):
    """Videos of clips around a few of the centres each, as steps of a recipe are."""
    generator = np.random.default_rng(seed)
    found = {}
    for number in range(num):
        steps = generator.choice(len(centres), 4)
        rows = np.repeat(centres[steps], NUM_CLIPS // 4, axis=0) + generator.normal(size=(NUM_CLIPS, 8)) * 0.3
        found[f"{prefix}{number}"] = rows.astype(np.float32)
    return found


CENTRES = np.random.default_rng(0).normal(size=(12, 8)) * 2
OLD = videos(20, seed=1, centres=CENTRES, prefix="old")
HELD_OUT = videos(8, seed=2, centres=CENTRES, prefix="held")
SAME = videos(10, seed=3, centres=CENTRES, prefix="same")
FEW = videos(10, seed=4, centres=CENTRES[:3], prefix="few")
OTHER = videos(10, seed=5, centres=np.random.default_rng(9).normal(size=(12, 8)) * 0.5 + 6, prefix="other")


@pytest.fixture(scope="module")
def codebook():
    return fit_codebook(
        np.concatenate(list(OLD.values())),
        options=QuantizeOptions(branching=4, num_levels=2),
        parts=(8,),
        fingerprint={},
        seed=0,
        device=torch.device("cpu"),
    )


@pytest.fixture(scope="module")
def words(codebook):
    table = WordTable(num_words=16, clip_seconds=1.5, clip_length_seconds=1.5, codebook_hash="")
    for found in (OLD, HELD_OUT, SAME, FEW, OTHER):
        for name, features_TD in found.items():
            table.add(
                name, words_T=codebook.assign(features_TD), clip_start_seconds_T=np.arange(NUM_CLIPS) * 1.5
            )
    return table


@pytest.fixture(scope="module")
def usage(codebook, words):
    return WordUsage(
        counts_K=counts_of(words, list(OLD)),
        held_out_counts_K=counts_of(words, list(HELD_OUT)),
        fit=fit_of(codebook, Store(HELD_OUT), words=words, ids=list(HELD_OUT)),
    )


def shift_to(new, usage, codebook, words):
    fit = fit_of(codebook, Store(new), words=words, ids=list(new))
    return word_shift(usage, counts_of(words, list(new)), new_fit=fit)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=2, max_size=30))
def test_the_divergence_is_scipys_squared_distance(pairs):
    counts, others = np.array(pairs).T
    if counts.any() and others.any():
        expected = jensenshannon(counts, others, base=2) ** 2
        assert js_divergence(counts, others) == pytest.approx(expected, abs=1e-9)


def test_the_fit_is_what_the_definitions_say(codebook, words):
    fit = fit_of(codebook, Store(SAME), words=words, ids=list(SAME))
    rows = np.concatenate([SAME[name] for name in sorted(SAME)]).astype(np.float64)
    centroids = np.concatenate([codebook.centroids_KD[words.words(name)] for name in sorted(SAME)])
    assert fit.num_clips == 10 * NUM_CLIPS
    assert fit.mean_square == pytest.approx(np.square(rows - centroids).sum(1).mean(), rel=1e-5)
    assert fit.variance == pytest.approx(np.square(rows - rows.mean(0)).sum(1).mean(), rel=1e-5)
    assert fit.explained == pytest.approx(1 - fit.mean_square / fit.variance)
    assert fit_of(codebook, Store(SAME), words=words, ids=["nobody"]) is None


def test_many_clips_are_looked_at_in_part(codebook, words, monkeypatch):
    monkeypatch.setattr("videobert_cli.core.words.usage.MAX_NUM_CLIPS", 4 * NUM_CLIPS)
    fit = fit_of(codebook, Store(OLD), words=words, ids=list(OLD))
    assert fit.num_clips == 4 * NUM_CLIPS


def test_the_same_kind_of_data_fits(usage, codebook, words):
    shift = shift_to(SAME, usage, codebook, words)
    assert shift.verdict == "codebook fits"
    assert shift.explained_ratio == pytest.approx(1, abs=0.1)
    assert shift.distance_ratio == pytest.approx(1, abs=0.2)
    assert shift.unused_share == 0
    assert shift.js_divergence < 2 * shift.js_divergence_held_out
    assert "the codebook fits the new data" in shift.sentence


def test_a_part_of_the_old_data_is_another_usage_and_the_same_codebook(usage, codebook, words):
    shift = shift_to(FEW, usage, codebook, words)
    assert shift.js_divergence > 5 * shift.js_divergence_by_chance
    assert shift.perplexity_new < 0.6 * shift.perplexity_old
    assert shift.verdict == "codebook fits"


def test_data_that_the_words_do_not_tell_apart_want_a_new_codebook(usage, codebook, words):
    shift = shift_to(OTHER, usage, codebook, words)
    assert shift.verdict == "new codebook due"
    assert shift.distance_ratio > 3
    assert shift.sentence.startswith("a new codebook is due: ")


def test_without_features_nobody_can_tell(usage, words):
    shift = word_shift(usage, counts_of(words, list(SAME)), new_fit=None)
    assert (shift.verdict, shift.explained_ratio, shift.distance_ratio) == ("unknown", None, None)
    assert "features of one side were not kept" in shift.sentence


def test_where_the_words_do_not_fit_the_old_data_nobody_can_tell():
    # One held-out video of a small corpus can be farther from its words than from its own mean.
    old_fit = WordFit(num_clips=6, mean_square=2.0, variance=1.5)
    counts_K = np.array([3, 3])
    old = WordUsage(counts_K=counts_K, held_out_counts_K=counts_K, fit=old_fit)
    shift = word_shift(old, counts_K, new_fit=WordFit(num_clips=6, mean_square=1.0, variance=1.5))
    assert (shift.verdict, shift.explained_ratio) == ("unknown", None)
    assert "do not tell even the old run's 6 held-out clips apart" in shift.sentence


def test_words_that_were_never_used_are_counted():
    old = WordUsage(counts_K=np.array([5, 5, 0, 0]), held_out_counts_K=np.zeros(4, dtype=np.int64), fit=None)
    shift = word_shift(old, np.array([1, 0, 2, 1]), new_fit=None)
    assert shift.unused_share == 0.75
    assert shift.js_divergence_held_out is None


def test_few_clips_differ_from_anything_by_chance():
    old = WordUsage(counts_K=np.full(100, 50), held_out_counts_K=np.zeros(100, dtype=np.int64), fit=None)
    generator = np.random.default_rng(3)
    for num in (30, 30_000):
        drawn = np.bincount(generator.integers(0, 100, num), minlength=100)
        shift = word_shift(old, drawn, new_fit=None)
        assert shift.js_divergence == pytest.approx(shift.js_divergence_by_chance, rel=0.25)


def test_the_usage_comes_back_from_disk(usage, tmp_path):
    assert read_usage(tmp_path) is None
    save_usage(usage, tmp_path)
    again = read_usage(tmp_path)
    assert np.array_equal(again.counts_K, usage.counts_K)
    assert np.array_equal(again.held_out_counts_K, usage.held_out_counts_K)
    assert again.fit == usage.fit


@pytest.mark.parametrize("damage", ["{", "[]", '{"num_words": 4}', None])
def test_a_damaged_usage_is_refused(usage, tmp_path, damage):
    save_usage(usage, tmp_path)
    path = tmp_path / USAGE_NAME
    values = json.loads(path.read_text())
    path.write_text(damage or json.dumps({**values, "words": [99, *values["words"][1:]]}))
    with pytest.raises(ArtifactError, match="the usage of the words cannot be read"):
        read_usage(tmp_path)

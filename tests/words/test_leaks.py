"""Copies found by their words: changed, shifted and cut ones are, videos that merely look alike are not."""

import numpy as np
import pytest

from videobert_cli.core.words import leaks
from videobert_cli.core.words.leaks import word_leaks
from videobert_cli.core.words.table import WordTable

pytestmark = pytest.mark.slow

NUM_WORDS = 144


def table_of(videos):
    table = WordTable(num_words=NUM_WORDS, clip_seconds=1.5, clip_length_seconds=1.5, codebook_hash="x")
    for key, words in videos.items():
        table.add(key, words_T=np.asarray(words), clip_start_seconds_T=np.arange(len(words)) * 1.5)
    return table


def corpus(num_videos, *, seed, num_clips=20, stay=0.6):
    """Videos whose words stay or go on to one of three others: a chain, as steps of a recipe are."""
    random = np.random.default_rng(seed)
    following = random.integers(0, NUM_WORDS, (NUM_WORDS, 3))
    videos = {}
    for number in range(num_videos):
        words = [int(random.integers(NUM_WORDS))]
        while len(words) < num_clips:
            stays = random.random() < stay
            words.append(words[-1] if stays else int(following[words[-1], random.integers(3)]))
        videos[f"v{number:04}"] = words
    return videos


def split_of(key):
    return "test" if int(key[1:5]) % 4 == 0 else "train"


def found_in(videos, **more):
    splits = {key: split_of(key) for key in videos if key not in more} | more
    return word_leaks(table_of(videos), splits=splits)


@pytest.mark.parametrize("seed", range(3))
def test_videos_of_one_kind_are_no_leaks(seed):
    assert found_in(corpus(400, seed=seed)) == []


@pytest.mark.parametrize(("changed", "shift"), [(0.0, 0), (0.25, 0), (0.25, 3), (0.25, -3)])
def test_a_copy_is_found_with_other_words_and_another_beginning(changed, shift):
    videos = corpus(200, seed=1, num_clips=40, stay=0.3)
    random = np.random.default_rng(9)
    copied = np.array(videos["v0001"])
    copied = copied[shift:] if shift >= 0 else np.concatenate([random.integers(0, NUM_WORDS, -shift), copied])
    others = random.random(len(copied)) < changed
    copied[others] = random.integers(0, NUM_WORDS, others.sum())
    [pair] = found_in(videos | {"w": copied}, w="validation")
    assert pair.ids == ("v0001", "w")
    assert pair.num_clips == 40 - max(shift, 0)
    assert pair.similarity > 0.3


def test_a_picture_that_stands_still_says_nothing():
    videos = corpus(100, seed=2) | {f"s{n:04}": [7] * 30 for n in range(8)}
    assert found_in(videos) == []


def test_splits_alone_decide_what_leaks():
    videos = corpus(100, seed=3, num_clips=40, stay=0.3)
    videos["w"] = videos["v0001"]
    assert found_in(videos, w="train") == []
    assert [pair.ids for pair in found_in(videos, w="test")] == [("v0001", "w")]
    assert word_leaks(table_of(videos), splits=dict.fromkeys(videos, "train")) == []
    assert word_leaks(table_of({}), splits={}) == []
    assert word_leaks(table_of(videos), splits={"v0001": "train"}) == []


def test_blocks_change_nothing(monkeypatch):
    videos = corpus(120, seed=4, num_clips=40, stay=0.3)
    videos |= {f"w{n:04}": videos[f"v{n:04}"] for n in (1, 5, 9)}
    whole = found_in(videos, w0001="test", w0005="test", w0009="validation")
    monkeypatch.setattr(leaks, "_BLOCK_CLIPS", 64)
    assert found_in(videos, w0001="test", w0005="test", w0009="validation") == whole
    assert [pair.ids for pair in whole] == [(f"v{n:04}", f"w{n:04}") for n in (1, 5, 9)]

"""Word pairs: ranks equal those of a table of all counts, and no pair spans two videos."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from videobert_cli.core.words.word_pairs import WordPairs

NUM_WORDS = 6
VIDEOS = st.lists(st.lists(st.integers(0, NUM_WORDS - 1), max_size=12).map(np.array), max_size=4)


def orders_by_table(videos, *, horizon):
    """Words by how often they follow each word, then by frequency, then by number, in plain loops."""
    follows = np.zeros((NUM_WORDS, NUM_WORDS), dtype=int)
    counts = np.zeros(NUM_WORDS, dtype=int)
    for words in videos:
        for place, word in enumerate(words):
            counts[word] += 1
            if place + horizon < len(words):
                follows[word, words[place + horizon]] += 1
    numbers = range(NUM_WORDS)
    common = sorted(numbers, key=lambda word: (-counts[word], word))
    return common, [
        sorted(numbers, key=lambda word, row=row: (-row[word], -counts[word], word)) for row in follows
    ]


@given(videos=VIDEOS, horizon=st.integers(1, 4))
def test_ranks_are_those_of_a_table_of_all_counts(videos, horizon):
    videos = [words.astype(np.int32) for words in videos]
    pairs = WordPairs.count(videos, horizon=horizon, num_words=NUM_WORDS)
    common, following = orders_by_table(videos, horizon=horizon)
    last_N, target_N = (grid.ravel() for grid in np.meshgrid(np.arange(NUM_WORDS), np.arange(NUM_WORDS)))
    asked = list(zip(last_N, target_N, strict=True))
    assert pairs.frequency_ranks(target_N).tolist() == [common.index(target) + 1 for _, target in asked]
    assert pairs.ranks(last_N, target_N).tolist() == [
        following[last].index(target) + 1 for last, target in asked
    ]
    copied = [[last, *(word for word in common if word != last)].index(target) + 1 for last, target in asked]
    assert pairs.copy_ranks(last_N, target_N).tolist() == copied

"""Words counted beside tokens: the same numbers as counting one by one, and of use on made data."""

import numpy as np
import pytest

from videobert_cli.core.words.text_counts import TextCounts

NUM_TOKENS, NUM_WORDS, PRIOR = 6, 5, 8.0
SENTENCES = [
    (np.array([1, 2, 2]), np.array([0, 0, 3])),
    (np.array([2, 4]), np.array([3])),
    (np.array([5]), np.array([], dtype=np.int64)),
]


def test_scores_are_those_of_counting_one_by_one() -> None:
    counts = TextCounts.count(SENTENCES, num_tokens=NUM_TOKENS, num_words=NUM_WORDS)
    words = [*range(NUM_WORDS), 0, 0, 3, 3]
    share = [words.count(word) / len(words) for word in range(NUM_WORDS)]
    seen = {(1, 0): 2, (1, 3): 1, (2, 0): 2, (2, 3): 2, (4, 3): 1}
    asked = [np.array([1, 2]), np.array([0]), np.array([4, 4, 5])]
    for text, row in zip(asked, counts.scores(asked), strict=True):
        expected = [
            np.log(share[word])
            + sum(
                np.log(1 + seen.get((token, word), 0) / (PRIOR * share[word])) for token in set(text.tolist())
            )
            for word in range(NUM_WORDS)
        ]
        np.testing.assert_allclose(row, expected)


def test_what_a_token_adds_is_the_ratio_of_smoothed_shares_up_to_a_number() -> None:
    counts = TextCounts.count(SENTENCES, num_tokens=NUM_TOKENS, num_words=NUM_WORDS)
    share = np.exp(counts.log_shares_K)
    assert share.sum() == pytest.approx(1)
    seen = np.array([2, 0, 0, 2, 0])
    smoothed = (seen + PRIOR * share) / (seen.sum() + PRIOR)
    differences = counts.ratios(np.array([2])) - np.log(smoothed / share)
    np.testing.assert_allclose(differences, differences[0])


def test_it_finds_what_goes_together() -> None:
    rng = np.random.default_rng(0)
    pairs = []
    for _ in range(400):
        word = int(rng.integers(NUM_WORDS))
        noise = rng.integers(NUM_TOKENS, 12, size=3)
        pairs.append((np.array([word, *noise]), np.array([word, int(rng.integers(NUM_WORDS))])))
    counts = TextCounts.count(pairs, num_tokens=12, num_words=NUM_WORDS)
    asked = [np.array([word, 7, 8]) for word in range(NUM_WORDS)]
    assert counts.scores(asked).argmax(axis=1).tolist() == list(range(NUM_WORDS))

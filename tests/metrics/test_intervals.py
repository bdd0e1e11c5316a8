"""The bootstrap over videos: against the textbook's interval, and what it must not do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videobert_cli.core.metrics.compare import compare_predictions
from videobert_cli.core.metrics.intervals import mean_interval, paired_difference
from videobert_cli.errors import InputError


def test_with_a_segment_a_video_it_is_the_binomial_interval():
    rng = np.random.default_rng(0)
    values_N = rng.random(2_000) < 0.3
    found = mean_interval(values_N, [f"v{n}" for n in range(2_000)])
    deviation = np.sqrt(values_N.mean() * (1 - values_N.mean()) / 2_000)
    assert found.low == pytest.approx(values_N.mean() - 1.96 * deviation, abs=0.1 * deviation)
    assert found.high == pytest.approx(values_N.mean() + 1.96 * deviation, abs=0.1 * deviation)


def test_segments_alike_within_a_video_make_it_as_wide_as_videos_are_few():
    per_video = np.random.default_rng(0).random(100) < 0.5
    alike = mean_interval(np.repeat(per_video, 20), np.repeat([f"v{n}" for n in range(100)], 20))
    alone = mean_interval(per_video, [f"v{n}" for n in range(100)])
    assert alike == alone


@settings(max_examples=20, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=30), st.randoms())
def test_the_order_of_segments_does_not_matter(values, random):
    videos = [f"v{n // 3}" for n in range(len(values))]
    order = list(range(len(values)))
    random.shuffle(order)
    shuffled = mean_interval(np.array(values)[order], [videos[n] for n in order])
    found = mean_interval(np.array(values), videos)
    assert shuffled.low == pytest.approx(found.low)
    assert shuffled.high == pytest.approx(found.high)
    assert found.low - 1e-12 <= np.mean(values) <= found.high + 1e-12


def test_a_difference_that_is_there_is_told_from_chance_and_one_that_is_not_is_not():
    rng = np.random.default_rng(0)
    videos = [f"v{n // 4}" for n in range(400)]
    right_N = rng.random(400) < 0.6
    better = paired_difference(right_N | (rng.random(400) < 0.3), right_N, videos=videos)
    assert better.low > 0
    assert better.p_value < 0.01
    same = paired_difference(rng.permutation(right_N), right_N, videos=videos)
    assert same.low < 0 < same.high
    assert same.p_value > 0.05
    none = paired_difference(right_N, right_N, videos=videos)
    assert (none.mean, none.low, none.high, none.p_value) == (0, 0, 0, 1)


def test_chance_is_called_a_difference_in_one_case_of_twenty():
    rng = np.random.default_rng(1)
    videos = [f"v{n}" for n in range(60)]
    p_values = [
        paired_difference(rng.random(60) < 0.5, rng.random(60) < 0.5, videos=videos).p_value
        for _ in range(100)
    ]
    assert 0.01 < np.mean(np.array(p_values) < 0.05) < 0.11


def answer(video, *, truth="a", rank=1, start=0.0):
    return {"video": video, "start_seconds": start, "end_seconds": 1.0, "truth": truth, "rank": rank}


def test_predictions_are_paired_by_segment_whatever_their_order():
    mine = [answer("x", rank=1), answer("y", rank=3), answer("z", rank=9)]
    theirs = [answer("z", rank=1), answer("x", rank=2), answer("y", rank=4)]
    found = compare_predictions(mine, theirs, task="classify")
    assert found["classify.accuracy"].mean == 0
    assert found["classify.top5"].mean == pytest.approx(-1 / 3)


@pytest.mark.parametrize(
    ("theirs", "told"),
    [
        ([answer("x")], "different segments"),
        ([answer("x"), answer("y", start=0.5)], "different segments"),
        ([answer("x"), answer("y", truth="b")], "another label"),
        ([answer("x"), {k: v for k, v in answer("y").items() if k != "rank"}], "earlier version"),
    ],
)
def test_what_cannot_be_paired_is_an_error(theirs, told):
    with pytest.raises(InputError) as caught:
        compare_predictions([answer("x"), answer("y")], theirs, task="classify")
    assert told in caught.value.what

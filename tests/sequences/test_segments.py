"""Which clips a sentence covers: never none, and by their middle never shared."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videobert_cli.core.sequences.segments import ClipSpan, clips_between, segments_of
from videobert_cli.core.text.sentences import Sentence

SECONDS = st.floats(0, 60, allow_nan=False)


def clips(start, end, *, num_clips=10, clip_seconds=1.5):
    starts_T = np.arange(num_clips) * clip_seconds
    return clips_between(start, end, clip_start_seconds_T=starts_T, clip_seconds=clip_seconds)


@pytest.mark.parametrize(
    ("start", "end", "first", "stop"),
    [
        (0, 3, 0, 2),
        (0.75, 2.25, 0, 1),
        (0.76, 2.26, 1, 2),
        (3, None, 2, 10),
        (0, 100, 0, 10),
        (1.0, 1.2, 0, 1),
        (50, 60, 9, 10),
        (50, None, 9, 10),
        (3, 3, 1, 2),
        (4, 2, 1, 2),
    ],
)
def test_a_clip_belongs_where_its_middle_lies_and_the_nearest_to_a_short_sentence(start, end, first, stop):
    assert clips(start, end) == ClipSpan(first=first, stop=stop)


@given(start=SECONDS, end=SECONDS | st.none(), num_clips=st.integers(1, 40), overlap=st.booleans())
def test_a_span_is_never_empty_and_within_the_video(start, end, num_clips, overlap):
    starts_T = np.arange(num_clips) * (0.5 if overlap else 1.5)
    span = clips_between(start, end, clip_start_seconds_T=starts_T, clip_seconds=1.5)
    assert 0 <= span.first < span.stop <= num_clips
    assert span.num_clips == span.stop - span.first
    middles_T = starts_T + 0.75
    inside = (middles_T >= start) & (middles_T < (np.inf if end is None else end))
    if inside.any():
        assert np.flatnonzero(inside).tolist() == list(range(span.first, span.stop))
    else:
        assert span.num_clips == 1


@given(borders=st.lists(SECONDS, min_size=2, max_size=12), num_clips=st.integers(1, 40))
def test_sentences_that_follow_each_other_share_no_clip_unless_one_is_too_short_for_any(borders, num_clips):
    """Every clip goes to exactly one of the sentences that cover the video without gaps."""
    borders = sorted({0.0, *borders, num_clips * 1.5})
    middles_T = np.arange(num_clips) * 1.5 + 0.75
    owners = np.zeros(num_clips, dtype=int)
    for start, end in itertools.pairwise(borders):
        if ((middles_T >= start) & (middles_T < end)).any():
            span = clips(start, end, num_clips=num_clips)
            owners[span.first : span.stop] += 1
    assert (owners == 1).all()


def test_segments_are_sorted_and_what_begins_after_the_video_is_dropped():
    sentences = [
        Sentence(start_seconds=start, end_seconds=start + 2, text=text)
        for start, text in ((14.9, "late"), (0.0, "first"), (15.0, "after the end"), (6.0, "second"))
    ]
    segments = segments_of(sentences, clip_start_seconds_T=np.arange(10) * 1.5, clip_seconds=1.5)
    assert [segment.sentence.text for segment in segments] == ["first", "second", "late"]
    assert segments[-1].clips == ClipSpan(first=9, stop=10)


def test_a_video_without_clips_has_no_segments():
    sentence = Sentence(start_seconds=0, end_seconds=1, text="x")
    assert segments_of([sentence], clip_start_seconds_T=np.zeros(0), clip_seconds=1.5) == ()

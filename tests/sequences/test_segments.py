"""Which clips a sentence covers: never none, and by their middle never shared."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videobert_cli.core.sequences.segments import (
    ClipSpan,
    clips_between,
    grown_interval,
    overlapping_clips,
    rounded_clips,
    segments_of,
)
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


# --- the other rules ---

COVERAGES = ["midpoint", "overlap", "rounded", "grown"]


@st.composite
def narrations(draw, *, may_overlap=True):
    """Sentences with gaps, in any order; overlapping too unless told otherwise."""
    sentences, free_from = [], 0.0
    for number in range(draw(st.integers(1, 8))):
        start = (0.0 if may_overlap else free_from) + draw(st.floats(0, 40 if may_overlap else 6))
        end = start + draw(st.floats(0, 9))
        sentences.append(Sentence(start_seconds=start, end_seconds=end, text=str(number)))
        free_from = end
    return sentences


def covered(sentences, *, num_clips, coverage, min_seconds=10.0, clip_seconds=1.5):
    return segments_of(
        sentences,
        clip_start_seconds_T=np.arange(num_clips) * clip_seconds,
        clip_seconds=clip_seconds,
        coverage=coverage,
        grown_min_seconds=min_seconds,
    )


@given(sentences=narrations(), num_clips=st.integers(1, 40), coverage=st.sampled_from(COVERAGES))
def test_no_rule_loses_a_sentence_or_invents_a_clip(sentences, num_clips, coverage):
    segments = covered(sentences, num_clips=num_clips, coverage=coverage)
    kept = sorted((s for s in sentences if s.start_seconds < num_clips * 1.5), key=lambda s: s.start_seconds)
    assert [segment.sentence for segment in segments] == kept
    assert all(0 <= s.clips.first < s.clips.stop <= num_clips for s in segments)


@given(sentences=narrations(may_overlap=False), num_clips=st.integers(1, 40))
def test_by_the_middle_no_clip_is_lost_and_none_goes_to_two_long_enough_sentences(sentences, num_clips):
    segments = covered(sentences, num_clips=num_clips, coverage="midpoint")
    owners = {clip: [] for clip in range(num_clips)}
    for segment in segments:
        for clip in range(segment.clips.first, segment.clips.stop):
            owners[clip].append(segment.sentence)
    for clip, found in owners.items():
        middle = clip * 1.5 + 0.75
        inside = [s for s in sentences if s.start_seconds <= middle < s.end_seconds]
        assert len(inside) <= 1
        # Beside its own sentence only sentences too short for any clip's middle share it.
        others = [s for s in found if s not in inside]
        assert all(s in found for s in inside)
        assert all(
            not any(s.start_seconds <= k * 1.5 + 0.75 < s.end_seconds for k in range(num_clips))
            for s in others
        )


@given(start=SECONDS, length=st.floats(0, 20), num_clips=st.integers(1, 30))
def test_overlap_is_every_clip_that_shares_time(start, length, num_clips):
    end = start + length
    shared = [k for k in range(num_clips) if k * 1.5 < end and start < (k + 1) * 1.5]
    starts_T = np.arange(num_clips) * 1.5
    span = overlapping_clips(start, end, clip_start_seconds_T=starts_T, clip_seconds=1.5)
    if shared:
        assert list(range(span.first, span.stop)) == shared
    else:
        assert span.num_clips == 1


@given(start=SECONDS, length=st.floats(0, 20), num_clips=st.integers(1, 30))
def test_rounding_both_ends_is_the_peers_slice_where_that_is_not_empty(start, length, num_clips):
    end = start + length
    first, stop = (int(0.5 + time / 1.5) for time in (start, end))
    span = rounded_clips(start, end, clip_start_seconds_T=np.arange(num_clips) * 1.5, clip_seconds=1.5)
    wanted = list(range(num_clips))[first:stop]
    if wanted:
        assert list(range(span.first, span.stop)) == wanted
    else:
        assert (span.first, span.num_clips) == (min(first, num_clips - 1), 1)


@given(sentences=narrations(), min_seconds=st.floats(0.1, 30))
def test_a_grown_interval_is_long_enough_or_the_whole_narration(sentences, min_seconds):
    sentences = sorted(sentences, key=lambda s: s.start_seconds)
    for number, own in enumerate(sentences):
        start, end = grown_interval(sentences, number, min_seconds=min_seconds)
        assert start <= own.start_seconds
        assert end >= own.end_seconds
        if own.end_seconds - own.start_seconds >= min_seconds:
            assert (start, end) == (own.start_seconds, own.end_seconds)
        if end - start < min_seconds:
            assert start == sentences[0].start_seconds
            assert end == max(s.end_seconds for s in sentences)


def test_a_sentence_grows_by_the_nearer_neighbour_first():
    times = [(0, 2), (5, 7), (8, 10), (20, 22)]
    sentences = [Sentence(start_seconds=a, end_seconds=b, text="x") for a, b in times]
    assert grown_interval(sentences, 1, min_seconds=2) == (5, 7)
    assert grown_interval(sentences, 1, min_seconds=4) == (5, 10)
    assert grown_interval(sentences, 1, min_seconds=6) == (0, 10)
    assert grown_interval(sentences, 1, min_seconds=99) == (0, 22)

"""The arithmetic of samples and clips, against the same rule written the slow way."""

import itertools
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from rendered_videos import request

from videobert_cli.core.video.clips import clip_starts, spread_frame_indices
from videobert_cli.core.video.sampling import ClipAssembler, SampleClock, Timeline

TICK = Fraction(1, 1000)


@given(
    gaps=st.lists(st.integers(1, 400), min_size=1, max_size=40),
    clip=st.integers(1, 12),
    stride=st.integers(1, 15),
    batch=st.integers(1, 5),
    data=st.data(),
)
def test_streamed_clips_are_those_of_the_whole_video_at_once(gaps, clip, stride, batch, data):
    indices = tuple(data.draw(st.lists(st.integers(0, clip - 1), min_size=1, max_size=5)))
    clock = SampleClock(tick_seconds=TICK, frames_per_second=20)
    times = [sum(gaps[:number]) for number in range(len(gaps) + 1)]
    asked = request(
        clip_num_frames=clip, clip_stride_frames=stride, frame_indices=indices, batch_num_clips=batch
    )
    converted = []

    def to_rgb(number):
        converted.append(number)
        return np.full((1, 1, 3), number % 256, dtype=np.uint8)

    assembler = ClipAssembler(asked, to_rgb=to_rgb)
    num_samples = clock.first_sample(times[-1])
    batches = []
    for number, (first, end) in enumerate(itertools.pairwise(times)):
        batches += assembler.show(number, first=clock.first_sample(first), end=clock.first_sample(end))
    batches += assembler.finish(num_samples=num_samples)

    def shown(sample):
        sample = min(sample, num_samples - 1)
        return max(number for number, time in enumerate(times[:-1]) if time <= sample * 50 + 0.5)

    starts = clip_starts(num_samples, clip_num_frames=clip, stride=stride)
    assert [start for b in batches for start in b.starts_N] == starts
    found = [[int(b.pictures[row][0, 0, 0]) for row in rows] for b in batches for rows in b.rows_NT]
    assert found == [[shown(start + index) for index in indices] for start in starts]
    assert assembler.num_clips == len(starts)
    assert len(converted) == len(set(converted))
    assert all(len(b.starts_N) <= batch for b in batches)
    assert all(
        sorted({row for rows in b.rows_NT for row in rows}) == list(range(len(b.pictures))) for b in batches
    )


@given(st.lists(st.one_of(st.none(), st.integers(-5000, 100_000)), min_size=1, max_size=60))
def test_time_runs_forward_whatever_the_time_stamps_say(stamps):
    timeline = Timeline(tick_seconds=TICK, fallback_gap_ticks=40)
    placed = [timeline.place(stamp) for stamp in stamps]
    assert placed[0] == 0
    assert all(later > earlier for earlier, later in itertools.pairwise(placed))
    assert timeline.end(None) > placed[-1]


def test_a_jump_back_lays_the_parts_end_to_end():
    timeline = Timeline(tick_seconds=TICK, fallback_gap_ticks=40)
    placed = [timeline.place(stamp) for stamp in [9000, 9040, 9080, 0, 40, 120]]
    assert placed == [0, 40, 80, 120, 160, 240]


def test_a_missing_stamp_takes_the_usual_gap_and_a_short_step_back_is_caught_up():
    timeline = Timeline(tick_seconds=TICK, fallback_gap_ticks=40)
    assert [timeline.place(stamp) for stamp in [10, 20, None, 40, 35, 60]] == [0, 10, 20, 30, 40, 50]


@given(frames=st.integers(0, 500), clip=st.integers(1, 40), stride=st.integers(1, 60))
def test_clip_starts_cover_what_fits(frames, clip, stride):
    starts = clip_starts(frames, clip_num_frames=clip, stride=stride)
    fitting = [start for start in range(0, frames, stride) if start + clip <= frames]
    assert starts == (fitting or ([0] if frames else []))


@given(clip=st.integers(1, 64), count=st.integers(1, 64))
def test_spread_indices_are_inside_sorted_and_symmetric(clip, count):
    indices = spread_frame_indices(clip, num_frames=count)
    assert len(indices) == count
    assert list(indices) == sorted(indices)
    assert indices[0] >= 0
    assert indices[-1] < clip
    assert abs(indices[0] - (clip - 1 - indices[-1])) <= 1

"""Shards: every video in exactly one, whatever else is in the list; spellings that are refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videobert_cli.core.features.line.sharding import Shard
from videobert_cli.core.video.entries import Video
from videobert_cli.errors import UsageError


@given(ids=st.sets(st.text(max_size=8)), num_shards=st.integers(1, 9))
def test_every_video_is_in_one_shard(ids: set[str], num_shards: int) -> None:
    videos = [
        Video(id=item_id, path=Path("x.mp4"), captions=None, split="train", segments=())
        for item_id in sorted(ids)
    ]
    parts = [Shard(index=index, num_shards=num_shards).of(videos) for index in range(num_shards)]
    assert sorted(video.id for part in parts for video in part) == sorted(ids)


@given(item_id=st.text(max_size=8), num_shards=st.integers(1, 9), num_parts=st.integers(1, 5))
def test_the_parts_of_a_shard_hold_what_no_other_shards_parts_hold(item_id, num_shards, num_parts) -> None:
    parts = [
        Shard(index=index, num_shards=num_shards).split(index=part, num_parts=num_parts)
        for index in range(num_shards)
        for part in range(num_parts)
    ]
    assert len(set(parts)) == num_shards * num_parts
    assert sum(part.holds(item_id) for part in parts) == 1


def test_shards_are_of_about_one_size() -> None:
    ids = [f"video{number:05d}" for number in range(8000)]
    sizes = [sum(Shard(index=index, num_shards=8).holds(item) for item in ids) for index in range(8)]
    assert min(sizes) > 850
    assert max(sizes) < 1150


@pytest.mark.parametrize("text", ["4/4", "0/0", "1", "-1/4", "a/b", "1/4/8", "", "1.5/4"])
def test_a_wrong_spelling_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Shard.parse(text)
    assert caught.value.fix is not None
    assert caught.value.fix.startswith("--shard 0/")

"""The thread that stores: a disk that fails ends the work at once, with its error."""

import time
from pathlib import Path

import pytest

from videobert_cli.core.features.line.batches import Ending
from videobert_cli.core.features.line.collect import FeatureCollector
from videobert_cli.core.features.line.store_thread import EndedVideo, StoreThread
from videobert_cli.core.video.entries import Video
from videobert_cli.errors import ResourceError, VideoError


def ended() -> EndedVideo:
    video = Video(id="a", path=Path("a.mp4"), captions=None, split="train", segments=())
    ending = Ending(position=0, content=VideoError("cut", reason="truncated", at="a.mp4"))
    return EndedVideo(video=video, ending=ending, collector=FeatureCollector(), seconds=0.0)


def test_a_full_disk_stops_the_decoding_before_the_next_video_ends() -> None:
    def book(_video: EndedVideo) -> bool:
        raise ResourceError("the disk is full", at="store", fix="free some space")

    with StoreThread(book) as store:
        store.put(ended())
        deadline = time.monotonic() + 10
        while not store.is_stopped and time.monotonic() < deadline:
            time.sleep(0.01)
        assert store.is_stopped
        with pytest.raises(ResourceError, match="the disk is full"):
            store.finish()

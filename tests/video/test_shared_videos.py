"""Every real and every odd file of the shared data: what should decode does, what must fail fails by name."""

import time

import pytest
from rendered_videos import SHARED_DATA, odd_rows, request

from videobert_cli.core.video.options import ReaderOptions
from videobert_cli.core.video.reader import VideoReader
from videobert_cli.errors import VideoError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (SHARED_DATA / "odd_videos").is_dir(), reason="shared data not here"),
]
THE_JOB = {
    "clip_num_frames": 30,
    "clip_stride_frames": 30,
    "frame_indices": (3, 11, 18, 26),
    "resize": 256,
    "crop_size": 224,
    "batch_num_clips": 16,
}
MEDIA_REASONS = {"empty", "not-media", "no-video-stream", "no-frames", "decode-error"}


def outcome(reader, path):
    began = time.monotonic()
    try:
        *_, summary = reader.read(path, request(**THE_JOB))
    except VideoError as error:
        return error.reason, time.monotonic() - began
    return summary.num_decoded_frames, time.monotonic() - began


def test_odd_videos_do_what_their_table_says():
    wrong = []
    with VideoReader(ReaderOptions(timeout_seconds=60)) as reader:
        for row in odd_rows():
            found, seconds = outcome(reader, SHARED_DATA / "odd_videos" / row["file"])
            if not fits(row, found) or seconds > 60:
                wrong.append((row["file"], row["expect"], found, round(seconds, 1)))
    assert wrong == []


def fits(row, found):
    if row["expect"].startswith("decodes"):
        wanted = row["frames_pyav18"] or "1"
        declared = int(row["frames_declared"] or 0)
        return (
            isinstance(found, int)
            and abs(found - (declared if wanted.startswith(">") else int(wanted))) <= 30
        )
    if row["expect"].startswith("partial"):
        return found in {"decode-error", "truncated"}
    return found in MEDIA_REASONS


def test_partial_files_give_their_readable_part_when_allowed():
    with VideoReader(ReaderOptions(timeout_seconds=60, allow_truncated=True)) as reader:
        for row in odd_rows():
            if row["expect"].startswith("partial"):
                found, _ = outcome(reader, SHARED_DATA / "odd_videos" / row["file"])
                assert found == int(row["frames_pyav18"]), row["file"]


def test_every_real_clip_decodes():
    paths = [
        p
        for p in (SHARED_DATA / "clips").rglob("*")
        if p.suffix in {".mp4", ".mkv", ".mpg", ".webm", ".avi", ".mov"}
    ]
    assert paths
    with VideoReader(ReaderOptions(timeout_seconds=60)) as reader:
        for path in paths:
            found, seconds = outcome(reader, path)
            assert isinstance(found, int), (path.name, found)
            assert found > 10, path.name
            assert seconds < 60, path.name

"""Stills by seeking are the frames that reading from the start gives; hostile files cost their own pictures only."""

import av
import numpy as np
import pytest
from rendered_videos import SHARED_DATA, SIDE, number_of, numbered, render

from videobert_cli.core.video.options import ReaderOptions
from videobert_cli.core.video.reader import ClipBatch, FrameRequest, VideoReader
from videobert_cli.core.video.still_pool import stills_of_videos
from videobert_cli.errors import VideoError

OPTIONS = ReaderOptions()


@pytest.fixture(scope="module")
def reader():
    with VideoReader(OPTIONS) as opened:
        yield opened


def numbers(reader, path, seconds):
    return [number_of(picture) for picture in reader.stills(path, seconds=seconds, num_pixels=SIDE)]


@pytest.mark.parametrize(("name", "codec", "options"), [
    ("a.mp4", "libx264", {}),  # B-frames, a key frame a second
    ("long.mkv", "libx264", {"g": "500"}),  # one key frame: a seek goes back to the start
    ("a.webm", "libvpx-vp9", {"g": "25"}),
])  # fmt: skip
def test_a_still_is_the_last_frame_that_starts_at_or_before_its_time(tmp_path, reader, name, codec, options):
    path = tmp_path / name
    # 25 frames a second from 2 s on: time counts from the first shown frame.
    render(path, times=[2_000 + 40 * number for number in range(250)], codec=codec, options=options)
    seconds = [0.0, 0.1, 2.0, 2.02, 6.5, 6.5, 9.9, 60.0]
    assert numbers(reader, path, seconds) == [0, 2, 50, 50, 162, 162, 247, 249]


def test_pictures_of_a_folder_are_looked_up_by_their_times(tmp_path, reader):
    from PIL import Image

    for number, second in enumerate(("0.0", "2.5", "4.0")):
        Image.fromarray(numbered(number)).save(tmp_path / f"{second}.png")
    assert numbers(reader, tmp_path, [0.0, 2.4, 2.5, 3.9, 9.0]) == [0, 0, 1, 1, 2]


def test_a_reader_reads_on_after_stills_and_a_file_that_fails(tmp_path, reader):
    good, bad = tmp_path / "good.mp4", tmp_path / "bad.mp4"
    render(good, times=[40 * number for number in range(100)])
    bad.write_bytes(b"no video at all" * 1000)
    with pytest.raises(VideoError) as raised:
        reader.stills(bad, seconds=[0.0], num_pixels=SIDE)
    assert (raised.value.reason, raised.value.at) == ("not-media", str(bad))
    assert numbers(reader, good, [1.0]) == [25]


def test_a_damaged_file_gives_what_can_be_decoded(tmp_path, reader):
    whole, cut = tmp_path / "whole.mkv", tmp_path / "cut.mkv"
    render(whole, times=[40 * number for number in range(200)])
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    found = numbers(reader, cut, [0.5, 7.0])
    assert found[0] == 12
    assert 60 < found[1] < 140  # the last frame there is


def test_several_videos_each_once_and_problems_by_name(tmp_path):
    jobs = []
    for number in range(5):
        path = tmp_path / f"{number}.mp4"
        if number != 3:
            render(path, times=[40 * (k + 1) for k in range(50 + number)])
        jobs.append((path, [0.0, 60.0]))
    options = OPTIONS.model_copy(update={"num_workers": 2})
    found = {
        stills.position: stills
        for stills in stills_of_videos(jobs, options=options, num_pixels=SIDE)
        if stills is not None
    }
    assert sorted(found) == [0, 1, 2, 3, 4]
    assert found[3].problem is not None
    assert found[3].problem.reason == "not-a-file"
    ends = {
        position: [number_of(picture) for picture in stills.pictures] for position, stills in found.items()
    }
    assert ends == {0: [0, 49], 1: [0, 50], 2: [0, 51], 3: [], 4: [0, 53]}


def test_whoever_stops_taking_ends_the_children(tmp_path):
    path = tmp_path / "a.mp4"
    render(path, times=[40 * number for number in range(50)])
    stills = stills_of_videos([(path, [0.0])] * 8, options=OPTIONS, num_pixels=SIDE)
    assert next(found for found in stills if found is not None).pictures
    stills.close()


@pytest.mark.slow
def test_real_files_give_the_frames_that_the_model_sees(reader):
    folder = SHARED_DATA / "clips"
    if not folder.is_dir():
        pytest.skip("the shared videos are not on this machine")
    request = FrameRequest(
        frames_per_second=20,
        clip_num_frames=30,
        clip_stride_frames=30,
        frame_indices=(15,),
        resize=128,
        crop_size=128,
        batch_num_clips=8,
    )
    compared = exact = 0
    for path in sorted(
        [*folder.glob("asl_gestures/*.mkv"), *folder.glob("gmdcsa24/*"), *folder.glob("grid_s1/*.mpg")]
    ):
        try:
            batches = [item for item in reader.read(path, request) if isinstance(item, ClipBatch)]
        except VideoError:
            continue
        frames = [batch.frames_FHWC[row] for batch in batches for row in batch.frame_index_NT[:, 0]]
        starts = [float(start) for batch in batches for start in batch.clip_start_seconds_N]
        stills = reader.stills(path, seconds=[start + 0.75 for start in starts], num_pixels=128)
        compared += len(frames)
        exact += sum(np.array_equal(still, frame) for still, frame in zip(stills, frames, strict=True))
    assert compared >= 30
    # Reading forgives half a tick of a coarse clock, a still does not: a frame next to it then.
    assert exact >= 0.9 * compared


def test_a_frame_that_grows_beyond_the_limit_is_refused(tmp_path):
    path = tmp_path / "large.mp4"
    render(path, times=[40 * number for number in range(10)], size=(1280, 720))
    small = OPTIONS.model_copy(update={"max_pixels": 1000})
    with VideoReader(small) as reader, pytest.raises(VideoError) as raised:
        reader.stills(path, seconds=[0.0], num_pixels=32)
    assert raised.value.reason == "too-large"
    assert av.open(str(path)).streams.video[0].width == 1280

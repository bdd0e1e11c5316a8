"""What a decoder child may take: each limit is set in the child that really runs, and is hit by a file."""

import os
import signal
import sys
import threading
from fractions import Fraction
from pathlib import Path

import av
import pytest
from rendered_videos import SIDE, numbered, read, render, request

from videobert_cli.core.video import reader as reader_module
from videobert_cli.core.video.child_limits import is_memory_short
from videobert_cli.core.video.options import ReaderOptions
from videobert_cli.core.video.reader import VideoReader
from videobert_cli.errors import VideoError

pytestmark = pytest.mark.slow

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="limits are read in /proc")
SMALL_MEMORY = 134_217_728


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return render(tmp_path_factory.mktemp("limits") / "a.mp4", times=range(0, 4000, 40))


def refusal(path: Path, **options) -> VideoError:
    with (
        VideoReader(ReaderOptions(timeout_seconds=60, **options)) as reader,
        pytest.raises(VideoError) as caught,
    ):
        list(reader.read(path, request()))
    return caught.value


@on_linux
def test_the_child_runs_under_its_limits_in_a_session_of_its_own(clip: Path) -> None:
    with VideoReader(ReaderOptions(max_memory_bytes=SMALL_MEMORY)) as reader:
        answers = reader.read(clip, request(batch_num_clips=1))
        next(answers)
        pid = reader._child.process.pid
        lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
        soft = {line[:25].strip(): line[26:].split()[0] for line in lines[1:]}
        assert (os.getpgid(pid), os.getsid(pid)) == (pid, pid)
    assert soft["Max data size"] == str(SMALL_MEMORY)
    assert soft["Max open files"] == "64"
    assert soft["Max file size"] == "0"
    assert soft["Max core file size"] == "0"


@on_linux
@pytest.mark.parametrize(
    ("name", "allow_truncated"),
    [
        ("pyav", False),
        pytest.param("pyav", True, marks=pytest.mark.slow),
        pytest.param("decord", False, marks=pytest.mark.slow),
    ],
)
def test_too_little_memory_is_told_from_damage(tmp_path: Path, name: str, allow_truncated: bool) -> None:
    if name == "decord":
        pytest.importorskip("decord")
    options = {"preset": "ultrafast", "refs": "16", "bf": "0"}
    path = render(tmp_path / "a.mp4", times=range(0, 800, 40), size=(2560, 1600), options=options)
    error = refusal(path, name=name, max_memory_bytes=SMALL_MEMORY, allow_truncated=allow_truncated)
    assert error.reason == "out-of-memory", error.what
    assert "max_memory_bytes" in error.what
    *_, summary = read(path, options=ReaderOptions(name=name))
    assert summary.num_decoded_frames == 20


@on_linux
def test_memory_without_a_limit_is_never_short() -> None:
    assert not is_memory_short(num_pixels=1 << 40)


@on_linux
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGABRT])
def test_a_child_that_the_system_ends_ran_out_of_memory_and_the_next_file_is_read(clip: Path, sign) -> None:
    with VideoReader(ReaderOptions(timeout_seconds=60)) as reader:
        answers = reader.read(clip, request(batch_num_clips=1, resize=512, crop_size=512))
        next(answers)
        os.kill(reader._child.process.pid, sign)
        with pytest.raises(VideoError, match=sign.name) as caught:
            list(answers)
        assert caught.value.reason == "out-of-memory"
        *_, summary = reader.read(clip, request())
        assert summary.num_decoded_frames == 100


def test_more_streams_than_allowed(tmp_path: Path) -> None:
    path = tmp_path / "many.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("mpeg4", rate=25) for _ in range(33)]
        for stream in streams:
            stream.width = stream.height = SIDE
            stream.pix_fmt = "yuv420p"
        for stream in streams:
            for number in range(2):
                frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    error = refusal(path)
    assert (error.reason, error.what) == ("too-large", "33 streams are more than max_streams 32")
    *_, summary = read(path, options=ReaderOptions(max_streams=33))
    assert summary.num_decoded_frames == 2


def test_more_frames_a_second_than_allowed(tmp_path: Path) -> None:
    fast = render(tmp_path / "fast.mp4", times=range(0, 2000, 4), options={"preset": "ultrafast"})
    *_, summary = read(fast)  # 250 a second, as phones and action cameras record
    assert summary.num_decoded_frames == 500
    error = refusal(fast, max_frames_per_second=100)
    assert error.reason == "too-large"
    assert "max_frames_per_second 100" in error.what


def test_a_burst_at_one_moment_is_not_a_rate(tmp_path: Path) -> None:
    path = render(tmp_path / "a.mp4", times=[*range(90), 3000])
    *_, summary = read(path, options=ReaderOptions(max_frames_per_second=100))
    assert summary.num_decoded_frames == 91


@on_linux
@pytest.mark.parametrize(("limit", "value"), [("_FILES_PER_CHILD", 2), ("_MAX_GROWTH_BYTES", -(1 << 40))])
def test_a_worn_child_is_replaced_between_two_files(clip: Path, monkeypatch, limit: str, value: int) -> None:
    assert (reader_module._FILES_PER_CHILD, reader_module._MAX_GROWTH_BYTES) == (200, 1 << 30)
    with VideoReader(ReaderOptions()) as reader:
        pids = []
        for _ in range(3):
            list(reader.read(clip, request()))
            pids.append(reader._child.process.pid)
        assert len(set(pids)) == 1
        monkeypatch.setattr(reader_module, limit, value)
        list(reader.read(clip, request()))
        assert reader._child.process.pid != pids[0]
        assert not Path(f"/proc/{pids[0]}").exists()


@on_linux
@pytest.mark.slow
@pytest.mark.parametrize(("times_duration", "is_read"), [(2, True), (0, False)])
def test_a_long_video_has_twice_its_duration(
    clip: Path, monkeypatch, times_duration: int, is_read: bool
) -> None:
    monkeypatch.setattr(reader_module, "_TIMES_DURATION", times_duration)
    with VideoReader(ReaderOptions(timeout_seconds=1.5)) as reader:
        answers = reader.read(clip, request(batch_num_clips=1, resize=512, crop_size=512))
        next(answers)
        child = reader._child.process.pid
        os.kill(child, signal.SIGSTOP)
        waker = threading.Timer(2.5, lambda: os.kill(child, signal.SIGCONT))
        waker.start()
        if is_read:
            *_, summary = answers
            assert summary.num_decoded_frames == 100
        else:
            with pytest.raises(VideoError, match="timeout_seconds"):
                list(answers)
            waker.cancel()


def test_every_limit_is_printed_with_the_recipe(invoke) -> None:
    outcome = invoke("extract", "demo", "--print-config")
    assert outcome.exit_code == 0
    printed = {
        line.split(":")[0].strip(): line.split(":")[1].split()[0]
        for line in outcome.out.partition("reader:")[2].partition("quantize:")[0].splitlines()
        if ": " in line
    }
    limits = ReaderOptions().settings()
    assert {"max_memory_bytes", "max_streams", "max_frames_per_second", "timeout_seconds"} <= limits.keys()
    for name in limits.keys() - {"name", "device", "num_workers", "allow_truncated"}:
        assert float(printed[name]) == float(limits[name]), name

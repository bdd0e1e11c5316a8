"""Files that cannot be read end as one VideoError with the right reason, and the next file works."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import pytest
from exact_clips import edited
from rendered_videos import cut, read, render, request, shown_numbers

from videobert_cli.core.video import reader as reader_module
from videobert_cli.core.video.options import ReaderOptions
from videobert_cli.core.video.reader import VideoReader
from videobert_cli.errors import VideoError

FASTSTART = {"movflags": "faststart"}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return render(
        tmp_path_factory.mktemp("good") / "good.mp4", times=list(range(0, 8000, 40)), container=FASTSTART
    )


@pytest.fixture(scope="module")
def reader():
    with VideoReader(ReaderOptions(timeout_seconds=30)) as reader:
        yield reader


@pytest.fixture(scope="module")
def lenient():
    with VideoReader(ReaderOptions(timeout_seconds=30, allow_truncated=True)) as reader:
        yield reader


def reason(reader, path):
    with pytest.raises(VideoError, match=r"\w") as caught:
        list(reader.read(path, request()))
    assert caught.value.at == str(path)
    return caught.value.reason


def test_files_that_are_no_files(tmp_path, reader):
    (tmp_path / "folder.mp4").mkdir()
    os.mkfifo(tmp_path / "fifo.mp4")
    (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
    for name in ("folder.mp4", "fifo.mp4", "loop.mp4", "missing.mp4", "x" * 300 + ".mp4", "nul\0.mp4"):
        assert reason(reader, tmp_path / name) == "not-a-file", name
    assert reason(reader, Path("/dev/zero")) == "not-a-file"


def test_a_time_limit_beyond_what_a_timer_takes_is_no_limit(good, monkeypatch):
    failed = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    with VideoReader(ReaderOptions(timeout_seconds=1e12)) as reader:
        assert any(list(reader.read(good, request())))
    assert failed == []


def test_files_that_are_no_media(tmp_path, reader):
    (tmp_path / "empty.mp4").touch()
    assert reason(reader, tmp_path / "empty.mp4") == "empty"
    (tmp_path / "text.mp4").write_text("hi\n")
    (tmp_path / "noise.mp4").write_bytes(random.Random(0).randbytes(200_000))
    (tmp_path / "page.mp4").write_text("<!DOCTYPE html><html><body>404</body></html>")
    for name in ("text.mp4", "noise.mp4", "page.mp4"):
        assert reason(reader, tmp_path / name) == "not-media", name


def test_playlists_are_refused_and_what_they_name_is_not_opened(tmp_path):
    secret = render(tmp_path / "secret.ts", times=list(range(40)), tick=Fraction(1, 25), fmt="mpegts")
    before = secret.stat().st_atime_ns
    playlists = {
        "hls.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:8.0,\n{secret}\n#EXT-X-ENDLIST\n",
        "concat.mp4": f"ffconcat version 1.0\nfile {secret}\n",
        "net.mp4": "#EXTM3U\n#EXTINF:8,\nhttp://127.0.0.1:8765/x.ts\n#EXT-X-ENDLIST\n",
    }
    for name, text in playlists.items():
        (tmp_path / name).write_text(text)
    for decoder in ("pyav", "decord"):
        with VideoReader(ReaderOptions(name=decoder)) as reader:
            for name in playlists:
                assert reason(reader, tmp_path / name) == "refused-reference", name
    assert secret.stat().st_atime_ns == before


def test_limits_are_checked_before_decoding(tmp_path, good):
    limits = [
        ({"max_file_bytes": 100}, "too-large"),
        ({"max_pixels": 5000}, "too-large"),
        ({"max_duration_seconds": 3.0}, "too-long"),
    ]
    for limit, expected in limits:
        with VideoReader(ReaderOptions(**limit)) as reader:
            assert reason(reader, good) == expected


def test_a_header_that_claims_a_huge_frame_is_refused_without_the_memory_for_it(tmp_path, reader):
    picture = bytearray(b"GIF89a" + bytes([1, 0, 1, 0, 0x80, 0, 0]) + b"\xff" * 6)
    picture += b"," + bytes([0, 0, 0, 0, 1, 0, 1, 0, 0]) + bytes([2, 2, 0x4C, 1, 0]) + b";"
    (tmp_path / "small.gif").write_bytes(picture)
    *_, summary = reader.read(tmp_path / "small.gif", request())
    assert (summary.width, summary.num_decoded_frames) == (1, 1)
    picture[6:10] = (16_000).to_bytes(2, "little") * 2
    (tmp_path / "huge.gif").write_bytes(picture)
    assert reason(reader, tmp_path / "huge.gif") in {"too-large", "decode-error"}
    memory = Path(f"/proc/{reader._child.process.pid}/status").read_text()
    peak_kilobytes = int(memory.split("VmHWM:")[1].split()[0])
    assert peak_kilobytes < 300_000


def test_frames_without_end_are_too_long(tmp_path):
    path = render(tmp_path / "a.mkv", times=[0, 40, 9_000_000], container={"live": "1"})
    with VideoReader(ReaderOptions(max_duration_seconds=100.0)) as reader:
        assert reason(reader, path) == "too-long"


@pytest.mark.parametrize(
    ("name", "fmt", "codec", "container"),
    [
        ("a.mp4", "mp4", "libx264", FASTSTART),
        ("a.mkv", "matroska", "libx264", None),
        ("a.avi", "avi", "mpeg4", None),
        ("a.flv", "flv", "libx264", None),
        ("a.wmv", "asf", "mpeg4", None),
    ],
)
def test_half_a_download_is_truncated_unless_allowed(tmp_path, reader, lenient, name, fmt, codec, container):
    whole = render(
        tmp_path / name,
        times=list(range(200)),
        tick=Fraction(1, 25),
        fmt=fmt,
        codec=codec,
        container=container,
    )
    *_, summary = reader.read(whole, request())
    assert summary.num_decoded_frames == 200
    half = cut(whole, tmp_path / f"half-{name}", share=0.5)
    assert reason(reader, half) == "truncated"
    *batches, summary = lenient.read(half, request())
    assert 20 < summary.num_decoded_frames < 150
    assert shown_numbers(batches)[0][0] == 0


def test_a_film_that_its_edit_list_cuts_short_is_whole(tmp_path, reader):
    clip = edited(tmp_path, "a.mp4", first=17, last=69, num=250)
    *batches, summary = reader.read(clip.path, request())
    assert summary.num_decoded_frames == 69 - 17
    assert summary.duration_seconds == pytest.approx((69 - 17) / 25)
    assert shown_numbers(batches)[0][0] == 17


def test_half_of_a_film_that_an_edit_list_cuts_is_truncated(tmp_path, reader):
    clip = edited(tmp_path, "a.mp4", first=17, last=240, num=250, container=FASTSTART)
    assert reason(reader, cut(clip.path, tmp_path / "half.mp4", share=0.5)) == "truncated"


def test_a_damaged_packet_is_a_decode_error_and_allowed_up_to_there(tmp_path, good, reader, lenient):
    data = bytearray(good.read_bytes())
    start = data.index(b"mdat") + 4
    middle = start + (len(data) - start) // 2
    data[middle : middle + 400] = random.Random(1).randbytes(400)
    (tmp_path / "bad.mp4").write_bytes(data)
    assert reason(reader, tmp_path / "bad.mp4") == "decode-error"
    *_, summary = lenient.read(tmp_path / "bad.mp4", request())
    assert 20 < summary.num_decoded_frames < 180


def test_sound_without_pictures_has_no_video_stream(tmp_path, reader):
    import av
    import numpy as np

    file = av.open(str(tmp_path / "a.mp4"), "w")
    stream = file.add_stream("aac", rate=44100)
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono")
    frame.sample_rate = 44100
    file.mux(stream.encode(frame))
    file.mux(stream.encode())
    file.close()
    assert reason(reader, tmp_path / "a.mp4") == "no-video-stream"


@pytest.mark.parametrize(
    ("sign", "expected"),
    [
        (signal.SIGBUS, "decoder-crashed"),
        (signal.SIGSEGV, "decoder-crashed"),
        pytest.param(signal.SIGSTOP, "timeout", marks=pytest.mark.slow),
    ],
)
def test_a_child_that_dies_or_hangs_costs_one_item(tmp_path, good, monkeypatch, sign, expected):
    monkeypatch.setattr(reader_module, "_TIMES_DURATION", 0)
    with VideoReader(ReaderOptions(timeout_seconds=1.0)) as reader:
        # A frame at a time, each too big for the pipe: the child is in the middle of the file when it is hit.
        small = request(batch_num_clips=1, resize=512, crop_size=512)
        answers = reader.read(good, small)
        next(answers)
        os.kill(reader._child.process.pid, sign)
        began = time.monotonic()
        with pytest.raises(VideoError, match=r"timeout_seconds|signal SIG") as caught:
            list(answers)
        assert caught.value.reason == expected
        assert time.monotonic() - began < 30
        *_, summary = reader.read(good, request())
        assert summary.num_decoded_frames == 200


def test_a_consumer_may_stop_early_or_read_the_next_file_meanwhile(good):
    with VideoReader(ReaderOptions()) as reader:
        for _ in range(2):
            next(reader.read(good, request(batch_num_clips=1)))
        left = reader.read(good, request(batch_num_clips=1, resize=512, crop_size=512))
        next(left)
        *_, summary = reader.read(good, request())
        assert summary.num_clips == 16
        with pytest.raises(VideoError, match="ended"):
            list(left)
        *_, summary = reader.read(good, request())
        assert summary.num_clips == 16


@pytest.mark.slow
def test_a_slow_consumer_does_not_time_a_file_out(good, monkeypatch):
    monkeypatch.setattr(reader_module, "_TIMES_DURATION", 0)
    with VideoReader(ReaderOptions(timeout_seconds=1.5)) as reader:
        for _ in reader.read(good, request(batch_num_clips=8)):
            time.sleep(1.0)


def test_the_child_is_gone_when_the_parent_is_killed(tmp_path, good):
    program = (
        "import sys, time; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from rendered_videos import request\n"
        "from videobert_cli.core.video.reader import VideoReader; from videobert_cli.core.video.options import ReaderOptions\n"
        "r = VideoReader(ReaderOptions()); g = r.read(Path(sys.argv[1]), request(batch_num_clips=1, resize=512, crop_size=512)); next(g)\n"
        "print(r._child.process.pid, flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(good), str(Path(__file__).parent)],
        stdout=subprocess.PIPE,
        text=True,
    )
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and is_alive(child):
        time.sleep(0.02)
    assert not is_alive(child)


def is_alive(pid):
    try:
        with Path(f"/proc/{pid}/stat").open() as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_child_imports_neither_torch_nor_pydantic():
    program = (
        "import sys, videobert_cli.core.video.decoder_child; print(*{m.split('.')[0] for m in sys.modules})"
    )
    modules = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"torch", "pydantic", "transformers", "decord", "sklearn"} & set(modules)


def test_the_child_ignores_ctrl_c_and_has_its_own_group(good):
    with VideoReader(ReaderOptions()) as reader:
        answers = reader.read(good, request(batch_num_clips=1))
        next(answers)
        pid = reader._child.process.pid
        assert os.getpgid(pid) == pid
        os.kill(pid, signal.SIGINT)
        *_, summary = answers
        assert summary.num_clips == 16
    assert not is_alive(pid)


def test_strange_names_are_just_names(tmp_path, good, reader):
    names = [b"new\nline.mp4", b'-rf "q".mp4', b"\xff\xfe.mp4", b"esc\x1b[2J.mp4", "煮る🍳.mp4".encode()]
    for name in names:
        path = tmp_path / os.fsdecode(name)
        path.write_bytes(good.read_bytes())
        *_, summary = reader.read(path, request())
        assert summary.num_decoded_frames == 200, name


def test_readers_in_threads_do_not_disturb_each_other(good):
    found = []

    def work():
        found.append(read(good)[1].num_clips)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [16, 16]

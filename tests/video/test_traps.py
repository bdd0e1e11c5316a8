"""Twelve traps that real files set for a decoder; the numbers are those of the list in docs/decisions/0005."""

import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from rendered_videos import SIDE, number_of, numbered, read, render, request, shown_numbers

from videobert_cli.core.video.options import ReaderOptions
from videobert_cli.core.video.probe import ANY_METADATA
from videobert_cli.core.video.reader import VideoReader
from videobert_cli.errors import VideoError

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is read in /proc")
TIMES = range(0, 1200, 40)
NUMBERS = [[k * 50 // 40 for k in range(start, start + 10)] for start in (0, 10)]


def reason(path: Path) -> str:
    with VideoReader(ReaderOptions(timeout_seconds=60)) as reader, pytest.raises(VideoError) as caught:
        list(reader.read(path, request()))
    return caught.value.reason


def patched(path: Path, old: bytes, new: bytes) -> Path:
    """Every `old` becomes `new`, of the same length."""
    data = path.read_bytes()
    assert old in data
    assert len(old) == len(new)
    path.write_bytes(data.replace(old, new))
    return path


def test_1_metadata_that_is_no_utf8(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "ABCDEFGH"
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, "yuv420p"
        add_numbered(container, stream, num_frames=30)
    patched(path, b"ABCDEFGH", b"\xff\xfe\x80AB\xc3\x28C")
    if ANY_METADATA:  # else this version of PyAV minds no title
        with pytest.raises(UnicodeDecodeError):
            av.open(str(path)).close()
    batches, _ = read(path)
    assert shown_numbers(batches) == NUMBERS


def test_2_a_codec_that_nobody_knows(tmp_path: Path) -> None:
    path = patched(render(tmp_path / "a.mp4", times=TIMES), b"avc1", b"zzzz")
    assert reason(path) == "no-decoder"


def test_3_thousands_of_frames_declared_and_none_there(tmp_path: Path) -> None:
    path = render(tmp_path / "a.mp4", times=range(0, 3000 * 40, 40), options={"preset": "ultrafast"})
    data = bytearray(path.read_bytes())
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    data[start:end] = bytes(end - start)
    path.write_bytes(data)
    began = time.monotonic()
    assert reason(path) in {"decode-error", "no-frames"}
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.mp4"])
def test_4_the_number_of_frames_in_the_header_is_not_believed(tmp_path: Path, name: str) -> None:
    fragments = {"movflags": "frag_keyframe+empty_moov"} if name == "a.mp4" else None
    fmt = {"a.ts": "mpegts"}.get(name)
    path = render(
        tmp_path / name,
        times=range(60),
        tick=Fraction(1, 25),
        fmt=fmt,
        container=fragments,
        options={"g": "20"},
    )
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames < 60
    _, summary = read(path)
    assert summary.num_decoded_frames == 60


def test_5_and_7_are_exact_clips() -> None:
    from exact_clips import CLIPS

    assert {"AVI with B-frames", "first time stamp 8.333 s"} <= set(CLIPS)


@pytest.mark.parametrize("box", [b"mvhd", b"mdhd", b"tkhd"])
def test_6_a_duration_of_hours_in_a_few_kilobytes(tmp_path: Path, box: bytes) -> None:
    path = render(tmp_path / "a.mp4", times=TIMES)
    data = bytearray(path.read_bytes())
    at = data.index(box) + (24 if box == b"tkhd" else 20)
    scale = 1000 if box == b"tkhd" else int.from_bytes(data[at - 4 : at], "big")
    data[at : at + 4] = min(20 * 3600 * scale, 2**32 - 2).to_bytes(4, "big")
    path.write_bytes(data)
    batches, summary = read(path)
    assert shown_numbers(batches) == NUMBERS
    assert summary.duration_seconds == pytest.approx(1.2, abs=0.01)


def test_6_no_duration_at_all(tmp_path: Path) -> None:
    path = render(tmp_path / "a.mkv", times=TIMES, container={"live": "1"})
    batches, summary = read(path)
    assert summary.declared_duration_seconds is None
    assert shown_numbers(batches) == NUMBERS


@on_linux
@pytest.mark.slow
def test_8_many_frames_in_a_few_bytes_take_time_and_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "g": "9999"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.full((720, 1280, 3), 90, dtype=np.uint8), format="rgb24")
        for number in range(1500):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert path.stat().st_size < 300_000
    peaks = []
    for max_duration in (1000.0, 5.0):
        with VideoReader(ReaderOptions(max_duration_seconds=max_duration)) as reader:
            try:
                *_, summary = reader.read(path, request())
                assert summary.num_decoded_frames == 1500
            except VideoError as error:
                assert (max_duration, error.reason) == (5.0, "too-long")  # noqa: PT017
            status = Path(f"/proc/{reader._child.process.pid}/status").read_text()
            peaks.append(int(status.split("VmHWM:")[1].split()[0]) // 1024)
    assert max(peaks) < 120


def test_9_an_auxiliary_track_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        thumbnail, main = (container.add_stream("libx264", rate=25) for _ in range(2))
        thumbnail.width = thumbnail.height = 24
        main.width = main.height = SIDE
        thumbnail.pix_fmt = main.pix_fmt = "yuv420p"
        add_numbered(container, thumbnail, num_frames=2, side=24)
        add_numbered(container, main, num_frames=30)
    with av.open(str(path)) as container:
        assert [stream.width for stream in container.streams.video] == [24, SIDE]
    batches, summary = read(path)
    assert summary.width == SIDE
    assert shown_numbers(batches) == NUMBERS


def test_9_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    av.VideoFrame.from_ndarray(numbered(511), format="rgb24").save(tmp_path / "cover.png")
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        cover, main = container.add_stream("png"), container.add_stream("libx264", rate=25)
        cover.width = cover.height = main.width = main.height = SIDE
        cover.pix_fmt, main.pix_fmt = "rgb24", "yuv420p"
        cover.disposition = Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(numbered(511), format="rgb24")
        container.mux(cover.encode(picture))
        container.mux(cover.encode())
        add_numbered(container, main, num_frames=30)
    with av.open(str(path)) as container:
        assert [stream.codec_context.name for stream in container.streams.video][-1] == "png"
    batches, _ = read(path)
    assert shown_numbers(batches) == NUMBERS


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_10_a_picture_that_is_called_a_video(tmp_path: Path, suffix: str) -> None:
    picture = tmp_path / f"a{suffix}"
    av.VideoFrame.from_ndarray(numbered(5), format="rgb24").save(picture)
    assert reason(picture.rename(tmp_path / "a.mp4")) == "not-media"


def test_10_a_pointer_to_large_file_storage(tmp_path: Path) -> None:
    pointer = tmp_path / "a.mp4"
    pointer.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 1234567\n")
    assert reason(pointer) == "not-media"


@pytest.mark.parametrize(
    "name", ["-i.mp4", "a b.mp4", "煮る🍳.mp4", "new\nline.mp4", "file:a.mp4", "pipe:0.mp4"]
)
def test_11_a_name_is_only_a_name(tmp_path: Path, monkeypatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    render(tmp_path / "a.mp4", times=TIMES).rename(tmp_path / name)
    batches, _ = read(Path(name))
    assert shown_numbers(batches) == NUMBERS


@pytest.mark.parametrize(
    ("matrix", "undo"),
    [
        ((-1, 0, 0, 1), np.fliplr),
        ((1, 0, 0, -1), np.flipud),
        ((0, 1, 1, 0), lambda picture: picture.swapaxes(0, 1)),
    ],
)
def test_12_a_mirror_in_the_side_data(tmp_path: Path, matrix: tuple[int, ...], undo) -> None:
    path = render(tmp_path / "a.mp4", times=TIMES)
    data = bytearray(path.read_bytes())
    for place, value in zip((0, 1, 3, 4), matrix, strict=True):
        at = data.index(b"tkhd") + 44 + 4 * place
        data[at : at + 4] = (value << 16).to_bytes(4, "big", signed=True)
    path.write_bytes(data)
    batches, _ = read(path)
    shown = [number_of(undo(picture)) for picture in batches[0].frames_FHWC]
    assert shown == sorted({number for clip in NUMBERS for number in clip})


def add_numbered(
    container: av.container.OutputContainer, stream: av.VideoStream, *, num_frames: int, side: int = SIDE
) -> None:
    """Encode numbered frames into a stream of its own."""
    for number in range(num_frames):
        frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24").reformat(width=side, height=side)
        frame.pts, frame.time_base = number, Fraction(1, 25)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())

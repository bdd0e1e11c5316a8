"""torchcodec where it can be loaded: it gives the frame it was asked for or none; test_exactness.py has the frames."""

import pytest
import torch
from exact_clips import CLIPS
from rendered_videos import cut, read, render, request, shown_numbers, skip_without_decoder

from videobert_cli.core.video.frames import ReadLimits
from videobert_cli.core.video.options import ReaderOptions
from videobert_cli.core.video.reader import VideoReader
from videobert_cli.errors import InputError, VideoError

LIMITS = ReadLimits(
    max_pixels=10**7, max_duration_seconds=100, max_file_bytes=10**8, max_streams=32, max_frames_per_second=500,
    allow_truncated=False, num_threads=1,
)  # fmt: skip


@pytest.fixture
def clip(tmp_path):
    return render(tmp_path / "a.mp4", times=range(0, 4000, 40), container={"movflags": "faststart"})


@pytest.fixture
def reader(clip):
    with VideoReader(ReaderOptions(name="torchcodec", timeout_seconds=60)) as reader:
        skip_without_decoder(reader, clip)
        yield reader


def test_a_machine_without_torchcodec_is_told_what_to_do(tmp_path, clip, monkeypatch) -> None:
    (tmp_path / "torchcodec.py").write_text("raise ImportError('no wheel')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with (
        VideoReader(ReaderOptions(name="torchcodec")) as reader,
        pytest.raises(InputError, match="torchcodec cannot be loaded: no wheel") as caught,
    ):
        list(reader.read(clip, request()))
    assert "videobert-cli[gpu-decode]" in caught.value.fix
    assert "extract.reader.name" in caught.value.fix


def test_the_last_bytes_missing_is_truncated_as_with_pyav(reader, clip, tmp_path) -> None:
    half = cut(clip, tmp_path / "half.mp4", share=0.5)
    with pytest.raises(VideoError) as caught:
        list(reader.read(half, request()))
    assert caught.value.reason in {"truncated", "decode-error"}


def test_a_name_that_is_no_text_is_a_name(reader, clip) -> None:
    strange = clip.rename(clip.with_name("\udcff\n.mp4"))
    *_, summary = reader.read(strange, request())
    assert (summary.num_decoded_frames, summary.decoder) == (100, "torchcodec")


def test_a_frame_of_another_time_is_refused(reader, clip) -> None:
    from videobert_cli.core.video.torchcodec_frames import TorchcodecSource

    source = TorchcodecSource(clip, request=request(), limits=LIMITS, device="cpu")
    assert source.rgb(3).shape == (96, 96, 3)
    source._times = [(pts + 1, duration) for pts, duration in source._times]
    with pytest.raises(VideoError, match="it gave that at") as caught:
        source.rgb(3)
    source.close()
    assert caught.value.reason == "refused-decoder"


def test_a_device_that_is_not_here_is_said(reader, clip) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    with (
        VideoReader(ReaderOptions(name="torchcodec", device="cuda", timeout_seconds=60)) as on_gpu,
        pytest.raises(InputError, match="no CUDA device"),
    ):
        list(on_gpu.read(clip, request()))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("kind", ["constant 25, B-frames", "variable rate", "HEVC with B-frames"])
def test_the_frames_decoded_on_a_gpu_are_the_right_ones(reader, tmp_path, kind) -> None:
    clip = CLIPS[kind](tmp_path)
    batches, _ = read(clip.path, options=ReaderOptions(name="torchcodec", device="cuda"))
    assert shown_numbers(batches) == clip.expected()

"""decord gives PyAV's frames where it is accepted, and is refused where it is known to be wrong."""

from fractions import Fraction

import pytest
from rendered_videos import expected_numbers, render, request, shown_numbers

from videobert_cli.core.video.options import ReaderOptions
from videobert_cli.core.video.reader import VideoReader
from videobert_cli.errors import InputError, VideoError

pytest.importorskip("decord")
DECORD = ReaderOptions(name="decord", timeout_seconds=60)
VARIABLE = [
    0,
    40,
    47,
    50,
    180,
    181,
    400,
    433,
    633,
    700,
    777,
    1000,
    1300,
    1301,
    1302,
    1350,
    1400,
    1500,
    1900,
    2500,
]


@pytest.fixture(scope="module")
def readers():
    with VideoReader(ReaderOptions(timeout_seconds=60)) as pyav, VideoReader(DECORD) as decord:
        yield pyav, decord


@pytest.mark.parametrize(
    ("name", "times", "tick", "options"),
    [
        ("constant.mp4", list(range(200)), Fraction(1, 25), None),
        ("thirty.mp4", list(range(200)), Fraction(1, 30), {"g": "250"}),
        ("variable.mp4", VARIABLE, Fraction(1, 1000), None),
        ("late.mp4", [time + 8333 for time in VARIABLE], Fraction(1, 1000), None),
        ("a.mkv", list(range(200)), Fraction(1, 25), {"bf": "0"}),
    ],
)
@pytest.mark.parametrize("indices", [tuple(range(10)), (1, 8)])
def test_both_readers_give_the_same_frames(tmp_path, readers, name, times, tick, options, indices):
    path = render(tmp_path / name, times=times, tick=tick, options=options)
    pyav, decord = readers
    *ours, summary = pyav.read(path, request(frame_indices=indices))
    *theirs, other = decord.read(path, request(frame_indices=indices))
    assert shown_numbers(theirs) == shown_numbers(ours)
    seconds = [float(time * tick) for time in times]
    assert shown_numbers(ours) == [
        [clip[i] for i in indices] for clip in expected_numbers(seconds, end=summary.duration_seconds)
    ]
    assert (other.num_decoded_frames, other.decoder) == (summary.num_decoded_frames, "decord")


@pytest.mark.parametrize(
    ("name", "fmt", "codec", "options", "why"),
    [
        ("a.ts", "mpegts", "libx264", None, "h264 in mpegts"),
        ("a.avi", "avi", "mpeg4", {"bf": "2"}, "mpeg4 in avi"),
        (
            "a.mp4",
            "mp4",
            "libx264",
            {"x264-params": "open-gop=1:keyint=12:bframes=3:scenecut=0"},
            "open groups",
        ),
    ],
)
def test_decord_is_refused_where_it_is_wrong(tmp_path, name, fmt, codec, options, why):
    path = render(
        tmp_path / name, times=list(range(60)), tick=Fraction(1, 25), fmt=fmt, codec=codec, options=options
    )
    with VideoReader(DECORD) as reader, pytest.raises(VideoError, match=why) as caught:
        list(reader.read(path, request()))
    assert caught.value.reason == "refused-decoder"


def test_a_machine_without_decord_is_told_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "decord.py").write_text("raise ImportError('no wheel')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    path = render(tmp_path / "a.mp4", times=[0, 40])
    with VideoReader(DECORD) as reader, pytest.raises(InputError, match="no wheel") as caught:
        list(reader.read(path, request()))
    assert "extract.reader.name" in caught.value.fix

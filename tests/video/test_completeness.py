"""What a file promises of its own length, format by format."""

import io
from fractions import Fraction

import pytest
from rendered_videos import render

from videobert_cli.core.video.completeness import Completeness, believed_duration_seconds, promised_num_bytes

CASES = [
    ("a.mp4", "mp4", "libx264"),
    ("a.mkv", "matroska", "libx264"),
    ("a.avi", "avi", "mpeg4"),
    ("a.wmv", "asf", "mpeg4"),
]


@pytest.mark.parametrize(("name", "fmt", "codec"), CASES)
def test_a_whole_file_holds_what_it_promises_and_a_cut_one_does_not(tmp_path, name, fmt, codec):
    data = render(
        tmp_path / name, times=list(range(30)), tick=Fraction(1, 25), fmt=fmt, codec=codec
    ).read_bytes()
    whole = promised_num_bytes(io.BytesIO(data))
    assert 0.9 * len(data) < whole <= len(data)
    assert promised_num_bytes(io.BytesIO(data[:300])) in {whole, 300, None} or fmt == "mp4"
    half = promised_num_bytes(io.BytesIO(data[: len(data) // 2]))
    assert half > len(data) // 2


@pytest.mark.parametrize(
    "data", [b"", b"RIFF", b"\x1a\x45\xdf\xa3", b"\x1a\x45\xdf\xa3\x00" * 9, b"....ftyp", b"\x47" * 400]
)
def test_a_header_cut_short_promises_nothing_or_only_itself(data):
    promised = promised_num_bytes(io.BytesIO(data))
    assert promised is None or promised >= 0


def completeness(**changes):
    values = {
        "num_bytes": 10**6,
        "promised_num_bytes": 10**6,
        "declared_duration_seconds": 100.0,
        "declared_num_frames": 0,
    }
    return Completeness(**(values | changes))


def test_a_duration_alone_is_no_proof():
    assert completeness().why_truncated(duration_seconds=50, num_packets=1250, num_errors=0) is None
    cut = completeness(promised_num_bytes=2 * 10**6)
    assert "100.0 s" in cut.why_truncated(duration_seconds=50, num_packets=1250, num_errors=0)
    assert "100.0 s" in completeness().why_truncated(duration_seconds=50, num_packets=1250, num_errors=1)
    assert cut.why_truncated(duration_seconds=95, num_packets=2375, num_errors=0) is None


def test_an_index_with_more_frames_is_proof_but_one_frame_is_not_enough():
    assert "2500" in completeness(declared_num_frames=2500).why_truncated(
        duration_seconds=50, num_packets=1250, num_errors=0
    )
    assert (
        completeness(declared_num_frames=1251).why_truncated(
            duration_seconds=50, num_packets=1250, num_errors=0
        )
        is None
    )


def test_hours_in_a_few_kilobytes_are_not_believed():
    assert believed_duration_seconds(1809.0, num_bytes=10_949) is None
    assert believed_duration_seconds(362.0, num_bytes=446_434) == 362.0
    boast = completeness(num_bytes=10_949, promised_num_bytes=3 * 10**8, declared_duration_seconds=1809.0)
    assert boast.why_truncated(duration_seconds=0.04, num_packets=1, num_errors=0) is None

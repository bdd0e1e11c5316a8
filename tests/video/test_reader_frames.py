"""The reader gives exactly the frames that the time stamps ask for."""

import math
from fractions import Fraction

import av
import numpy as np
import pytest
from rendered_videos import expected_numbers, number_of, numbered, read, render, shown_numbers

VARIABLE = [0, 40, 47, 50, 180, 181, 400, 433, 433 + 200, 700, 777, 1000, 1300, 1301, 1302, 1350]


@pytest.mark.parametrize(
    ("name", "fmt", "codec", "rate"),
    [
        ("a.mp4", None, "libx264", 25),
        ("a.mp4", None, "libx264", 30),
        ("a.mkv", None, "libx264", Fraction(30000, 1001)),
        ("a.webm", None, "libvpx-vp9", 24),
        ("a.ts", "mpegts", "libx264", 25),
        ("a.flv", None, "libx264", 25),
        ("a.mp4", None, "libx264", 10),
    ],
)
def test_constant_rate_gives_the_frame_on_show_at_each_sample(tmp_path, name, fmt, codec, rate):
    tick = 1 / Fraction(rate)
    options = {"deadline": "realtime", "cpu-used": "8"} if codec == "libvpx-vp9" else None
    path = render(
        tmp_path / name, times=list(range(40)), tick=tick, rate=rate, codec=codec, fmt=fmt, options=options
    )
    batches, summary = read(path)
    milliseconds = [math.floor(number * tick * 1000 + Fraction(1, 2)) for number in range(40)]
    is_rounded = path.suffix in {".mkv", ".webm", ".flv"}
    seconds = [m / 1000 if is_rounded else float(n * tick) for n, m in enumerate(milliseconds)]
    assert shown_numbers(batches) == expected_numbers(seconds, end=float(40 * tick))
    assert summary.num_decoded_frames == 40
    assert math.isclose(summary.duration_seconds, 40 * tick, abs_tol=2e-3)


@pytest.mark.parametrize("start", [0, 1500, 8333])
def test_variable_rate_and_late_start_follow_the_time_stamps(tmp_path, start):
    path = render(tmp_path / "a.mp4", times=[time + start for time in VARIABLE])
    batches, summary = read(path)
    assert shown_numbers(batches) == expected_numbers(
        [t / 1000 for t in VARIABLE], end=summary.duration_seconds
    )
    assert batches[0].clip_start_seconds_N.tolist()[0] == 0.0


def test_avi_with_b_frames_comes_in_display_order_at_its_constant_rate(tmp_path):
    path = render(
        tmp_path / "a.avi", times=list(range(50)), tick=Fraction(1, 25), codec="mpeg4", options={"bf": "2"}
    )
    batches, summary = read(path)
    assert summary.num_decoded_frames == 50
    seconds = [number / 25 for number in range(50)]
    assert shown_numbers(batches) == expected_numbers(seconds, end=summary.duration_seconds)


def test_a_video_shorter_than_a_clip_gives_one_clip_that_repeats_its_last_frame(tmp_path):
    path = render(tmp_path / "a.mp4", times=[0, 50, 100])
    batches, summary = read(path)
    assert shown_numbers(batches) == [[0, 1, 2, 2, 2, 2, 2, 2, 2, 2]]
    assert (summary.num_clips, len(batches[0].frames_FHWC)) == (1, 3)


def test_the_tail_is_dropped_and_batches_hold_the_number_of_clips_asked_for(tmp_path):
    path = render(tmp_path / "a.mp4", times=[50 * number for number in range(58)])
    batches, summary = read(path)
    assert [len(batch.frame_index_NT) for batch in batches] == [2, 2, 1]
    assert np.concatenate([batch.clip_start_seconds_N for batch in batches]).tolist() == [
        0.0,
        0.5,
        1.0,
        1.5,
        2.0,
    ]
    assert summary.num_clips == 5


def test_overlapping_clips_and_chosen_indices_share_frames(tmp_path):
    path = render(tmp_path / "a.mp4", times=[50 * number for number in range(30)])
    batches, _ = read(path, clip_stride_frames=5, frame_indices=(2, 7), batch_num_clips=3)
    assert shown_numbers(batches) == [[start + 2, start + 7] for start in range(0, 21, 5)]
    assert [len(batch.frames_FHWC) for batch in batches] == [4, 3]


def test_a_still_that_is_shown_for_seconds_is_stored_once(tmp_path):
    path = render(tmp_path / "a.mp4", times=[0, 4000, 4040])
    batches, summary = read(path, batch_num_clips=8)
    assert summary.num_clips == 8
    assert len(batches[0].frames_FHWC) == 1


@pytest.mark.parametrize(("degrees", "turn"), [(90, -1), (180, 2), (-90, 1)])
def test_rotation_in_side_data_is_applied(tmp_path, degrees, turn):
    path = render(tmp_path / "a.mp4", times=[0, 40, 80])
    data = bytearray(path.read_bytes())
    track = data.index(b"tkhd")
    matrix = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), -90: (0, -1, 1, 0)}[degrees]
    for place, value in zip((0, 1, 3, 4), matrix, strict=True):
        at = track + 4 + 40 + 4 * place
        data[at : at + 4] = (value << 16).to_bytes(4, "big", signed=True)
    path.write_bytes(data)
    batches, _ = read(path)
    upright = np.rot90(batches[0].frames_FHWC[1], k=-turn)
    assert number_of(upright) == 1


def test_the_crop_is_central_and_the_displayed_aspect_is_kept(tmp_path):
    file = av.open(str(tmp_path / "a.mp4"), "w")
    stream = file.add_stream("libx264", rate=25)
    stream.width, stream.height, stream.pix_fmt = 192, 96, "yuv420p"
    stream.codec_context.sample_aspect_ratio = Fraction(2, 1)
    wide = np.zeros((96, 192, 3), dtype=np.uint8)
    wide[:, 72:120] = numbered(1).repeat(1, axis=0)[:, ::2]
    frame = av.VideoFrame.from_ndarray(wide, format="rgb24")
    file.mux(stream.encode(frame))
    file.mux(stream.encode())
    file.close()
    batches, summary = read(tmp_path / "a.mp4")
    assert (summary.width, summary.height) == (192, 96)
    assert number_of(batches[0].frames_FHWC[0]) == 1


def test_stretching_to_both_sides_ignores_the_aspect(tmp_path):
    path = render(tmp_path / "a.mp4", times=[0, 40, 80])
    batches, _ = read(path, resize=(48, 60), crop_size=48)
    assert batches[0].frames_FHWC.shape[1:] == (48, 48, 3)


def test_a_size_that_changes_in_the_middle_is_scaled_frame_by_frame(tmp_path):
    small = av.open(str(tmp_path / "small.ts"), "w", format="mpegts")
    stream = small.add_stream("libx264", rate=25)
    stream.width, stream.height, stream.pix_fmt = 48, 48, "yuv420p"
    stream.options = {"crf": "18"}
    for number in range(10, 20):
        small.mux(
            stream.encode(
                av.VideoFrame.from_ndarray(np.ascontiguousarray(numbered(number)[::2, ::2]), format="rgb24")
            )
        )
    small.mux(stream.encode())
    small.close()
    large = render(tmp_path / "large.ts", times=list(range(10)), tick=Fraction(1, 25), fmt="mpegts")
    (tmp_path / "both.ts").write_bytes(large.read_bytes() + (tmp_path / "small.ts").read_bytes())
    batches, summary = read(tmp_path / "both.ts", frames_per_second=25.0)
    assert summary.num_decoded_frames == 20
    assert shown_numbers(batches) == [list(range(10)), list(range(10, 20))]


def test_a_gif_with_alpha_becomes_rgb(tmp_path):
    file = av.open(str(tmp_path / "a.gif"), "w")
    stream = file.add_stream("gif", rate=10)
    stream.width = stream.height = 96
    stream.pix_fmt = "rgb8"
    for number in range(4):
        file.mux(
            stream.encode(
                av.VideoFrame.from_ndarray(numbered(number), format="rgb24").reformat(format="rgb8")
            )
        )
    file.mux(stream.encode())
    file.close()
    batches, _ = read(tmp_path / "a.gif")
    assert shown_numbers(batches) == [[0, 0, 1, 1, 2, 2, 3, 3, 3, 3]]


def test_a_folder_of_time_stamped_pictures_is_a_video(tmp_path):
    for number, name in enumerate(["1.5.png", "0002.000.png", "2.25.png"]):
        av.VideoFrame.from_ndarray(numbered(number), format="rgb24").save(tmp_path / name)
    batches, summary = read(tmp_path)
    assert shown_numbers(batches) == [[0] * 10, [1] * 5 + [2] * 5]
    assert summary.duration_seconds == pytest.approx(0.75 + 0.375)
    assert (summary.codec, summary.num_decoded_frames) == ("images", 3)


def test_frames_csv_gives_times_and_the_end_of_the_last_picture(tmp_path):
    for number in range(2):
        av.VideoFrame.from_ndarray(numbered(number), format="rgb24").save(tmp_path / f"p{number}.png")
    (tmp_path / "frames.csv").write_text("file,start,end\np1.png,10.5,11\np0.png,10,10.2\n")
    batches, summary = read(tmp_path)
    assert shown_numbers(batches) == [[0] * 10, [1] * 10]
    assert summary.duration_seconds == 1.0

"""Sound in windows: at the right time, without gaps, cut where it is quiet, refused where there is none."""

from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest

from videobert_cli.core.text.audio import SAMPLE_RATE, audio_windows
from videobert_cli.errors import VideoError


def write_sound(path, *, tones, seconds, sound_starts=0.0, rate=44_100, has_sound=True):
    """A video of ten frames a second with a stereo track that sounds in the given intervals of the video's time."""
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        pictures.width, pictures.height, pictures.pix_fmt = 64, 64, "yuv420p"
        sound = container.add_stream("aac", rate=rate) if has_sound else None
        for number in range(int(seconds * 10)):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 90, np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode())
        if sound is not None:
            times = sound_starts + np.arange(int((seconds - sound_starts) * rate)) / rate
            wave = np.zeros_like(times)
            for start, end in tones:
                wave += np.where((times >= start) & (times < end), 0.5 * np.sin(2 * np.pi * 440 * times), 0)
            for first in range(0, len(wave) - 1024, 1024):
                block = np.repeat(wave[None, first : first + 1024], 2, axis=0).astype(np.float32)
                frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
                frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
                frame.pts = first + int(sound_starts * rate)
                container.mux(sound.encode(frame))
            container.mux(sound.encode())


def listen(path, *, window_seconds=60.0, max_seconds=100.0):
    return list(
        audio_windows(path, window_seconds=window_seconds, max_bytes=1 << 30, max_seconds=max_seconds)
    )


def loud_seconds(samples, *, offset=0.0):
    """Where it sounds, in tenths of a second."""
    blocks = samples[: len(samples) // 1600 * 1600].reshape(-1, 1600)
    return {round(offset + n / 10, 1) for n in np.flatnonzero(np.abs(blocks).max(axis=1) > 0.2)}


@pytest.mark.parametrize(("sound_starts", "suffix"), [(0.0, ".mp4"), (0.7, ".mkv")])
def test_a_tone_is_heard_when_it_sounds(tmp_path, sound_starts, suffix):
    path = tmp_path / f"a{suffix}"
    write_sound(path, tones=[(1.0, 2.0)], seconds=4, sound_starts=sound_starts)
    [window] = listen(path)
    assert window.start_seconds == 0
    assert window.samples_S.dtype == np.float32
    assert window.end_seconds == pytest.approx(4, abs=0.15)
    heard = loud_seconds(window.samples_S)
    assert {1.1, 1.5, 1.8} <= heard
    assert heard <= {round(0.9 + n / 10, 1) for n in range(12)}


def test_windows_follow_each_other_and_are_cut_in_the_pause(tmp_path):
    path = tmp_path / "a.mp4"
    write_sound(path, tones=[(0.0, 3.5), (3.9, 8.0)], seconds=8)
    windows = listen(path, window_seconds=4.5)
    assert len(windows) == 2
    assert 3.5 < windows[1].start_seconds < 3.95
    for before, after in pairwise(windows):
        assert before.end_seconds == after.start_seconds
        assert len(before.samples_S) <= 4.5 * SAMPLE_RATE
    whole = np.concatenate([window.samples_S for window in windows])
    assert np.array_equal(whole, np.concatenate([w.samples_S for w in listen(path)]))


def test_many_short_windows_lose_no_sample(tmp_path):
    path = tmp_path / "a.mp4"
    write_sound(path, tones=[(0.0, 8.0)], seconds=8)
    windows = listen(path, window_seconds=0.5)
    assert max(len(window.samples_S) for window in windows) <= 0.5 * SAMPLE_RATE
    assert np.array_equal(
        np.concatenate([w.samples_S for w in windows]), np.concatenate([w.samples_S for w in listen(path)])
    )


def test_what_cannot_be_heard_has_a_reason(tmp_path):
    write_sound(tmp_path / "mute.mp4", tones=[], seconds=1, has_sound=False)
    write_sound(tmp_path / "long.mp4", tones=[(0, 3)], seconds=3)
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "pictures").mkdir()
    reasons = {}
    for name in ("mute.mp4", "long.mp4", "text.mp4", "empty.mp4", "pictures", "missing.mp4"):
        with pytest.raises(VideoError) as raised:
            listen(tmp_path / name, max_seconds=2.0)
        reasons[name] = raised.value.reason
    assert reasons == {
        "mute.mp4": "no-sound",
        "long.mp4": "too-long",
        "text.mp4": "not-media",
        "empty.mp4": "empty",
        "pictures": "no-sound",
        "missing.mp4": "not-a-file",
    }

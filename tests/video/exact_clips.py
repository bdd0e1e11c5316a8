"""Clips whose frames carry their number, one of each kind on which readers are known to go wrong, and what they show.

Times are worked out from what was written, not from what any reader says.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from rendered_videos import render

TS_TICK = Fraction(1, 90_000)
MS = Fraction(1, 1000)
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
VPX = {"deadline": "realtime", "cpu-used": "8"}


@dataclass(frozen=True, kw_only=True)
class ExactClip:
    """`numbers[i]` is on show from `seconds[i]`, which the container's clock may have rounded; the last until
    `end_seconds`. The picture is turned by `turn` quarters.
    """

    path: Path
    numbers: list[int]
    seconds: list[float]
    end_seconds: float
    rounding_seconds: float = 0.0
    end_tolerance_seconds: float = 2e-3
    turn: int = 0

    def expected(self, *, rate: int = 20, clip: int = 10) -> list[list[int]]:
        """The rule in plain words: at each k / rate, the last frame that has begun."""
        times = [time - self.seconds[0] for time in self.seconds]
        end = self.end_seconds - self.seconds[0]
        num_samples = next(k for k in range(10**6) if k / rate >= end - 1e-6)
        rounding = self.rounding_seconds + 1e-9
        shown = [
            self.numbers[max(i for i, time in enumerate(times) if time <= k / rate + rounding)]
            for k in range(num_samples)
        ]
        return [shown[start : start + clip] for start in range(0, num_samples - clip + 1, clip)]


def constant(
    folder: Path, name: str, *, rate: Fraction | int = 25, start: int = 0, num: int = 60, **options
) -> ExactClip:
    """`num` frames at a constant rate, the first at `start` ticks."""
    tick = options.pop("tick", 1 / Fraction(rate))
    step = 1 / Fraction(rate) / tick
    times = [start + round(number * step) for number in range(num)]
    path = render(folder / name, times=times, tick=tick, rate=rate, **options)
    seconds = [float(time * tick) for time in times]
    is_rounded = path.suffix in {".mkv", ".webm", ".flv"}
    return ExactClip(
        path=path, numbers=list(range(num)), seconds=seconds, end_seconds=float((times[-1] + step) * tick),
        rounding_seconds=5e-4 if is_rounded else 0.0,
    )  # fmt: skip


def variable(folder: Path, name: str, *, start: int = 0, **options) -> ExactClip:
    """Frames at odd times in milliseconds; the last shows for a frame of the nominal 25 a second."""
    times = [time + start for time in VARIABLE]
    path = render(folder / name, times=times, tick=MS, **options)
    end = times[-1] + 40
    # The encoder does not say how long the last frame shows: muxers and demuxers differ by up to a frame.
    return ExactClip(
        path=path, numbers=list(range(len(times))), seconds=[time / 1000 for time in times], end_seconds=end / 1000,
        end_tolerance_seconds=0.04,
    )  # fmt: skip


def edited(folder: Path, name: str, *, first: int, last: int | None = None, **options) -> ExactClip:
    """An edit list that begins at frame `first`, in the middle of a group, and may end before `last`."""
    whole = constant(folder, name, tick=MS, **options)
    data = bytearray(whole.path.read_bytes())
    media_scale = _number(data, data.index(b"mdhd") + 16)
    movie_scale = _number(data, data.index(b"mvhd") + 16)
    entry = data.index(b"elst") + 12
    duration, media_time = struct.unpack_from(">Ii", data, entry)
    start = whole.seconds[first]
    end = whole.end_seconds if last is None else whole.seconds[last]
    assert duration == round(whole.end_seconds * movie_scale)
    struct.pack_into(
        ">Ii", data, entry, round((end - start) * movie_scale), media_time + round(start * media_scale)
    )
    whole.path.write_bytes(data)
    numbers = whole.numbers[first:last]
    return ExactClip(path=whole.path, numbers=numbers, seconds=whole.seconds[first:last], end_seconds=end)


def turned(folder: Path, name: str, *, degrees: int) -> ExactClip:
    """A display matrix that turns the picture."""
    clip = constant(folder, name, num=30)
    data = bytearray(clip.path.read_bytes())
    matrix = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), -90: (0, -1, 1, 0)}[degrees]
    for place, value in zip((0, 1, 3, 4), matrix, strict=True):
        struct.pack_into(">i", data, data.index(b"tkhd") + 44 + 4 * place, value << 16)
    clip.path.write_bytes(data)
    return ExactClip(
        path=clip.path, numbers=clip.numbers, seconds=clip.seconds, end_seconds=clip.end_seconds,
        turn={90: -1, 180: 2, -90: 1}[degrees],
    )  # fmt: skip


def _number(data: bytearray, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


CLIPS: dict[str, Callable[[Path], ExactClip]] = {
    "constant 25, B-frames": lambda folder: constant(folder, "a.mp4"),
    "constant 30": lambda folder: constant(folder, "a.mp4", rate=30),
    "constant 10": lambda folder: constant(folder, "a.mp4", rate=10),
    "29.97": lambda folder: constant(folder, "a.mp4", rate=Fraction(30_000, 1001), num=90),
    "29.97 in Matroska": lambda folder: constant(folder, "a.mkv", rate=Fraction(30_000, 1001), tick=MS),
    "59.94": lambda folder: constant(folder, "a.mov", rate=Fraction(60_000, 1001), num=120),
    "variable rate": lambda folder: variable(folder, "a.mp4"),
    "variable rate in Matroska": lambda folder: variable(folder, "a.mkv"),
    "first time stamp 8.333 s": lambda folder: variable(folder, "a.mp4", start=8333),
    "no B-frames": lambda folder: constant(folder, "a.mp4", options={"bf": "0"}),
    "open groups of pictures": lambda folder: constant(
        folder, "a.mp4", options={"x264-params": "open-gop=1:keyint=12:bframes=3:scenecut=0"}
    ),
    "edit list from the middle of a group": lambda folder: edited(folder, "a.mp4", first=17),
    "edit list that also ends early": lambda folder: edited(folder, "a.mp4", first=17, last=48),
    "turned by 90": lambda folder: turned(folder, "a.mp4", degrees=90),
    "turned by 180": lambda folder: turned(folder, "a.mov", degrees=180),
    "turned by -90": lambda folder: turned(folder, "a.mp4", degrees=-90),
    "fragmented": lambda folder: constant(
        folder, "a.mp4", container={"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    ),
    "MPEG-TS": lambda folder: constant(folder, "a.ts", fmt="mpegts", tick=TS_TICK),
    "MPEG-TS whose clock wraps": lambda folder: constant(
        folder, "a.ts", fmt="mpegts", tick=TS_TICK, start=2**33 - 90_000
    ),
    "MPEG-PS, MPEG-2": lambda folder: constant(
        folder, "a.mpg", fmt="vob", codec="mpeg2video", options={"bf": "2", "b": "2000000"}
    ),
    "AVI with B-frames": lambda folder: constant(folder, "a.avi", codec="mpeg4", options={"bf": "2"}),
    "AVI without B-frames": lambda folder: constant(folder, "a.avi", codec="mpeg4"),
    "FLV": lambda folder: constant(folder, "a.flv", tick=MS),
    "VP9 in WebM, hidden frames": lambda folder: constant(
        folder, "a.webm", codec="libvpx-vp9", tick=MS, options={"auto-alt-ref": "1", "lag-in-frames": "16", "cpu-used": "5"}
    ),
    "VP8 in WebM": lambda folder: constant(folder, "a.webm", codec="libvpx", tick=MS, options=VPX),
    "HEVC with B-frames": lambda folder: constant(
        folder, "a.mp4", codec="libx265", options={"x265-params": "log-level=none:bframes=3:keyint=25", "preset": "ultrafast"}
    ),
    "AV1": lambda folder: constant(folder, "a.mp4", codec="libsvtav1", options={"preset": "7", "crf": "10"}),
    "Motion JPEG": lambda folder: constant(folder, "a.mov", codec="mjpeg", pix_fmt="yuvj420p"),
}  # fmt: skip

"""Good clips with subtitles, and the zoo: files that are broken, hostile or oddly named. All rendered here, by PyAV."""

import os
import random
import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

WIDTH, HEIGHT, RATE = 160, 120, 25
SOUND_RATE, SOUND_FRAME = 44_100, 1024
NUM_GOOD = 40
# What is refused in the zoo, and the reason for it.
REFUSED = {
    "zero.mp4": "empty",
    "text.mp4": "not-media",
    "random.mp4": "not-media",
    "nomoov.mp4": "not-media",
    "cut.mp4": "truncated",
    "audio.mp4": "no-video-stream",
    "fifo.mp4": "not-a-file",
    "loop.mp4": "not-a-file",
    "dir.mp4": "not-a-file",
    "bomb.mp4": "too-large",
    "hls.mp4": "refused-reference",
    "concat.mp4": "refused-reference",
    "net.mp4": "refused-reference",
    "flip.mp4": "decode-error",
}
STRANGE_NAMES = (b"new\nline.mp4", b'-rf "q".mp4', b"\xff\xfe.mp4", b"esc\x1b[2J.mp4")
READABLE = ("tiny.mp4", *map(os.fsdecode, STRANGE_NAMES), "a/same.mp4", "b/same.mp4")


def make_clip(path: Path, *, seconds: float, movflags: str = "", fmt: str | None = None) -> Path:
    """A moving picture (none where `seconds` is negative) with a tone of a second or more."""
    with av.open(str(path), "w", format=fmt, options={"movflags": movflags} if movflags else {}) as container:
        sound = container.add_stream("aac", rate=SOUND_RATE)
        if seconds > 0:
            _add_pictures(container, num_frames=round(seconds * RATE))
        time = np.arange(int(abs(seconds) * SOUND_RATE / SOUND_FRAME) * SOUND_FRAME) / SOUND_RATE
        tone = np.sin(2 * np.pi * 440 * time).astype(np.float32)
        for start in range(0, len(tone), SOUND_FRAME):
            frame = av.AudioFrame.from_ndarray(
                tone[None, start : start + SOUND_FRAME], format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts = SOUND_RATE, start
            container.mux(sound.encode(frame))
        container.mux(sound.encode())
    return path


def make_good(folder: Path, *, num_clips: int = NUM_GOOD) -> Path:
    """Clips of 3 to 9 seconds, each with one subtitle."""
    folder.mkdir(parents=True)
    by_seconds: dict[int, Path] = {}
    for number in range(1, num_clips + 1):
        seconds, path = number % 7 + 3, folder / f"{number:02}.mp4"
        if seconds in by_seconds:
            shutil.copy(by_seconds[seconds], path)
        else:
            by_seconds[seconds] = make_clip(path, seconds=seconds)
        path.with_suffix(".srt").write_text(f"1\n00:00:00,000 --> 00:00:02,000\nadd item {number:02}\n")
    return folder


def make_playlists(folder: Path, *, secret: Path, address: str) -> list[Path]:
    """Three files called .mp4 that name another file, or an address, for a player to open."""
    texts = {
        "hls.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:8.0,\n{secret}\n#EXT-X-ENDLIST\n",
        "concat.mp4": f"ffconcat version 1.0\nfile {secret}\n",
        "net.mp4": f"#EXTM3U\n#EXTINF:8,\n{address}/x.ts\n#EXT-X-ENDLIST\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [folder / name for name in texts]


def make_zoo(folder: Path, *, secret: Path, address: str) -> Path:
    """Every file of `REFUSED` and of `READABLE`; `secret` and `address` are what the playlists name."""
    folder.mkdir(parents=True)
    good = make_clip(folder.parent / "g.mp4", seconds=8)
    fast = make_clip(folder.parent / "f.mp4", seconds=8, movflags="faststart")
    (folder / "zero.mp4").touch()
    (folder / "text.mp4").write_text("hi\n")
    (folder / "random.mp4").write_bytes(random.Random(0).randbytes(200_000))
    (folder / "nomoov.mp4").write_bytes(good.read_bytes()[:20_000])
    (folder / "cut.mp4").write_bytes(fast.read_bytes()[: fast.stat().st_size // 2])
    make_clip(folder / "audio.mp4", seconds=-5)
    make_clip(folder / "tiny.mp4", seconds=1)
    os.mkfifo(folder / "fifo.mp4")
    (folder / "loop.mp4").symlink_to("loop.mp4")
    (folder / "dir.mp4").mkdir()
    make_bomb(folder / "bomb.mp4")
    make_playlists(folder, secret=secret, address=address)
    (folder / "flip.mp4").write_bytes(with_flipped_bits(fast.read_bytes(), num_bits=300))
    for name in STRANGE_NAMES:
        shutil.copy(good, folder / os.fsdecode(name))
    for source, name in ((good, "a"), (fast, "b")):
        (folder / name).mkdir()
        shutil.copy(source, folder / name / "same.mp4")
    return folder


def make_bomb(path: Path) -> Path:
    """Two frames of 16,000 x 16,000 in a few kilobytes."""
    side = 16_000
    options = {"preset": "ultrafast", "x264-params": "rc-lookahead=0:sync-lookahead=0:threads=1:ref=1"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=1, options=options)
        stream.width, stream.height, stream.pix_fmt = side, side, "yuv420p"
        frame = av.VideoFrame(side, side, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        for number in range(2):
            frame.pts, frame.time_base = number, Fraction(1)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def with_flipped_bits(data: bytes, *, num_bits: int) -> bytes:
    """Bits of the media data flipped at random places, the index left whole."""
    damaged, chance = bytearray(data), random.Random(1)
    first = damaged.index(b"mdat") + 8
    for _ in range(num_bits):
        damaged[chance.randrange(first, len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def _add_pictures(container: av.container.OutputContainer, *, num_frames: int) -> None:
    stream = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "threads": "1"})
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    columns, rows = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    for number in range(num_frames):
        picture = np.stack([columns + 3 * number, rows + number, columns ^ rows], axis=-1).astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, RATE)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())

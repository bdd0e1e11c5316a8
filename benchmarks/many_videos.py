"""Ten thousand tiny videos, extracted by a command that is killed with -9 again and again: what is lost, how it starts.

After each kill the store is opened by another process: nothing that it held before may be missing. In the end every
video must be there once, and `verify --deep` find nothing.

    python benchmarks/many_videos.py [--num-videos 10000] [--num-kills 10]
"""

import argparse
import collections
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from videobert_cli.core.features.store.reader import FeatureStore

_COMMAND = [sys.executable, "-m", "videobert_cli"]
_NUM_DISTINCT = 50
_RECIPE = "run: run\ndata:\n  videos: videos\nextract:\n  image_num_frames: 1\n"


def make_videos(folder: Path, *, num: int) -> None:
    """Write `num` videos of 1.5 s, 64 x 48, of which `_NUM_DISTINCT` differ."""
    folder.mkdir()
    for number in range(min(num, _NUM_DISTINCT)):
        with av.open(str(folder / f"{number:05d}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=20, options={"preset": "ultrafast"})
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            stream.time_base = Fraction(1, 20)
            for frame in range(30):
                picture = np.full((48, 64, 3), 5 * number, dtype=np.uint8)
                picture[10:30, frame : frame + 20] = (200, 80, 40)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
    for number in range(_NUM_DISTINCT, num):
        shutil.copyfile(folder / f"{number % _NUM_DISTINCT:05d}.mp4", folder / f"{number:05d}.mp4")


def num_files(store: Path) -> int:
    """Return how many items are in flight, and shards, without reading them: cheap enough to look often."""
    return sum(1 for pattern in ("spool/*/*.safetensors", "shards/*.index.json") for _ in store.glob(pattern))


def start_up_seconds(folder: Path, store: Path) -> tuple[subprocess.Popen[bytes], float]:
    """Start the command; return it and the time until it has stored another video."""
    before, begin = num_files(store), time.perf_counter()
    process = subprocess.Popen(
        [*_COMMAND, "extract", "recipe.yaml", "-q"],
        cwd=folder,
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and num_files(store) == before:
        time.sleep(0.02)
    return process, time.perf_counter() - begin


def check_kept(store: Path, *, had: set[str]) -> set[str]:
    """Return the ids that the store holds, after checking that all of `had` are among them."""
    has = set(FeatureStore.open(store).ids())
    if not had <= has:
        raise SystemExit(
            f"LOST: {len(had - has)} of {len(had)} acknowledged videos, for example {min(had - has)}"
        )
    return has


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--num-videos", type=int, default=10_000)
    parser.add_argument("--num-kills", type=int, default=10)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        measure(Path(name), num_videos=arguments.num_videos, num_kills=arguments.num_kills)


def measure(folder: Path, *, num_videos: int, num_kills: int) -> None:
    """Make, kill, finish, verify."""
    make_videos(folder / "videos", num=num_videos)
    (folder / "recipe.yaml").write_text(_RECIPE)
    store, dice, had = folder / "run/extract/features", random.Random(0), set[str]()
    for kill in range(num_kills):
        process, seconds = start_up_seconds(folder, store)
        time.sleep(dice.uniform(0, 0.7 * num_videos / num_kills / 50))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        had = check_kept(store, had=had)
        print(f"kill {kill + 1}: start-up {seconds:.1f} s, {len(had):,} videos stored", flush=True)
    process, seconds = start_up_seconds(folder, store)
    begin, before = time.perf_counter(), len(had)
    process.wait()
    had = check_kept(store, had=had)
    wall = time.perf_counter() - begin
    print(
        f"last run: start-up {seconds:.1f} s, exit {process.returncode}, {(len(had) - before) / wall:.1f} videos/s"
    )
    print(f"largest process: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MiB")
    check_whole(folder, store, num_videos=num_videos)


def check_whole(folder: Path, store: Path, *, num_videos: int) -> None:
    """Check that each video is in one shard once, that nothing is damaged, and that another run does nothing."""
    entries = [json.loads(path.read_text())["items"] for path in store.glob("shards/*.index.json")]
    counts = collections.Counter(item["id"] for items in entries for item in items)
    if len(counts) != num_videos or set(counts.values()) != {1}:
        raise SystemExit(f"{len(counts)} ids for {num_videos} videos, at most {max(counts.values())} times")
    for arguments in (["verify", "run", "--deep"], ["extract", "recipe.yaml"]):
        begin = time.perf_counter()
        done = subprocess.run(
            [*_COMMAND, *arguments], cwd=folder, check=False, capture_output=True, text=True
        )
        seconds = time.perf_counter() - begin
        print(
            f"videobert {' '.join(arguments)}: exit {done.returncode}, {seconds:.1f} s: {done.stdout.strip()}"
        )


if __name__ == "__main__":
    main()

"""The Ray engine on a local Ray of 2 CPUs: the same store as the local engine, also when its workers are killed."""

import importlib.util
import json
import os
import signal
import time
from pathlib import Path

import pytest
from executable import shell, start, write_clip

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed (extra [ray])"),
    pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="Ray's workers are found in /proc"),
]
NUM_CLIPS = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with videos, a recipe for Ray, and `A`, the store of the local engine."""
    folder = tmp_path_factory.mktemp("ray")
    (folder / "G").mkdir()
    for number in range(NUM_CLIPS):
        write_clip(folder / "G" / f"{number:02d}.mp4", num_frames=20 + number % 7 * 10)
    (folder / "G" / "bad.mp4").write_text("no video")
    assert shell("extract", "G", "--out", "A", folder=folder).exit_code == 4
    (folder / "ray.yaml").write_text(
        "run: r\ndata:\n  videos: G\nextract:\n  engine: ray\n  batch_num_clips: 2\n"
    )
    return folder


def content_hash(store: Path) -> str:
    return str(json.loads((store / "manifest.json").read_text())["content_hash"])


def workers(name: str) -> list[int]:
    """The processes that Ray calls so."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if name.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def test_ray_makes_the_store_of_the_local_engine_with_its_workers_killed(folder: Path) -> None:
    killed = []
    with start("extract", "ray.yaml", folder=folder) as process:
        for name in ("ray::MapBatches(decode)", "ray::MapWorker(MapBatches(Extractor))"):
            while process.poll() is None and not workers(name):
                time.sleep(0.02)
            for pid in workers(name)[:1]:
                os.kill(pid, signal.SIGKILL)
                killed.append(name)
            time.sleep(1)
        out, err = process.communicate(timeout=300)
    assert process.returncode == 4, err
    assert len(killed) == 2
    assert f"{NUM_CLIPS} videos" in out
    assert "Traceback" not in err
    assert content_hash(folder / "r/extract/features") == content_hash(folder / "A")
    assert workers("ray::") == []


def test_a_driver_that_was_killed_goes_on_where_it_was(folder: Path) -> None:
    with start("extract", "ray.yaml", "--set", "run=k", folder=folder) as process:
        while process.poll() is None and len(list(folder.glob("k/extract/features/spool/*/*"))) < 3:
            time.sleep(0.02)
        process.kill()
        process.communicate()
    stored = len(list(folder.glob("k/extract/features/spool/*/*.safetensors")))
    assert 3 <= stored < NUM_CLIPS
    again = shell("extract", "ray.yaml", "--set", "run=k", "--json", folder=folder)
    assert again.exit_code == 4, again.err
    assert content_hash(folder / "k/extract/features") == content_hash(folder / "A")


def test_without_ray_it_is_said_how_to_install_it(folder: Path) -> None:
    (folder / "none" / "ray").mkdir(parents=True)
    (folder / "none" / "ray" / "__init__.py").write_text("raise ImportError('not here')")
    path = os.pathsep.join([str(folder / "none"), os.environ.get("PYTHONPATH", "")])
    outcome = shell("extract", "ray.yaml", "--set", "run=n", folder=folder, PYTHONPATH=path)
    assert outcome.exit_code == 3
    assert outcome.error_lines[2] == "  fix: pip install 'videobert-cli[ray]'"

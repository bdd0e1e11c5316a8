"""`videobert extract` killed, stopped, watched, short of disk, and split over processes: nothing is lost or doubled."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from executable import environment, shell, start, write_clip

# Real kills, shards and ranks of one store: half a minute together.
pytestmark = pytest.mark.slow

NUM_CLIPS = 24
IDS = [f"{number:02d}" for number in range(NUM_CLIPS)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `G`, small videos, and `A`, the store that an unbroken run makes of them."""
    folder = tmp_path_factory.mktemp("extract")
    (folder / "G").mkdir()
    for number, item_id in enumerate(IDS):
        write_clip(folder / "G" / f"{item_id}.mp4", num_frames=20 + number % 7 * 10)
    done = shell("extract", "G", "--out", "A", folder=folder)
    assert done.exit_code == 0, done.err
    return folder


def content_hash(store: Path) -> str:
    return str(json.loads((store / "manifest.json").read_text())["content_hash"])


def stored_ids(folder: Path, store: str) -> set[str]:
    """The ids that the store holds, as another process finds them."""
    code = "import sys; from pathlib import Path; from videobert_cli.core.features.store.reader import FeatureStore\n"
    code += "print(*FeatureStore.open(Path(sys.argv[1])).ids())"
    done = subprocess.run(
        [sys.executable, "-c", code, store], cwd=folder, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def tree(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in sorted([folder, *folder.rglob("*")])}


def assert_is_unbroken(folder: Path, store: str) -> None:
    assert content_hash(folder / store) == content_hash(folder / "A")
    verified = shell("verify", store, "--deep", folder=folder)
    assert verified.exit_code == 0, verified.err
    left = [path for path in (folder / store).rglob(".*") if path.name.startswith((".tmp-", ".trash-"))]
    assert left == []
    assert not (folder / store / "spool").exists()


def test_p1_a_finished_extraction_is_left_exactly_as_it_is(folder: Path) -> None:
    before = tree(folder / "A")
    again = shell("extract", "G", "--out", "A", "--json", folder=folder)
    assert again.exit_code == 0
    assert json.loads(again.out)["status"] == "nothing-to-do"
    assert tree(folder / "A") == before


@pytest.mark.parametrize("num_kills", [3, pytest.param(20, marks=pytest.mark.full)])
def test_p2_kill_9_never_loses_what_was_acknowledged(folder: Path, num_kills: int) -> None:
    shutil.rmtree(folder / "B", ignore_errors=True)
    dice = random.Random(num_kills)
    had: set[str] = set()
    # On a busy machine the first kills can fall before the first video: then there are more of them.
    for number in range(num_kills + 20):
        if number >= num_kills and had:
            break
        with start("extract", "G", "--out", "B", folder=folder) as process:
            time.sleep(dice.uniform(1.0, 4.5))
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        if not (folder / "B" / "store.json").exists():
            continue
        verified = shell("verify", "B", "--deep", folder=folder)
        assert verified.exit_code == 0, verified.err
        has = stored_ids(folder, "B")
        assert has >= had
        had = has
    assert had
    last = shell("extract", "G", "--out", "B", folder=folder)
    assert last.exit_code == 0, last.err
    assert_is_unbroken(folder, "B")


def test_p11_whoever_verifies_meanwhile_sees_no_half_file(folder: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from videobert_cli.core.features.store.check import verify_store\n"
        "store, count = Path(sys.argv[1]), 0\n"
        "while not Path(sys.argv[2]).exists():\n"
        "    if (store / 'store.json').exists():\n"
        "        damages = verify_store(store); assert not damages, damages; count += 1\n"
        "    time.sleep(0.02)\n"
        "print(count)"
    )
    watch = subprocess.Popen(
        [sys.executable, "-c", code, "W", "stop"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=environment(),
    )  # fmt: skip
    writers = [
        start("extract", "G", "--out", "W", "--shard", f"{index}/3", folder=folder) for index in range(3)
    ]
    for writer in writers:
        _, err = writer.communicate(timeout=300)
        assert writer.returncode == 0, err
    (folder / "stop").touch()
    out, err = watch.communicate(timeout=60)
    assert watch.returncode == 0, err
    assert int(out) > 20
    assert_is_unbroken(folder, "W")


def test_p21_shards_make_the_store_that_one_process_makes(folder: Path) -> None:
    shutil.rmtree(folder / "D", ignore_errors=True)
    shards = [
        start("extract", "G", "--out", "D", "--shard", f"{index}/4", folder=folder) for index in range(4)
    ]
    while not list((folder / "D").glob("spool/shard-1-of-4/*")) and shards[1].poll() is None:
        time.sleep(0.02)
    os.killpg(shards[1].pid, signal.SIGKILL)
    outcomes = [(process.communicate(timeout=300), process.returncode) for process in shards]
    assert outcomes[1][1] == -signal.SIGKILL
    assert [code for number, (_, code) in enumerate(outcomes) if number != 1] == [0, 0, 0]
    assert not (folder / "D" / "manifest.json").exists()
    last = shell("extract", "G", "--out", "D", "--shard", "1/4", folder=folder)
    assert last.exit_code == 0, last.err
    assert "all shards are done, the store is sealed" in last.out
    assert_is_unbroken(folder, "D")


def test_p21_the_shards_of_a_recipe_finish_its_stage(folder: Path) -> None:
    (folder / "recipe.yaml").write_text("run: runs/r\ndata:\n  videos: G\n")
    for index in range(2):
        part = shell("extract", "recipe.yaml", "--shard", f"{index}/2", folder=folder)
        assert part.exit_code == 0, part.err
    assert content_hash(folder / "runs/r/extract/features") == content_hash(folder / "A")
    whole = shell("extract", "recipe.yaml", "--json", folder=folder)
    assert json.loads(whole.out)["status"] == "nothing-to-do"
    assert json.loads(whole.out)["metrics"]["extract.num_videos"] == NUM_CLIPS
    refused = shell("extract", "recipe.yaml", "--shard", "0/2", "--overwrite", folder=folder)
    assert refused.exit_code == 2


def test_torchrun_gives_each_rank_its_shard(folder: Path) -> None:
    shutil.rmtree(folder / "T", ignore_errors=True)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "videobert_cli"]
    done = subprocess.run(
        [*command, "extract", "G", "--out", "T"], cwd=folder, env=environment(), capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert_is_unbroken(folder, "T")


def test_emit_slurm_writes_an_array_that_bash_can_read(folder: Path) -> None:
    done = shell(
        "extract",
        "recipe.yaml",
        "--retry-failed",
        "--emit-slurm",
        "job.sh",
        "--num-shards",
        "8",
        folder=folder,
    )
    assert done.exit_code == 0, done.err
    script = (folder / "job.sh").read_text()
    assert "#SBATCH --array=0-7\n" in script
    assert '\nsrun videobert extract recipe.yaml --retry-failed --shard "$SLURM_ARRAY_TASK_ID/8"\n' in script
    subprocess.run(["bash", "-n", folder / "job.sh"], check=True)

"""`videobert quantize` killed, stopped, and shared by two processes: always the same codebook."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from executable import environment, shell, start
from made_features import write_features

pytestmark = pytest.mark.slow
RECIPE = "quantize: {branching: 12, num_levels: 4, num_iterations: 30, tolerance: 0.0}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features that take some ten seconds to cluster, and the run `runs/whole` that was never disturbed."""
    folder = tmp_path_factory.mktemp("quantize")
    write_features(folder, recipe=RECIPE, num_videos=100, num_clips=400, dim=400)
    done = shell("quantize", "recipe.yaml", "--set", "run=runs/whole", folder=folder)
    assert done.exit_code == 0, done.err
    return folder


def hashes(run: Path) -> list[str]:
    return [
        str(json.loads((run / "quantize" / name / "manifest.json").read_text())["content_hash"])
        for name in ("codebook", "words")
    ]


def assert_is_whole(folder: Path, run: str) -> None:
    assert hashes(folder / run) == hashes(folder / "runs/whole")
    left = {path.name for path in (folder / run / "quantize").iterdir()}
    assert {"codebook", "words", "stage.json"} <= left
    assert "fit" not in left
    assert shell("verify", run, folder=folder).exit_code == 0


def wait_for(path: Path, process: "subprocess.Popen[str]") -> None:
    while process.poll() is None and not path.exists():
        time.sleep(0.02)


def test_p8_killed_five_times_it_ends_at_the_same_codebook(folder: Path) -> None:
    dice, run, num_killed, num_kept = random.Random(0), folder / "runs/killed", 0, 0
    for _ in range(5):
        with start("quantize", "recipe.yaml", "--set", "run=runs/killed", folder=folder) as process:
            wait_for(run / "quantize" / "stage.json", process)
            time.sleep(dice.uniform(0, 6))
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            num_killed += process.returncode == -signal.SIGKILL
        num_kept += (run / "quantize/fit/manifest.json").exists()
        assert shell("verify", "runs/killed", folder=folder).exit_code in {0, 3}
    assert num_killed > 0
    last = shell("quantize", "recipe.yaml", "--set", "run=runs/killed", folder=folder)
    assert last.exit_code == 0, last.err
    assert_is_whole(folder, "runs/killed")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_p6_p7_a_signal_keeps_what_is_fitted_and_the_same_command_goes_on(
    folder: Path, number: int, code: int
) -> None:
    name = f"runs/{signal.Signals(number).name}"
    with start("quantize", "recipe.yaml", "--set", f"run={name}", "--json", folder=folder) as process:
        wait_for(folder / name / "quantize" / "stage.json", process)
        time.sleep(1.5)
        os.killpg(process.pid, number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "the codebook as far as it is fitted" in json.loads(out)["error"]["what"]
    assert (folder / name / "quantize/fit/manifest.json").exists()
    again = shell("quantize", "recipe.yaml", "--set", f"run={name}", folder=folder)
    assert again.exit_code == 0, again.err
    assert_is_whole(folder, name)


def test_two_ranks_fit_the_codebook_of_one(folder: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "videobert_cli"]
    arguments = ["quantize", "recipe.yaml", "--set", "run=runs/ranks"]
    for _ in range(2):
        done = subprocess.run(
            [*command, *arguments], cwd=folder, env=environment(), capture_output=True, text=True, check=False, timeout=300
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert_is_whole(folder, "runs/ranks")
    assert "nothing to do" in done.stdout

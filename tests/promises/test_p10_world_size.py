"""P10: a run may go on with another number of ranks, and what they are told, say and leave is that of one process."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from executable import EXECUTABLE, FinishedRun, environment

NO_TRAINING = ("pretrain", "finetune", "evaluate*")
# Ranks draw dropout of their own, and bfloat16 rounds at the third digit: without them a step is the same, however many
# take it.
SETTINGS = {
    "model.dropout": 0,
    "optimizer.learning_rate": 1e-3,
    "loop.precision": "float32",
    "loop.num_steps": 5_000,
    "loop.log_every_steps": 1,
    "loop.save_every_steps": 10,
    "loop.keep_num_checkpoints": 100,
}
FLAGS = [text for name, value in SETTINGS.items() for text in ("--set", f"pretrain.{name}={value}")]
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "videobert_cli")


def _copy(finished: FinishedRun, folder: Path) -> Path:
    finished.copy(folder, without=NO_TRAINING)
    return folder / "runs" / "tiny" / "pretrain"


def _train_until(
    is_enough: Callable[[], bool], *, folder: Path, ranks: int, flags: tuple[str, ...] = ()
) -> str:
    """Pretrain until enough is done, ask for a stop, and return what was said on stderr."""
    program = TORCHRUN if ranks == 2 else (EXECUTABLE,)
    command = [*program, "pretrain", "tiny.yaml", *FLAGS, *flags]
    with subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:  # fmt: skip
        while process.poll() is None and not is_enough():
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGTERM)
        out, err = process.communicate(timeout=600)
    # torchrun knows no code but 1 for a process that stopped; ours is 75.
    assert process.returncode == (1 if ranks == 2 else 75), err
    assert out == ""
    assert err.count("error: ") == 1, err
    assert "error: stopped by SIGTERM: saved step" in err
    return err


def _losses(directory: Path) -> dict[int, float]:
    path = directory / "metrics.jsonl"
    text = path.read_text() if path.exists() else ""
    lines = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    found = [(line["step"], line["loss"]) for line in lines if "loss" in line]
    assert [step for step, _ in found] == list(range(1, len(found) + 1)), "each step is logged once"
    return dict(found)


def _keep_until(directory: Path, step: int) -> None:
    """Take the run back to what it was after `step`."""
    for path in (directory / "checkpoints").glob("step-*"):
        if int(path.name.removeprefix("step-")) > step:
            shutil.rmtree(path)
    # The lines after it, too: whoever waits for so many lines would find them there at once.
    path = directory / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if json.loads(line)["step"] <= step))


def _same_from_31_to_35(directory: Path, other: Path) -> None:
    ours, theirs = _losses(directory), _losses(other)
    for step in range(31, 36):
        assert ours[step] == pytest.approx(theirs[step], rel=1e-5), step


@pytest.fixture(scope="module")
def unbroken(finished_run: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pretraining of one process, 35 steps or a few more."""
    folder = tmp_path_factory.mktemp("unbroken")
    directory = _copy(finished_run, folder)
    _train_until(lambda: len(_losses(directory)) >= 35, folder=folder, ranks=1)
    return directory


def test_p10_two_ranks_to_step_30_then_one_process(
    finished_run: FinishedRun, unbroken: Path, tmp_path: Path
) -> None:
    directory = _copy(finished_run, tmp_path)
    checkpoint = directory / "checkpoints" / "step-000030"
    # What prepares sequences is no more part of the result than how many train.
    _train_until(checkpoint.exists, folder=tmp_path, ranks=2, flags=("--set", "pretrain.num_workers=1"))
    of_two = _losses(directory)
    for step in range(1, 31):
        assert of_two[step] == pytest.approx(_losses(unbroken)[step], rel=1e-5), step
    _keep_until(directory, 30)
    err = _train_until(lambda: len(_losses(directory)) >= 35, folder=tmp_path, ranks=1)
    assert "going on at step 30" in err
    _same_from_31_to_35(directory, unbroken)


def test_p10_one_process_to_step_30_then_two_ranks_with_a_part_of_the_model_each(
    finished_run: FinishedRun, unbroken: Path, tmp_path: Path
) -> None:
    directory = _copy(finished_run, tmp_path)
    shutil.copytree(unbroken, directory)
    _keep_until(directory, 30)
    flags = ("--set", "pretrain.loop.sharding=full")
    checkpoint = directory / "checkpoints" / "step-000040"
    err = _train_until(checkpoint.exists, folder=tmp_path, ranks=2, flags=flags)
    assert "going on at step 30" in err
    assert err.count("going on") == 1
    _same_from_31_to_35(directory, unbroken)

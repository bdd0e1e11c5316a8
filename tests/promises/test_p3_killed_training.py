"""P3, P5: a training that is killed with -9, at any moment and inside the save, ends at the same bytes."""

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
from executable import FinishedRun, shell
from nursery import nursery
from training_runs import Training, train_unbroken, wait_until

# Average and micro-batches have state of their own to lose.
SETTINGS = ("pretrain.loop.ema_decay=0.9", "pretrain.loop.num_micro_batches=2")


def _last_step(log: Path) -> int:
    """Return the last whole line's step."""
    lines = log.read_bytes().split(b"\n")[:-1] if log.exists() else []
    return int(json.loads(lines[-1])["step"]) if lines else 0


def _kill_at_random(training: Training, folder: Path, *, num_kills: int, num_steps: int, seed: int) -> None:
    """Kill the command so many times, each a random number of steps further, some while it starts; then let it end."""
    run, dice = training.fresh(folder), random.Random(seed)
    log, far = run / "pretrain" / "metrics.jsonl", 0
    with nursery(folder) as commands:
        for _ in range(num_kills):
            is_early = dice.random() < 0.2
            far = max(far, _last_step(log)) + dice.randint(1, num_steps // num_kills)
            pid = commands.start("pretrain", "tiny.yaml", *training.flags)
            if not is_early:
                wait_until(
                    lambda: _last_step(log) >= far,  # noqa: B023 - asked only in this turn
                    is_alive=lambda pid=pid: commands.is_running(pid),
                    every_seconds=0.01,
                )
            time.sleep(dice.uniform(0, 1.0 if is_early else 0.02))
            os.kill(pid, signal.SIGKILL)
            assert commands.exit_code() == -signal.SIGKILL, commands.output()
    last = shell("pretrain", "tiny.yaml", *training.flags, folder=folder)
    assert last.exit_code == 0, last.err
    assert "going on at step" in last.err
    training.require_same(run)


@pytest.mark.parametrize(
    ("num_kills", "num_steps", "settings"),
    [
        pytest.param(4, 60, SETTINGS, marks=pytest.mark.slow),
        pytest.param(10, 60, (), marks=pytest.mark.full),
        pytest.param(50, 200, (), marks=pytest.mark.full),
    ],
)
def test_p3_killed_at_random_moments_it_ends_at_the_same_weights(
    finished_run: FinishedRun, tmp_path: Path, num_kills: int, num_steps: int, settings: tuple[str, ...]
) -> None:
    rhythm = (f"pretrain.loop.num_steps={num_steps}", "pretrain.loop.save_every_steps=5")
    training = train_unbroken(
        finished_run, tmp_path / "unbroken", stage="pretrain", settings=(*rhythm, *settings)
    )
    (tmp_path / "killed").mkdir()
    _kill_at_random(training, tmp_path / "killed", num_kills=num_kills, num_steps=num_steps, seed=num_kills)


# --- inside the save -------------------------------------------------------------------------------------------------


def _kill_in_the_save(training: Training, folder: Path, *, num_kills: int, seed: int) -> int:
    """Kill the command so many times up to 50 ms after it has begun to save; return how many left a half one."""
    run, dice = training.fresh(folder), random.Random(seed)
    checkpoints, num_halves = run / "pretrain" / "checkpoints", 0
    with nursery(folder) as commands:
        for _ in range(num_kills):
            before = {path.name for path in checkpoints.glob(".tmp-*")}
            pid = commands.start("pretrain", "tiny.yaml", *training.flags)
            wait_until(
                lambda before=before: any(path.name not in before for path in checkpoints.glob(".tmp-*")),
                is_alive=lambda pid=pid: commands.is_running(pid),
            )
            time.sleep(dice.uniform(0, 0.05))
            os.kill(pid, signal.SIGKILL)
            assert commands.exit_code() == -signal.SIGKILL, commands.output()
            num_halves += any(checkpoints.glob(".tmp-*"))
    last = shell("pretrain", "tiny.yaml", *training.flags, folder=folder)
    assert last.exit_code == 0, last.err
    training.require_same(run)
    return num_halves


@pytest.mark.parametrize(
    ("num_kills", "num_steps"),
    [pytest.param(5, 30, marks=pytest.mark.slow), pytest.param(200, 1_000, marks=pytest.mark.full)],
)
def test_p5_killed_inside_the_save_nothing_is_lost(
    finished_run: FinishedRun, tmp_path: Path, num_kills: int, num_steps: int
) -> None:
    settings = (
        f"pretrain.loop.num_steps={num_steps}", "pretrain.loop.save_every_steps=1", "pretrain.loop.ema_decay=0.9",
        "pretrain.model.hidden_size=128", "pretrain.model.intermediate_size=1024",
    )  # fmt: skip
    training = train_unbroken(finished_run, tmp_path / "unbroken", stage="pretrain", settings=settings)
    (tmp_path / "killed").mkdir()
    num_halves = _kill_in_the_save(training, tmp_path / "killed", num_kills=num_kills, seed=num_kills)
    print(f"{num_halves} of {num_kills} kills left a half checkpoint")
    assert num_halves >= num_kills // 10

"""P6, P7, P22: a training that is asked to stop saves and says how to go on; the same command ends at the same bytes."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from executable import FinishedRun, shell, start
from training_runs import Training, train_unbroken, wait_until

pytestmark = pytest.mark.slow
LENGTH = {"pretrain": 150, "finetune": 300}
# What a machine that is busy with other tests gets on top of the promise.
SECONDS_FOR_OTHERS = 20.0


@pytest.fixture(scope="module")
def trainings(finished_run: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Training]:
    """Each stage that trains, long enough to be stopped."""
    return {
        stage: train_unbroken(
            finished_run,
            tmp_path_factory.mktemp(stage),
            stage=stage,
            settings=(f"{stage}.loop.num_steps={num_steps}", f"{stage}.loop.save_every_steps=10"),
        )
        for stage, num_steps in LENGTH.items()
    }


def _has_saved(run: Path, stage: str) -> bool:
    return any(run.glob(f"{stage}/checkpoints/step-*"))


@pytest.mark.parametrize(
    ("stage", "number", "code"),
    [
        ("pretrain", signal.SIGTERM, 75),
        ("pretrain", signal.SIGUSR1, 75),
        ("pretrain", signal.SIGINT, 130),
        ("finetune", signal.SIGTERM, 75),
        ("finetune", signal.SIGUSR1, 75),
        ("finetune", signal.SIGINT, 130),
    ],
)
def test_p6_p7_a_signal_saves_at_once_and_the_same_command_ends_at_the_same_bytes(
    trainings: dict[str, Training], tmp_path: Path, stage: str, number: int, code: int
) -> None:
    training = trainings[stage]
    run = training.fresh(tmp_path)
    with start(stage, "tiny.yaml", *training.flags, "--json", folder=tmp_path) as process:
        assert wait_until(lambda: _has_saved(run, stage), is_alive=lambda: process.poll() is None)
        os.killpg(process.pid, number)
        asked = time.monotonic()
        out, err = process.communicate(timeout=120)
    assert time.monotonic() - asked < 30, "longer than a scheduler waits"
    assert process.returncode == code, err
    what = json.loads(out)["error"]["what"]
    assert what.startswith(f"stopped by {signal.Signals(number).name}: saved step ")
    saved = int(what.split("saved step ")[1].split(" of ")[0])
    assert (run / stage / "checkpoints" / f"step-{saved:06d}" / "manifest.json").exists()
    assert "Traceback" not in err
    again = shell(stage, "tiny.yaml", *training.flags, folder=tmp_path)
    assert again.exit_code == 0, again.err
    assert f"{stage}: going on at step {saved} of {LENGTH[stage]}" in again.err
    training.require_same(run)


def test_p7_a_second_ctrl_c_ends_a_training_at_once_and_loses_nothing(
    trainings: dict[str, Training], tmp_path: Path
) -> None:
    training = trainings["pretrain"]
    run = training.fresh(tmp_path)
    with start("pretrain", "tiny.yaml", *training.flags, folder=tmp_path) as process:
        assert wait_until(lambda: _has_saved(run, "pretrain"), is_alive=lambda: process.poll() is None)
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)
        asked = time.monotonic()
        _, err = process.communicate(timeout=120)
    assert time.monotonic() - asked < 2 + SECONDS_FOR_OTHERS
    assert process.returncode == 130, err
    assert "Traceback" not in err
    verified = shell("verify", "runs/tiny", folder=tmp_path)
    assert verified.exit_code == 0, verified.err
    again = shell("pretrain", "tiny.yaml", *training.flags, folder=tmp_path)
    assert again.exit_code == 0, again.err
    training.require_same(run)


def test_p22_a_time_limit_saves_and_stops(finished_run: FinishedRun, tmp_path: Path) -> None:
    finished_run.copy(tmp_path, without=("pretrain", "finetune", "evaluate*"))
    run = tmp_path / "runs" / "tiny"
    endless = ("--set", "pretrain.loop.num_steps=1000000", "--set", "pretrain.loop.save_every_steps=1000000")
    for limit in (6, 30, 120):
        began = time.monotonic()
        first = shell(
            "pretrain", "tiny.yaml", *endless, "--time-limit", f"{limit}s", "--json", folder=tmp_path
        )
        assert limit <= time.monotonic() - began < limit + 5 + SECONDS_FOR_OTHERS
        assert first.exit_code == 75, first.err
        document = json.loads(first.out)
        assert document["status"] == "interrupted"
        what = document["error"]["what"]
        assert what.startswith("stopped by the time limit: ")
        if "saved step" in what:  # on a machine that is busy, all the time may go before the first step
            break
    assert "run the same command again" in first.err
    saved = what.split("saved step ")[1].split(" of ")[0]
    assert [path.name for path in run.glob("pretrain/checkpoints/*")] == [
        f"step-{int(saved.replace(',', '')):06d}"
    ]
    again = shell(
        "pretrain",
        "tiny.yaml",
        *endless,
        "--time-limit",
        f"00:{limit // 60:02d}:{limit % 60:02d}",
        folder=tmp_path,
    )
    assert again.exit_code == 75, again.err
    assert f"going on at step {saved} of 1,000,000" in again.err


@pytest.mark.parametrize("text", ["soon", "0", "5 minutes", "1:2:3"])
def test_p22_a_time_that_is_none_is_refused(invoke, text: str) -> None:
    outcome = invoke("pretrain", "demo", "--time-limit", text)
    assert outcome.exit_code == 2
    assert f"{text!r} is not a duration" in outcome.error_lines[0]

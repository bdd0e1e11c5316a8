"""P9: processes that prepare sequences change nothing of the model, and do not outlive the command."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from executable import FinishedRun, lasting_metrics, shell, start

WEIGHTS = "pretrain/model/model.safetensors"
NO_PRETRAINING = ("pretrain", "finetune", "evaluate*")


def _children(pid: int) -> list[int]:
    """The processes that a process has started and that still live."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def _are_gone(pids: list[int], *, within_seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("num_workers", [1, 4])
def test_p9_any_number_of_workers_gives_the_same_bytes(
    finished_run: FinishedRun, tmp_path: Path, num_workers: int
) -> None:
    folder = finished_run.copy(tmp_path, without=NO_PRETRAINING)
    run = folder / "runs" / "tiny"
    setting = ("--set", f"pretrain.num_workers={num_workers}")
    outcome = shell("pretrain", "tiny.yaml", *setting, folder=folder)
    assert outcome.exit_code == 0, outcome.err
    for name in (WEIGHTS, "pretrain/model/manifest.json"):
        assert (run / name).read_bytes() == (finished_run.root / name).read_bytes(), name
    logged = [root / "pretrain/metrics.jsonl" for root in (run, finished_run.root)]
    assert lasting_metrics(logged[0]) == lasting_metrics(logged[1])
    # How many there were is no setting of the model: the run is the same one with another number.
    again = shell("pretrain", "tiny.yaml", "--set", "pretrain.num_workers=0", "--json", folder=folder)
    assert json.loads(again.out)["status"] == "nothing-to-do", again.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_p9_workers_end_with_the_command_and_the_run_goes_on_without_them(
    finished_run: FinishedRun, tmp_path: Path, number: int
) -> None:
    folder = finished_run.copy(tmp_path, without=NO_PRETRAINING)
    run = folder / "runs" / "tiny"
    endless = ("--set", "pretrain.loop.num_steps=1000000", "--set", "pretrain.num_workers=2")
    with start("pretrain", "tiny.yaml", *endless, folder=folder) as process:
        while process.poll() is None and not any(run.glob("pretrain/checkpoints/step-*")):
            time.sleep(0.01)
        workers = _children(process.pid)
        assert len(workers) == 2
        os.killpg(process.pid, number)
        _, err = process.communicate(timeout=60)
    code = {signal.SIGINT: 130, signal.SIGTERM: 75, signal.SIGKILL: -signal.SIGKILL}[number]
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert _are_gone(workers)
    assert not list(run.rglob(".tmp-*")) or number == signal.SIGKILL


def test_p9_a_worker_that_is_killed_is_an_error_and_the_next_command_goes_on(
    finished_run: FinishedRun, tmp_path: Path
) -> None:
    folder = finished_run.copy(tmp_path, without=NO_PRETRAINING)
    run = folder / "runs" / "tiny"
    long = ("--set", "pretrain.loop.num_steps=300", "--set", "pretrain.loop.save_every_steps=20")
    with start("pretrain", "tiny.yaml", *long, "--set", "pretrain.num_workers=2", folder=folder) as process:
        while process.poll() is None and not any(run.glob("pretrain/checkpoints/step-*")):
            time.sleep(0.01)
        os.kill(_children(process.pid)[0], signal.SIGKILL)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 5, err
    assert "error: a process that prepares sequences ended with signal SIGKILL" in err
    assert "--set pretrain.num_workers=0" in err
    again = shell("pretrain", "tiny.yaml", *long, folder=folder)
    assert again.exit_code == 0, again.err
    assert "going on at step" in again.err
    for stage in ("extract", "quantize"):
        shutil.copytree(run / stage, folder / "runs" / "whole" / stage)
    whole = shell("pretrain", "tiny.yaml", *long, "--set", "run=runs/whole", folder=folder)
    assert whole.exit_code == 0, whole.err
    assert (run / WEIGHTS).read_bytes() == (folder / "runs/whole" / WEIGHTS).read_bytes()

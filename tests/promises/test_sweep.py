"""A sweep through the command line: earlier stages made once, killed with -9 and gone on with, the best as a recipe."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from executable import FinishedRun, lasting_metrics, shell, start

pytest.importorskip("optuna")

SWEEP = """\
num_trials: 3
metric: loss
pruner: none
sampler: random
space:
  pretrain.optimizer.learning_rate: {float: [1e-4, 1e-2], log: true}
  pretrain.model.hidden_size: {choice: [32, 48]}
  pretrain.model.num_attention_heads: {choice: [2, 32]}
"""
TRAINED = ("pretrain", "finetune", "evaluate*")


def _folder(finished: FinishedRun, path: Path, *, sweep: str = SWEEP) -> Path:
    folder = finished.copy(path, without=TRAINED)
    (folder / "sweep.yaml").write_text(sweep)
    return folder


@pytest.mark.full
def test_a_sweep_that_is_killed_ends_as_one_that_is_not(finished_run: FinishedRun, tmp_path: Path) -> None:
    whole, broken = (_folder(finished_run, tmp_path / name) for name in ("whole", "broken"))
    outcome = shell("pretrain", "tiny.yaml", "--sweep", "sweep.yaml", "--json", folder=whole)
    assert outcome.exit_code == 0, outcome.err
    document = json.loads(outcome.out)
    assert document["metrics"]["sweep.num_trials"] == 3
    for wait in ("0000/pretrain/checkpoints/step-000004", "0001/pretrain/stage.json"):
        with start("pretrain", "tiny.yaml", "--sweep", "sweep.yaml", folder=broken) as process:
            trials = broken / "runs/tiny/sweeps/sweep/trials"
            while process.poll() is None and not (trials / wait).exists() and not (trials / "0002").exists():
                time.sleep(0.01)
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    last = shell("pretrain", "tiny.yaml", "--sweep", "sweep.yaml", "--json", folder=broken)
    assert last.exit_code == 0, last.err
    again = json.loads(last.out)
    assert again["metrics"] == document["metrics"]
    assert again["outputs"]["best_settings"] == document["outputs"]["best_settings"]
    trained = []
    for trial in ("0000", "0001", "0002"):
        metrics = [
            root / f"runs/tiny/sweeps/sweep/trials/{trial}/pretrain/metrics.jsonl" for root in (whole, broken)
        ]
        assert [path.exists() for path in metrics] in ([True, True], [False, False])
        if metrics[0].exists():
            trained.append(metrics[0].parents[1])
            assert lasting_metrics(metrics[0]) == lasting_metrics(metrics[1])
    # A trial whose values cannot be has no run; in the others the earlier stages are those made once, for all.
    assert trained
    for trial in trained:
        assert all((trial / stage).is_symlink() for stage in ("extract", "quantize"))
    # The best is a recipe: its model is there, and later stages go on from it.
    best = shell("pretrain", document["outputs"]["best_recipe"], "--json", folder=whole)
    assert json.loads(best.out)["status"] == "nothing-to-do", best.err
    assert shell("evaluate", document["outputs"]["best_recipe"], folder=whole).exit_code == 0
    # Run again it does nothing; with another space it is refused.
    done = shell("pretrain", "tiny.yaml", "--sweep", "sweep.yaml", "--json", folder=whole)
    assert json.loads(done.out)["status"] == "nothing-to-do"
    (whole / "sweep.yaml").write_text(SWEEP.replace("1e-2", "1e-3"))
    refused = shell("pretrain", "tiny.yaml", "--sweep", "sweep.yaml", folder=whole)
    assert refused.exit_code == 2
    assert "was begun with something else" in refused.err
    assert "0.01" in refused.err


@pytest.mark.parametrize(
    ("space", "told"),
    [
        (
            "quantize.num_levels: {choice: [1, 3]}",
            "quantize.num_levels changes quantize, which all trials share",
        ),
        ("pretrain.num_workers: {int: [0, 2]}", "pretrain.num_workers changes nothing that pretrain makes"),
        ("pretrain.loop.steps: {int: [1, 2]}", "pretrain.loop.steps: unknown key -> did you mean num_steps?"),
    ],
)
def test_a_useless_key_is_told_before_any_trial(
    finished_run: FinishedRun, tmp_path: Path, invoke, monkeypatch, space: str, told: str
) -> None:
    folder = _folder(finished_run, tmp_path / "copy", sweep=f"num_trials: 2\nspace:\n  {space}\n")
    monkeypatch.chdir(folder)
    outcome = invoke("pretrain", "tiny.yaml", "--sweep", "sweep.yaml")
    assert outcome.exit_code == 2, outcome.err
    assert told in outcome.err
    assert not (folder / "runs/tiny/sweeps").exists()

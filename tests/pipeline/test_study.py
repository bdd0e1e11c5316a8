"""Optuna's part: trials that survive, are drawn again as before, are given up, and the best of them."""

import importlib.util
from pathlib import Path

import pytest

from videobert_cli.errors import UsageError
from videobert_cli.pipeline.study import Study, TrialPrunedError, require_optuna
from videobert_cli.recipe.sweep import Dimension, Sweep

SPACE = (
    Dimension(key="rate", kind="float", values=(1e-5, 1e-1), is_log=True),
    Dimension(key="layers", kind="int", values=(1, 5), step=2),
    Dimension(key="list", kind="choice", values=([1, 2], "a", None, True)),
)


def sweep(**changes):
    given = {
        "num_trials": 6,
        "metric": "loss",
        "direction": "minimize",
        "pruner": "median",
        "sampler": "tpe",
        **changes,
    }
    return Sweep(path=Path("sweep.yaml"), space=SPACE, **given)


def study(folder, **changes):
    pytest.importorskip("optuna")
    return Study(folder, sweep(**changes), num_steps=90, seed=3)


pytestmark = pytest.mark.slow


def test_a_killed_study_draws_what_it_would_have_drawn(tmp_path):
    whole, drawn = study(tmp_path / "whole"), []
    for number in range(6):
        trial = whole.next_trial()
        drawn.append(dict(trial.settings))
        whole.tell(trial, float(number))
    assert len({str(settings) for settings in drawn}) > 3
    again = []
    for number in range(6):
        study(tmp_path / "broken").next_trial()  # the process is killed here
        broken = study(tmp_path / "broken")
        trial = broken.next_trial()
        assert (trial.number, trial.was_begun) == (number, True)
        again.append(dict(trial.settings))
        broken.tell(trial, float(number))
    assert again == drawn
    assert study(tmp_path / "broken").num_ended == 6


@pytest.mark.parametrize(("direction", "number", "value"), [("minimize", 1, 1.0), ("maximize", 0, 5.0)])
def test_the_best_is_the_first_of_equals_and_no_failed_one(tmp_path, direction, number, value):
    found = study(tmp_path, direction=direction)
    for told in (5.0, 1.0, 1.0, None):
        trial = found.next_trial()
        found.tell_failed(trial) if told is None else found.tell(trial, told)
    assert (found.best.number, found.best.value) == (number, value)
    assert (found.num_ended, found.num_failed, found.num_pruned) == (4, 1, 0)


def test_a_trial_worse_than_the_middle_of_the_others_is_given_up(tmp_path):
    found = study(tmp_path)
    for _ in range(3):
        trial = found.next_trial()
        for step in (10, 20):
            trial.report(1.0, step=step)
        found.tell(trial, 1.0)
    trial = found.next_trial()
    with pytest.raises(TrialPrunedError):
        trial.report(9.0, step=10)
    found.tell_pruned(trial)
    assert found.num_pruned == 1
    # What a killed process has reported is not told twice.
    left = found.next_trial()
    left.report(0.5, step=10)
    study(tmp_path).next_trial().report(0.7, step=10)


def test_without_optuna_it_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(UsageError, match="optuna") as caught:
        require_optuna()
    assert caught.value.fix == "pip install 'videobert-cli[sweep]'"

"""Checkpoints: what comes back is what was saved, the newest by number, and no more of them than wanted."""

import json

import pytest
import torch
from training_samples import CONFIG

from videobert_cli.artifacts import verify
from videobert_cli.core.model.init import new_model
from videobert_cli.core.training.checkpoint import (
    TrainingState,
    checkpoint_path,
    checkpoint_problem,
    cut_metrics,
    latest_checkpoint,
    load_checkpoint,
    load_weights,
    prune_checkpoints,
    save_checkpoint,
)
from videobert_cli.core.training.optimizer import build_optimizer, optimizer_tensors
from videobert_cli.core.training.options import OptimizerOptions


def small_model(seed=0):
    torch.manual_seed(seed)
    model = torch.nn.Linear(3, 2)
    return model, build_optimizer(model, options=OptimizerOptions())


def save(directory, step):
    model, optimizer = small_model()
    return save_checkpoint(directory, model=model, optimizer=optimizer, state=TrainingState(step=step))


def newest(directory):
    damaged = []
    path = latest_checkpoint(directory, on_damaged=lambda path, problem: damaged.append((path.name, problem)))
    return path.name if path else None, damaged


def test_model_moments_and_state_come_back(tmp_path):
    model = new_model(CONFIG, seed=0)
    optimizer = build_optimizer(model, options=OptimizerOptions(learning_rate=1e-2))
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    state = TrainingState(
        step=3,
        best_loss=0.1 + 0.2,
        best_step=2,
        num_validations_without_gain=1,
        sums={"loss": 1 / 3},
        num_summed={"loss": 2},
    )
    path = save_checkpoint(tmp_path, model=model, optimizer=optimizer, state=state)
    assert verify(path) == []
    other = new_model(CONFIG, seed=1)
    other_optimizer = build_optimizer(other, options=OptimizerOptions(learning_rate=1e-2))
    assert load_checkpoint(path, model=other, optimizer=other_optimizer) == state
    assert all(
        torch.equal(a, b)
        for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True)
    )
    ours, theirs = optimizer_tensors(model, optimizer), optimizer_tensors(other, other_optimizer)
    assert ours.keys() == theirs.keys()
    assert ours
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_weights_alone_come_back(tmp_path):
    path = save(tmp_path, 1)
    other, _ = small_model(seed=5)
    load_weights(path, model=other)
    assert torch.equal(other.weight, small_model()[0].weight)


def test_the_newest_is_the_one_of_the_highest_step_also_above_a_million(tmp_path):
    assert newest(tmp_path) == (None, [])
    for step in (900, 999_999, 1_000_000, 12):
        save(tmp_path, step)
    (tmp_path / "checkpoints" / "step-best").mkdir()
    assert newest(tmp_path) == ("step-1000000", [])
    prune_checkpoints(tmp_path, keep_newest=2, keep_step=12)
    names = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert names == {"step-000012", "step-999999", "step-1000000", "step-best"}


def test_damaged_ones_are_reported_newest_first_and_thrown_away(tmp_path):
    for step in (1, 2, 3):
        save(tmp_path, step)
    (checkpoint_path(tmp_path, 3) / "state.json").unlink()
    (checkpoint_path(tmp_path, 2) / "manifest.json").write_text("{")
    name, damaged = newest(tmp_path)
    assert name == "step-000001"
    assert [step for step, _ in damaged] == ["step-000003", "step-000002"]
    assert damaged[0][1] == "state.json is missing"
    assert "manifest cannot be read" in damaged[1][1]
    assert newest(tmp_path) == ("step-000001", [])
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-000001"]


def test_a_problem_is_said_in_words(tmp_path):
    path = save(tmp_path, 1)
    assert checkpoint_problem(path) is None
    assert "no manifest.json" in checkpoint_problem(tmp_path / "nowhere")
    (path / "model.safetensors").write_bytes(b"")
    assert "model.safetensors has 0 bytes" in checkpoint_problem(path)


def test_saving_fails_whole(tmp_path):
    model, optimizer = small_model()
    with pytest.raises(ValueError, match="not JSON compliant"):
        save_checkpoint(
            tmp_path, model=model, optimizer=optimizer, state=TrainingState(step=1, best_loss=float("nan"))
        )
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_metrics_are_cut_to_the_steps_that_were_saved(tmp_path):
    path = tmp_path / "metrics.jsonl"
    cut_metrics(path, last_step=1)
    assert not path.exists()
    lines = [json.dumps({"step": step, "loss": step / 3}) for step in (1, 2, 2, 3)]
    path.write_text("\n".join([*lines, '{"other": 1}', "[1]", '{"step": "x"}', '{"step": 2, "lo']))
    cut_metrics(path, last_step=2)
    assert path.read_text() == "".join(f"{line}\n" for line in lines[:3])

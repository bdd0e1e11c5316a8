"""Checkpoints: a directory published by rename, hashed, and taken only if it verifies."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from videobert_cli.artifacts import (
    discard,
    publish_bytes,
    publish_directory,
    publish_json,
    seal,
    sweep,
    verify,
)
from videobert_cli.core.training.average import WeightAverage
from videobert_cli.core.training.optimizer import optimizer_tensors, restore_optimizer
from videobert_cli.core.training.sharded import gathered, like
from videobert_cli.errors import ArtifactError

KIND = "checkpoint"
WEIGHTS_NAME = "model.safetensors"
OPTIMIZER_NAME = "optimizer.safetensors"
AVERAGE_NAME = "average.safetensors"
STATE_NAME = "state.json"


@dataclass(kw_only=True)
class TrainingState:
    """Everything but tensors that the next step depends on; randomness is a function of the step and needs no state.

    `sums` and `num_summed`, by metric, are the running means since the last logged line; a metric that a step does not
    have (no masked word in its batch) does not count in that step. `num_sequences` are those of all steps together:
    where batches have a budget of tokens, the next one begins there. `num_micro_batches` is what memory was found
    to need.
    """

    step: int = 0
    num_sequences: int = 0
    num_micro_batches: int = 1
    best_loss: float | None = None
    best_step: int | None = None
    num_validations_without_gain: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    num_summed: dict[str, int] = field(default_factory=dict)
    is_finished: bool = False


def checkpoint_path(directory: Path, step: int) -> Path:
    """Return where the checkpoint of `step` lies under a stage's directory."""
    return directory / "checkpoints" / f"step-{step:06d}"


def save_checkpoint(
    directory: Path,
    *,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: TrainingState,
    average: WeightAverage | None = None,
    is_writing: bool = True,
) -> Path:
    """Publish model, optimizer, state and the weights' average as one directory.

    Nothing is visible until all of it is on disk. Of several ranks all must ask, as each may hold a part of the
    tensors, and one writes: whole tensors, which any number of ranks can load.
    """
    path = checkpoint_path(directory, state.step)
    weights = gathered(model.state_dict().items(), is_kept=is_writing)
    moments = gathered(optimizer_tensors(model, optimizer).items(), is_kept=is_writing)
    averages = gathered(average.tensors().items() if average else (), is_kept=is_writing)
    if not is_writing:
        return path
    with publish_directory(path) as temporary:
        save_file(weights, temporary / WEIGHTS_NAME)
        save_file(moments, temporary / OPTIMIZER_NAME)
        if average is not None:
            save_file(averages, temporary / AVERAGE_NAME)
        publish_json(temporary / STATE_NAME, asdict(state))
        seal(temporary, kind=KIND, facts={"step": state.step})
    return path


def latest_checkpoint(directory: Path, *, on_damaged: Callable[[Path, str], None]) -> Path | None:
    """Return the newest checkpoint that verifies; each newer one that does not is reported and thrown away."""
    folder = directory / "checkpoints"
    sweep(folder)
    for path in _newest_first(folder):
        problem = checkpoint_problem(path)
        if problem is None:
            return path
        on_damaged(path, problem)
        discard(path)
    return None


def newest_checkpoint(directory: Path) -> Path | None:
    """Return the newest checkpoint under a stage's directory, verified or not, None where there is none."""
    return next(iter(_newest_first(directory / "checkpoints")), None)


def load_checkpoint(
    path: Path,
    *,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: WeightAverage | None = None,
) -> TrainingState:
    """Put a checkpoint's weights, moments and average back and return its state."""
    load_weights(path, model=model)
    restore_optimizer(model, optimizer, load_file(path / OPTIMIZER_NAME))
    if average is not None:
        average.restore(load_file(path / AVERAGE_NAME))
    return TrainingState(**json.loads((path / STATE_NAME).read_text(encoding="utf-8")))


def load_weights(path: Path, *, model: nn.Module, average: WeightAverage | None = None) -> None:
    """Put only the weights of a checkpoint back, or their average where there is one."""
    current = model.state_dict()
    saved = load_file(path / WEIGHTS_NAME)
    placed = {name: like(value, current[name]) if name in current else value for name, value in saved.items()}
    model.load_state_dict(placed, strict=True)
    if average is not None:
        average.restore(load_file(path / AVERAGE_NAME))
        average.put_into_model()


def prune_checkpoints(directory: Path, *, keep_newest: int, keep_step: int | None) -> None:
    """Delete all checkpoints but the newest few and the one of `keep_step` (the best)."""
    for path in _newest_first(directory / "checkpoints")[keep_newest:]:
        if keep_step is None or path != checkpoint_path(directory, keep_step):
            discard(path)


def cut_metrics(path: Path, *, last_step: int) -> None:
    """Drop the lines of `metrics.jsonl` after `last_step` and any torn last line, so each step appears once."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            if json.loads(line)["step"] <= last_step:
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError):
            continue
    publish_bytes(path, "".join(kept).encode())


def checkpoint_problem(path: Path) -> str | None:
    """Return what is wrong with a checkpoint, None when it verifies."""
    try:
        damages = verify(path)
    except ArtifactError as error:
        return error.what
    return f"{damages[0].path.name} {damages[0].problem}" if damages else None


def _newest_first(folder: Path) -> list[Path]:
    """Return the checkpoints by their step, which is a number: as text, step 1,000,000 comes before 999,999."""
    steps = {path: path.name.removeprefix("step-") for path in folder.glob("step-*")}
    numbered = [path for path, step in steps.items() if step.isdecimal()]
    return sorted(numbered, key=lambda path: int(steps[path]), reverse=True)

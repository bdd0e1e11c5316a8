"""The only training loop: pretraining and fine-tuning are jobs for it.

A step's batch and dropout are functions of (seed, step), so a run killed anywhere and started again from its last
checkpoint takes the same steps and ends at the same weights, byte for byte on a CPU.
"""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from videobert_cli.artifacts import append_line
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
from videobert_cli.core.training.optimizer import build_optimizer, learning_rate, set_learning_rate
from videobert_cli.core.training.options import LoopOptions, OptimizerOptions
from videobert_cli.errors import NonFiniteLossError
from videobert_cli.runtime import StopRequest, derive_seed, has_fast_bfloat16

METRICS_NAME = "metrics.jsonl"


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """The loss of one step (a scalar tensor with its graph), numbers to log with it, and how many sequences it took."""

    loss: Tensor
    metrics: Mapping[str, float]
    num_sequences: int = 0


class TrainingJob(Protocol):
    """What the loop trains: a model, batches that depend on the step and what is before it, and a held-out measure."""

    @property
    def model(self) -> nn.Module:
        """The model that is trained."""

    def step(self, step: int, *, first_sequence: int) -> StepReport:
        """Run the forward pass of optimizer step `step` (from 0); the steps before took `first_sequence` sequences."""

    def validate(self) -> Mapping[str, float]:
        """Return held-out metrics, among them `loss`, lower being better; empty where there is nothing held out."""


@dataclass(frozen=True, kw_only=True)
class LoopProgress:
    """One line of news: steps done of all, the newest metrics, and steps a second of this process."""

    step: int
    num_steps: int
    metrics: Mapping[str, float]
    steps_per_second: float


@dataclass(frozen=True, kw_only=True)
class LoopEvents:
    """Whom the loop tells: progress, and sentences worth a line (a resume, a damaged checkpoint, an early stop)."""

    on_progress: Callable[[LoopProgress], None]
    on_message: Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What a finished training was: steps taken, the best validation, and which step's weights the model now holds."""

    num_steps: int
    best_loss: float | None
    best_step: int | None
    weights_step: int


class TrainingLoop:
    """Trains a job in a directory, from wherever the directory's newest checkpoint left it."""

    def __init__(
        self,
        job: TrainingJob,
        *,
        section: Literal["pretrain", "finetune"],
        loop: LoopOptions,
        optimizer: OptimizerOptions,
        directory: Path,
        seed: int,
        device: torch.device,
        stop: StopRequest,
        events: LoopEvents,
    ) -> None:
        """Args: `section` is the recipe's that `loop` and `optimizer` come from; errors name its keys."""
        self._job = job
        self._section = section
        self._options = loop
        self._optimizer_options = optimizer
        self._directory = directory
        self._seed = seed
        self._device = device
        self._stop = stop
        self._events = events
        self._optimizer = build_optimizer(job.model, options=optimizer)
        self._state = TrainingState()

    def run(self) -> TrainingResult:
        """Train to the end and leave the chosen weights in the model.

        Raises:
            InterruptedRunError: A stop was asked for; the state is saved and the same call goes on from it.
            NonFiniteLossError: The loss is not a number; the last checkpoint stays.
        """
        self._resume()
        started, first_step = time.monotonic(), self._state.step
        self._job.model.train()
        while self._state.step < self._options.num_steps and not self._state.is_finished:
            self._take_step()
            # Log before validating and saving: a checkpoint then never holds sums of a line already written.
            if (
                self._state.step % self._options.log_every_steps == 0
                or self._state.step == self._options.num_steps
            ):
                self._log((self._state.step - first_step) / max(1e-9, time.monotonic() - started))
            self._validate_if_due()
            self._save_if_due()
            if self._stop.requested:
                self._save()
                self._stop.raise_if_requested(
                    f"saved step {self._state.step:,} of {self._options.num_steps:,}"
                )
        return self._finish()

    # --- one step ------------------------------------------------------------------------------------------------

    def _take_step(self) -> None:
        step = self._state.step
        torch.manual_seed(derive_seed(self._seed, "dropout", step))
        rate = learning_rate(step, num_steps=self._options.num_steps, options=self._optimizer_options)
        set_learning_rate(self._optimizer, rate)
        with self._autocast():
            report = self._job.step(step, first_sequence=self._state.num_sequences)
        loss = float(report.loss.detach())
        self._require_finite("loss", loss, step=step + 1)
        torch.autograd.backward(report.loss)
        parameters = [parameter for parameter in self._job.model.parameters() if parameter.requires_grad]
        norm = nn.utils.clip_grad_norm_(parameters, self._optimizer_options.max_gradient_norm)
        # Before the weights take it: a checkpoint of this step would hold nothing else to go on from.
        self._require_finite("gradient", float(norm), step=step + 1)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._state.step += 1
        self._state.num_sequences += report.num_sequences
        self._add_metrics({"loss": loss, **report.metrics})

    def _require_finite(self, name: str, value: float, *, step: int) -> None:
        if not math.isfinite(value):
            raise NonFiniteLossError(
                f"the {name} of step {step:,} is {value}; the last good checkpoint is kept",
                at=str(self._directory),
                fix=f"lower the learning rate (--set {self._section}.optimizer.learning_rate=...) "
                "in a new run directory",
            )

    def _validate_if_due(self) -> None:
        """Validate when due; note the best and whether patience has run out."""
        is_last = self._state.step == self._options.num_steps
        if self._state.step % self._options.validate_every_steps and not is_last:
            return
        with torch.no_grad(), self._autocast():
            self._job.model.eval()
            metrics = dict(self._job.validate())
            self._job.model.train()
        if not metrics:
            return
        self._require_finite("held-out loss", metrics["loss"], step=self._state.step)
        append_line(self._metrics_path, {"step": self._state.step, "validation": _rounded(metrics)})
        loss = metrics["loss"]
        if self._state.best_loss is None or loss < self._state.best_loss:
            self._state.best_loss, self._state.best_step = loss, self._state.step
            self._state.num_validations_without_gain = 0
            if self._options.final_weights == "best":
                self._save()
        else:
            self._state.num_validations_without_gain += 1
        patience = self._options.early_stopping_patience
        if patience is not None and self._state.num_validations_without_gain >= patience:
            self._state.is_finished = True
            self._events.on_message(
                f"stopped early at step {self._state.step:,}: {patience} validations without a better loss"
            )

    # --- log, save, resume ---------------------------------------------------------------------------------------

    @property
    def _metrics_path(self) -> Path:
        return self._directory / METRICS_NAME

    def _autocast(self) -> AbstractContextManager[object]:
        wanted = self._options.precision
        if wanted == "auto":
            wanted = "bfloat16" if has_fast_bfloat16(self._device) else "float32"
        if wanted == "float32":
            return nullcontext()
        return torch.autocast(self._device.type, dtype=getattr(torch, wanted))

    def _add_metrics(self, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self._state.sums[name] = self._state.sums.get(name, 0.0) + value
            self._state.num_summed[name] = self._state.num_summed.get(name, 0) + 1

    def _log(self, steps_per_second: float) -> None:
        means = {name: total / self._state.num_summed[name] for name, total in self._state.sums.items()}
        self._state.sums, self._state.num_summed = {}, {}
        rate = self._optimizer.param_groups[0]["lr"]
        append_line(self._metrics_path, {"step": self._state.step, "learning_rate": rate, **_rounded(means)})
        self._events.on_progress(
            LoopProgress(
                step=self._state.step,
                num_steps=self._options.num_steps,
                metrics=means,
                steps_per_second=steps_per_second,
            )
        )

    def _save_if_due(self) -> None:
        is_last = self._state.step == self._options.num_steps or self._state.is_finished
        if is_last or self._state.step % self._options.save_every_steps == 0:
            self._save()

    def _save(self) -> None:
        path = checkpoint_path(self._directory, self._state.step)
        if path.exists():
            return
        save_checkpoint(self._directory, model=self._job.model, optimizer=self._optimizer, state=self._state)
        keep_step = self._state.best_step if self._options.final_weights == "best" else None
        prune_checkpoints(
            self._directory, keep_newest=self._options.keep_num_checkpoints, keep_step=keep_step
        )

    def _resume(self) -> None:
        path = latest_checkpoint(
            self._directory,
            on_damaged=lambda path, problem: self._events.on_message(
                f"skipping checkpoint {path}: {problem}"
            ),
        )
        if path is not None:
            self._state = load_checkpoint(path, model=self._job.model, optimizer=self._optimizer)
            self._events.on_message(f"going on at step {self._state.step:,} of {self._options.num_steps:,}")
        cut_metrics(self._metrics_path, last_step=self._state.step)

    def _finish(self) -> TrainingResult:
        weights_step = self._state.step
        if self._options.final_weights == "best" and self._state.best_step not in {None, self._state.step}:
            weights_step = self._load_best()
        elif self._options.final_weights == "best" and self._state.best_step is None:
            self._events.on_message("keeping the last weights: nothing was held out that could tell the best")
        self._job.model.eval()
        return TrainingResult(
            num_steps=self._state.step,
            best_loss=self._state.best_loss,
            best_step=self._state.best_step,
            weights_step=weights_step,
        )

    def _load_best(self) -> int:
        """Load the best checkpoint's weights and return its step; the last weights stay where it is damaged or gone."""
        path = checkpoint_path(self._directory, int(self._state.best_step or 0))
        problem = checkpoint_problem(path)
        if problem is not None:
            self._events.on_message(f"keeping the last weights: the best checkpoint {path}: {problem}")
            return self._state.step
        load_weights(path, model=self._job.model)
        return int(self._state.best_step or 0)


def _rounded(metrics: Mapping[str, float]) -> dict[str, float]:
    # In the order of their names: the sums of a resumed run come from JSON, whose keys are sorted.
    return {name: float(f"{metrics[name]:.6g}") for name in sorted(metrics)}

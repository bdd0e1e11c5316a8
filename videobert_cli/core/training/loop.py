"""The only training loop: pretraining and fine-tuning are jobs for it.

A step's batch and dropout are functions of (seed, step), so a run killed anywhere and started again from its last
checkpoint takes the same steps and ends at the same weights, byte for byte on a CPU.
"""

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

import torch

from videobert_cli.core.training.average import WeightAverage
from videobert_cli.core.training.checkpoint import (
    TrainingState,
    checkpoint_path,
    checkpoint_problem,
    latest_checkpoint,
    load_checkpoint,
    load_weights,
    prune_checkpoints,
    save_checkpoint,
)
from videobert_cli.core.training.job import BatchT, TrainingJob
from videobert_cli.core.training.meter import Meter
from videobert_cli.core.training.optimizer import build_optimizer
from videobert_cli.core.training.options import LoopOptions, OptimizerOptions
from videobert_cli.core.training.ranks import ALONE, TrainingRanks
from videobert_cli.core.training.records import SILENT, LoopEvents, LoopProgress, MetricsLog
from videobert_cli.core.training.step import Section, TrainingStep
from videobert_cli.runtime import StopRequest


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What a finished training was: steps taken, the best validation, and which step's weights the model now holds."""

    num_steps: int
    best_loss: float | None
    best_step: int | None
    weights_step: int


class TrainingLoop(Generic[BatchT]):
    """Trains a job in a directory, from wherever the directory's newest checkpoint left it."""

    def __init__(
        self,
        job: TrainingJob[BatchT],
        *,
        section: Section,
        loop: LoopOptions,
        optimizer: OptimizerOptions,
        directory: Path,
        seed: int,
        device: torch.device,
        stop: StopRequest,
        events: LoopEvents,
        ranks: TrainingRanks = ALONE,
    ) -> None:
        """Args: `section` is the recipe's that `loop` and `optimizer` come from; errors name its keys."""
        self._job = job
        self._options = loop
        self._directory = directory
        self._stop = stop
        self._ranks = ranks
        self._events = events if ranks.is_first else SILENT
        self._optimizer = build_optimizer(job.model, options=optimizer)
        decay = loop.ema_decay
        self._average = None if decay is None else WeightAverage(job.model, decay=decay)
        self._log = MetricsLog(directory, on_record=self._events.on_record, is_writing=ranks.is_first)
        self._meter = Meter(device, precision=loop.precision)
        self._state = TrainingState()
        self._step = TrainingStep(
            job,
            section=section,
            loop=loop,
            optimizer=self._optimizer,
            optimizer_options=optimizer,
            directory=directory,
            seed=seed,
            device=device,
            on_message=self._events.on_message,
            ranks=ranks,
        )

    def run(self) -> TrainingResult:
        """Train to the end and leave the chosen weights in the model.

        Raises:
            InterruptedRunError: A stop was asked for; the state is saved and the same call goes on from it.
            NonFiniteLossError: The loss is not a number; the last checkpoint stays.
            ResourceError: Not even one sequence at a time fits into memory; the last checkpoint stays.
        """
        self._resume()
        try:
            self._events.on_start(self._state.step)
            return self._train()
        finally:
            self._events.on_end()

    def _train(self) -> TrainingResult:
        started, first_step = time.monotonic(), self._state.step
        self._job.model.train()
        while self._state.step < self._options.num_steps and not self._state.is_finished:
            self._take_step()
            # Log before validating and saving: a checkpoint then never holds sums of a line already written.
            self._report((self._state.step - first_step) / max(1e-9, time.monotonic() - started))
            with self._meter.paused():
                self._validate_if_due()
                self._save_if_due()
            if self._ranks.agree_to_stop(self._stop):
                self._save()
                self._stop.raise_if_requested(
                    f"saved step {self._state.step:,} of {self._options.num_steps:,}"
                )
        return self._finish()

    def _take_step(self) -> None:
        result = self._step.take(self._state)
        self._state.step += 1
        if self._average is not None:
            self._average.update(self._state.step)
        self._state.num_sequences += result.num_sequences
        # A small batch may be cut into fewer, which tells nothing of the next.
        self._state.num_micro_batches = max(self._state.num_micro_batches, result.num_micro_batches)
        self._log.add(self._state, result.metrics)
        # All ranks' tokens, and this device's part of the work.
        self._meter.add(num_tokens=result.num_tokens, num_flops=result.num_flops / self._ranks.num)

    def _report(self, steps_per_second: float) -> None:
        """Log when due, and tell how far it is then, and once a second between two lines."""
        is_last = self._state.step == self._options.num_steps
        if self._state.step % self._options.log_every_steps == 0 or is_last:
            means = self._log.write_means(self._state, learning_rate=self._optimizer.param_groups[0]["lr"])
            self._log.write_speed(self._state, self._meter.read())
        elif self._meter.is_news_due():
            means = self._log.means(self._state)
        else:
            return
        self._meter.told()
        self._events.on_progress(
            LoopProgress(
                step=self._state.step,
                num_steps=self._options.num_steps,
                metrics=means,
                steps_per_second=steps_per_second,
            )
        )

    # --- validation ----------------------------------------------------------------------------------------------

    def _validate_if_due(self) -> None:
        """Validate when due; note the best and whether patience has run out."""
        is_last = self._state.step == self._options.num_steps
        if self._state.step % self._options.validate_every_steps and not is_last:
            return
        with self._averaged(), torch.no_grad(), self._step.autocast():
            self._job.model.eval()
            metrics = dict(self._job.validate(num_parts=self._state.num_micro_batches))
            self._job.model.train()
        if not metrics:
            return
        self._step.require_finite("held-out loss", metrics["loss"], step=self._state.step)
        self._log.write_validation(self._state, metrics)
        self._note_best(metrics["loss"])

    def _averaged(self) -> AbstractContextManager[None]:
        """Return the context in which the model has the weights that it would be published with."""
        return nullcontext() if self._average is None else self._average.in_the_model()

    def _note_best(self, loss: float) -> None:
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

    # --- save, resume, finish ------------------------------------------------------------------------------------

    def _save_if_due(self) -> None:
        is_last = self._state.step == self._options.num_steps or self._state.is_finished
        if is_last or self._state.step % self._options.save_every_steps == 0:
            self._save()

    def _save(self) -> None:
        path = checkpoint_path(self._directory, self._state.step)
        if self._ranks.said(path.exists):
            return
        save_checkpoint(
            self._directory,
            model=self._job.model,
            optimizer=self._optimizer,
            state=self._state,
            average=self._average,
            is_writing=self._ranks.is_first,
        )
        if not self._ranks.is_first:
            return
        keep_step = self._state.best_step if self._options.final_weights == "best" else None
        prune_checkpoints(
            self._directory, keep_newest=self._options.keep_num_checkpoints, keep_step=keep_step
        )

    def _resume(self) -> None:
        path = self._ranks.said(
            lambda: latest_checkpoint(
                self._directory,
                on_damaged=lambda path, problem: self._events.on_message(
                    f"skipping checkpoint {path}: {problem}"
                ),
            )
        )
        if path is not None:
            self._state = load_checkpoint(
                path, model=self._job.model, optimizer=self._optimizer, average=self._average
            )
            self._events.on_message(f"going on at step {self._state.step:,} of {self._options.num_steps:,}")
        self._log.cut(last_step=self._state.step)

    def _finish(self) -> TrainingResult:
        weights_step = self._state.step
        if self._average is not None:
            self._average.put_into_model()
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
        problem = self._ranks.said(lambda: checkpoint_problem(path))
        if problem is not None:
            self._events.on_message(f"keeping the last weights: the best checkpoint {path}: {problem}")
            return self._state.step
        load_weights(path, model=self._job.model, average=self._average)
        return int(self._state.best_step or 0)

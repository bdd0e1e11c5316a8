"""One optimizer step: the batch in as many micro-batches as memory needs, gradients clipped, weights moved."""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal

import torch
from torch import nn

from videobert_cli.core.training.checkpoint import TrainingState
from videobert_cli.core.training.job import BatchT, TrainingJob
from videobert_cli.core.training.not_finite import find_cause, kept, write_cause
from videobert_cli.core.training.optimizer import learning_rate, set_learning_rate
from videobert_cli.core.training.options import LoopOptions, OptimizerOptions
from videobert_cli.core.training.ranks import ALONE, TrainingRanks
from videobert_cli.core.training.sharded import whole
from videobert_cli.errors import NonFiniteLossError, ResourceError, is_out_of_memory
from videobert_cli.memory import give_back_freed_memory, give_back_memory
from videobert_cli.runtime import derive_seed, has_fast_bfloat16

Section = Literal["pretrain", "finetune", "finetune.caption", "finetune.retrieval"]


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """A step that was taken: its metrics (among them `loss`), and what it took.

    `num_micro_batches` is how many forward passes it needed; it is more than was asked for where memory ran out.
    """

    metrics: dict[str, float]
    num_sequences: int
    num_tokens: int
    num_micro_batches: int
    num_flops: float


class TrainingStep(Generic[BatchT]):
    """Takes the steps of a job; randomness in a step is a function of (seed, step) and of the micro-batches' number."""

    def __init__(
        self,
        job: TrainingJob[BatchT],
        *,
        section: Section,
        loop: LoopOptions,
        optimizer: torch.optim.Optimizer,
        optimizer_options: OptimizerOptions,
        directory: Path,
        seed: int,
        device: torch.device,
        on_message: Callable[[str], None],
        ranks: TrainingRanks = ALONE,
    ) -> None:
        self._job = job
        self._ranks = ranks
        self._section = section
        self._loop = loop
        self._optimizer = optimizer
        self._options = optimizer_options
        self._directory = directory
        self._seed = seed
        self._device = device
        self._on_message = on_message
        self._reason = ""
        if device.type == "cpu":
            give_back_freed_memory()

    def take(self, state: TrainingState) -> StepResult:
        """Take the step after `state`, which is left as it is.

        Raises:
            NonFiniteLossError: Loss or gradient is not a number; the weights have not moved.
            ResourceError: Not even one sequence at a time fits into memory.
        """
        batch = self._job.batch(state.step, first_sequence=state.num_sequences)
        rate = learning_rate(state.step, num_steps=self._loop.num_steps, options=self._options)
        set_learning_rate(self._optimizer, rate)
        metrics, num_parts = self._accumulated(batch, state=state)
        self._require_finite_step("loss", metrics["loss"], batch=batch, state=state, metrics=metrics)
        parameters = [parameter for parameter in self._job.model.parameters() if parameter.requires_grad]
        norm = nn.utils.clip_grad_norm_(parameters, self._options.max_gradient_norm)
        # Before the weights take it: a checkpoint of this step would hold nothing else to go on from.
        self._require_finite_step("gradient", float(whole(norm)), batch=batch, state=state, metrics=metrics)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return StepResult(
            metrics=metrics,
            num_sequences=batch.num_sequences,
            num_tokens=batch.num_tokens,
            num_micro_batches=num_parts,
            num_flops=self._job.num_flops(batch),
        )

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which the model runs."""
        wanted = self._loop.precision
        if wanted == "auto":
            wanted = "bfloat16" if has_fast_bfloat16(self._device) else "float32"
        if wanted == "float32":
            return nullcontext()
        return torch.autocast(self._device.type, dtype=getattr(torch, wanted))

    def _require_finite_step(
        self, name: str, value: float, *, batch: BatchT, state: TrainingState, metrics: Mapping[str, float]
    ) -> None:
        """Refuse to move the weights by a number that is none, and say where it comes from."""
        if math.isfinite(value) or self._ranks.num > 1:
            # A share of the batch is not searched: each rank would find another cause, or none.
            self.require_finite(name, value, step=state.step + 1)
            return
        sample_ids = self._job.sample_ids(
            state.step, first_sequence=state.num_sequences, num_sequences=batch.num_sequences
        )
        cause = find_cause(
            self._job,
            batch,
            metrics=metrics,
            learning_rate=self._optimizer.param_groups[0]["lr"],
            sample_ids=sample_ids,
            autocast=self.autocast,
            backward=lambda: self._computed_again(batch, state=state),
        )
        self.require_finite(
            name, value, step=state.step + 1, cause=write_cause(self._directory, cause, step=state.step + 1)
        )

    def _computed_again(self, batch: BatchT, *, state: TrainingState) -> None:
        # Clipping by a norm that is no number has spoilt every gradient that was one.
        self._optimizer.zero_grad(set_to_none=True)
        self._accumulated(batch, state=state)

    def require_finite(self, name: str, value: float, *, step: int, cause: str = "") -> None:
        """Refuse to go on with a number that is none.

        Raises:
            NonFiniteLossError: `value` is infinite or not a number.
        """
        if not math.isfinite(value):
            raise NonFiniteLossError(
                f"the {name} of step {step:,} is {value}; {kept(self._directory)}\n{cause}".rstrip(),
                at=str(self._directory),
                fix=f"lower the learning rate (--set {self._section}.optimizer.learning_rate=...) "
                "in a new run directory",
            )

    # --- gradients, with the memory there is ---------------------------------------------------------------------

    def _accumulated(self, batch: BatchT, *, state: TrainingState) -> tuple[dict[str, float], int]:
        """Return the metrics of the batch, its gradients in the model, and the number of micro-batches that fitted."""
        num_parts = min(max(state.num_micro_batches, self._loop.num_micro_batches), batch.num_sequences)
        while True:
            metrics = self._tried(batch, step=state.step, num_parts=num_parts)
            if metrics is not None:
                return metrics, num_parts
            if num_parts == batch.num_sequences:
                raise self._no_room(state.step + 1)
            num_parts = min(2 * num_parts, batch.num_sequences)
            self._on_message(
                f"memory ran out in step {state.step + 1:,}: it is done again in {num_parts} micro-batches, and so is "
                f"what follows; for the next run: --set {self._section}.loop.num_micro_batches={num_parts}"
            )

    def _tried(self, batch: BatchT, *, step: int, num_parts: int) -> dict[str, float] | None:
        """Return the metrics of the batch, None where memory ran out: the gradients are then as they were before."""
        torch.manual_seed(derive_seed(self._seed, "dropout", step, *self._ranks.seed_parts()))
        try:
            return self._forward_and_backward(batch, num_parts=num_parts)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            self._reason = str(error).strip().splitlines()[0] if str(error) else type(error).__name__
            if self._ranks.num > 1:
                raise self._no_room_on_rank(step + 1, num_parts=num_parts) from error
        # Only here, where the error is gone, are the activations that its frames held.
        self._optimizer.zero_grad(set_to_none=True)
        give_back_memory(self._device)
        return None

    def _forward_and_backward(self, batch: BatchT, *, num_parts: int) -> dict[str, float]:
        counts = self._job.counts(batch)
        loss, tallies = 0.0, []
        for part, exchange in self._ranks.forwards(self._ranks.parts(batch, num_parts=num_parts)):
            with exchange:
                with self.autocast():
                    report = self._job.forward(part, counts=counts)
                loss += float(report.loss.detach())
                tallies.append(report.metrics)
                torch.autograd.backward(self._ranks.scaled(report.loss))
        loss, means = self._ranks.summed(loss, tallies)
        return {"loss": loss, **{name: tally.mean for name, tally in means.items()}}

    def _no_room_on_rank(self, step: int, *, num_parts: int) -> ResourceError:
        """Return the error of one of several ranks: the others wait for it within the step, which none can do again."""
        wanted = 2 * max(num_parts, self._ranks.num)
        return ResourceError(
            f"memory ran out in step {step:,} on a rank",
            at=str(self._directory),
            fix=f"the same command with --set {self._section}.loop.num_micro_batches={wanted}",
        )

    def _no_room(self, step: int) -> ResourceError:
        shorter = (
            "shorter sequences (--set pretrain.sequences.max_num_tokens=N), a smaller model "
            "(pretrain.model.num_layers, hidden_size)"
            if self._section == "pretrain"
            else "a smaller pretrained model"
        )
        return ResourceError(
            f"memory ran out in step {step:,} with one sequence at a time ({self._reason})",
            at=str(self._directory),
            fix=f"{shorter} or a larger machine; then run again",
        )

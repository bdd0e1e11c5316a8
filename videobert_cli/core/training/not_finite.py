"""Why a loss or a gradient is no finite number, as far as the step that gave it can tell. Nothing here trains.

Asked once, when all is lost but the last checkpoint: it may take as long as one more step, sequence by sequence.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from videobert_cli.artifacts import publish_json
from videobert_cli.core.training.checkpoint import newest_checkpoint
from videobert_cli.core.training.job import BatchT, TrainingJob

FILE_NAME = "not_finite.json"
_NUM_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Cause:
    """What was found: each empty or None where it does not apply.

    `losses` are the metrics that are no finite numbers; `weight` is the first parameter, in the model's order, that
    holds one, `module` the first that returned one, in the order of the forward pass, `gradient` the first parameter
    that got one, in the order of the backward pass; `sample_ids` are the sequences that give such a loss each by
    itself, of all in the batch.
    """

    learning_rate: float
    losses: tuple[str, ...]
    weight: str | None
    gradient: str | None
    num_gradients: int
    module: str | None
    sample_ids: tuple[str, ...]
    batch_sample_ids: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return a sentence for each thing that was found."""
        found = [f"learning rate {self.learning_rate:.3g}"]
        if self.losses:
            found.append(f"not finite in the batch: {', '.join(self.losses)}")
        found.append(self._samples())
        if self.weight:
            found.append(f"the weights held it before the step, the first: {self.weight}")
        if self.module:
            found.append(f"the first module that returned it: {self.module}")
        if self.gradient:
            found.append(
                f"the first of {self.num_gradients:,} parameters whose gradient holds it: {self.gradient}"
            )
        return [line for line in found if line]

    def _samples(self) -> str:
        found, all_ = self.sample_ids, self.batch_sample_ids
        if not all_:
            return ""
        if not found:
            return f"none of the batch's {len(all_):,} sequences gives it by itself, the first is {all_[0]}"
        more = ", ..." if len(found) > _NUM_SHOWN else ""
        return f"{len(found):,} of {len(all_):,} sequences give it: {', '.join(found[:_NUM_SHOWN])}{more}"


def find_cause(
    job: TrainingJob[BatchT],
    batch: BatchT,
    *,
    metrics: Mapping[str, float],
    learning_rate: float,
    sample_ids: Sequence[str],
    autocast: Callable[[], AbstractContextManager[object]],
    backward: Callable[[], object],
) -> Cause:
    """Look for the cause in a batch: its backward pass once more, by `backward`, then forward without dropout."""
    model = job.model
    weights = [name for name, weight in model.named_parameters() if not _is_finite(weight)]
    with _watched_gradients(model) as gradients:
        backward()
    was_training = model.training
    model.eval()
    with torch.no_grad(), autocast():
        with _watched(model) as returned:
            job.forward(batch, counts=job.counts(batch))
        losses = [
            float(job.forward(part, counts=job.counts(part)).loss)
            for part in batch.split(batch.num_sequences)
        ]
    model.train(was_training)
    is_bad = [not math.isfinite(loss) for loss in losses]
    return Cause(
        learning_rate=learning_rate,
        losses=tuple(name for name, value in metrics.items() if not math.isfinite(value)),
        weight=weights[0] if weights else None,
        gradient=gradients[0] if gradients else None,
        num_gradients=len(gradients),
        module=returned[0] if returned else None,
        sample_ids=tuple(name for name, bad in zip(sample_ids, is_bad, strict=False) if bad),
        batch_sample_ids=tuple(sample_ids),
    )


def write_cause(directory: Path, cause: Cause, *, step: int) -> str:
    """Write all of it under the stage's directory; return the sentences for the error, the checkpoint's among them."""
    publish_json(directory / FILE_NAME, {"step": step, **asdict(cause)})
    lines = [*cause.lines(), f"all that was found: {directory / FILE_NAME}"]
    return "\n".join(lines)


def kept(directory: Path) -> str:
    """Return which checkpoint is left to go on from, in words."""
    newest = newest_checkpoint(directory)
    if newest is None:
        return "no checkpoint had been made"
    return f"the last good checkpoint is kept: {newest.name}"


@contextmanager
def _watched_gradients(model: nn.Module) -> Iterator[list[str]]:
    """Yield the names of parameters that get a gradient that is no number, in the order in which they get it."""
    found: list[str] = []

    def watch(name: str) -> Callable[[Tensor], None]:
        def look(weight: Tensor) -> None:
            if weight.grad is not None and not _is_finite(weight.grad) and name not in found:
                found.append(name)

        return look

    trained = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    register: Any = nn.Parameter.register_post_accumulate_grad_hook
    hooks = [register(weight, watch(name)) for name, weight in trained]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _watched(model: nn.Module) -> Iterator[list[str]]:
    """Yield the names of modules that return a number that is none, in the order in which they return."""
    found: list[str] = []

    def watch(name: str) -> Callable[..., None]:
        def look(_module: nn.Module, _given: Any, returned: Any) -> None:
            if not all(_is_finite(tensor) for tensor in _tensors(returned)):
                found.append(name or type(model).__name__)

        return look

    hooks = [module.register_forward_hook(watch(name)) for name, module in model.named_modules()]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _tensors(returned: Any) -> Iterator[Tensor]:
    if isinstance(returned, Tensor):
        yield returned
    elif isinstance(returned, tuple | list):
        for value in returned:
            yield from _tensors(value)
    elif hasattr(returned, "__dataclass_fields__"):
        yield from _tensors([getattr(returned, name) for name in returned.__dataclass_fields__])


def _is_finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())

"""What is asked of a model while it trains, beside its losses: answers that no loss is taken of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.training.options import LoopOptions, ProbeOptions

# The tasks come after the training in the flow of the data: whoever knows them hands in what to ask.
Ask = Callable[[VideoBERTForPreTraining], Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A question put to the model, in evaluation mode and without gradients, in some of the validations.

    Its answers stand among the held-out metrics and decide nothing: neither the best weights nor an early stop.
    """

    ask: Ask
    every_num_steps: int
    num_steps: int

    def is_due(self, num_steps_done: int) -> bool:
        """Return whether the validation after so many steps asks; the last one always does."""
        return num_steps_done == self.num_steps or num_steps_done % self.every_num_steps == 0


def probe_of(ask: Ask | None, *, options: ProbeOptions, loop: LoopOptions) -> Probe | None:
    """Return the probe that asks as often as the recipe says, None where there is nothing to ask."""
    every = options.every_num_validations * loop.validate_every_steps
    if ask is None or every == 0:
        return None
    return Probe(ask=ask, every_num_steps=every, num_steps=loop.num_steps)

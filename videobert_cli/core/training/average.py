"""The moving average of the weights over the steps: smoother than the last step's, and often better held out.

After each step, average = decay * average + (1 - decay) * weights. The decay begins low, min(decay, (1 + n) / (10 + n))
at step n, so that the first weights, drawn at random, are soon forgotten (as in TensorFlow's ExponentialMovingAverage).
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from videobert_cli.core.training.sharded import like


class WeightAverage:
    """The average of a model's trained parameters, in their own precision; frozen ones have none."""

    def __init__(self, model: nn.Module, *, decay: float) -> None:
        self._parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self._averages = {name: p.detach().clone() for name, p in self._parameters.items()}
        self._decay = decay

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the weights after step `step` (from 1) in."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self._averages.values()), list(self._parameters.values()), 1.0 - decay)

    @contextlib.contextmanager
    def in_the_model(self) -> Iterator[None]:
        """Put the averages into the model until the end of `with`, then the weights back."""
        with torch.no_grad():
            weights = {name: p.detach().clone() for name, p in self._parameters.items()}
            self.put_into_model()
        try:
            yield
        finally:
            with torch.no_grad():
                for name, parameter in self._parameters.items():
                    parameter.copy_(weights[name])

    @torch.no_grad()
    def put_into_model(self) -> None:
        """Put the averages into the model for good."""
        for name, parameter in self._parameters.items():
            parameter.copy_(self._averages[name])

    def tensors(self) -> dict[str, Tensor]:
        """Return the averages by the names of their parameters: what a checkpoint keeps."""
        return {name: average.contiguous() for name, average in self._averages.items()}

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put the tensors of `tensors()` back.

        Raises:
            KeyError: A parameter's average is missing.
        """
        for name, average in self._averages.items():
            average.copy_(like(tensors[name], average))

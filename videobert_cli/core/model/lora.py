"""LoRA: a small product of two matrices is learned beside each frozen projection of attention, then added to it.

Hu et al., ICLR 2022. While training a weight is W + (alpha / rank) B A, with B zero at first; `merge_lora` leaves plain
weights behind, so that the model's files are those of any other.

Shapes: I inputs and O outputs of a projection, R rank.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from videobert_cli.core.model.checkpoint import PretrainedModel
from videobert_cli.runtime import derive_seed

_PROJECTIONS = ("attention.self.query", "attention.self.key", "attention.self.value")


class LowRank(nn.Module):
    """What is added to a weight [O, I]."""

    def __init__(self, weight_OI: Tensor, *, rank: int, alpha: float, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        first_RI = torch.randn(rank, weight_OI.shape[1], generator=generator) / weight_OI.shape[1] ** 0.5
        self.first_RI = nn.Parameter(first_RI.to(weight_OI.device))
        self.second_OR = nn.Parameter(weight_OI.new_zeros(weight_OI.shape[0], rank))
        self._scale = alpha / rank

    def forward(self, weight_OI: Tensor) -> Tensor:
        """Return the weight with what was learned."""
        return weight_OI + self._scale * (self.second_OR @ self.first_RI)


def add_lora(model: PretrainedModel, *, rank: int, alpha: float, seed: int) -> int:
    """Freeze the encoder and put a low-rank product beside queries, keys and values; return how many weights got one.

    Heads are trained as they are, and so is BERT's pooler, which pretraining never trained.
    """
    encoder = model.get_submodule("bert")
    encoder.requires_grad_(False)  # noqa: FBT003 - torch's own signature
    encoder.get_submodule("pooler").requires_grad_(True)  # noqa: FBT003 - as above
    found = [
        (name, module)
        for name, module in encoder.named_modules()
        if isinstance(module, nn.Linear) and name.endswith(_PROJECTIONS)
    ]
    for name, module in found:
        low_rank = LowRank(module.weight, rank=rank, alpha=alpha, seed=derive_seed(seed, "lora", name))
        parametrize.register_parametrization(module, "weight", low_rank)
    return len(found)


def merge_lora(model: PretrainedModel) -> None:
    """Add what was learned to the weights and forget how: nothing is left of the products."""
    for module in model.modules():
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)

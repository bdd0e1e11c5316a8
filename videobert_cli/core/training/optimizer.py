"""AdamW or SGD with the groups every BERT uses, layer-wise rates, and the learning rate as a function of the step."""

import math
import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from videobert_cli.core.training.options import OptimizerOptions
from videobert_cli.core.training.sharded import like

# A group's share of the rate: this key of the group, and the place of a layer's number in a parameter's name.
SHARE_NAME = "rate_share"
_LAYER = re.compile(r"^bert\.encoder\.layer\.(\d+)\.")


def build_optimizer(model: nn.Module, *, options: OptimizerOptions) -> torch.optim.Optimizer:
    """Return the optimizer of the parameters that need gradients; norms, biases and single rows are not decayed.

    Parameters are visited in the order of their names' declaration, so the groups are the same in every process.
    """
    trained = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    shares = _rate_shares([name for name, _ in model.named_parameters()], layer_decay=options.layer_decay)
    groups: list[dict[str, Any]] = [
        {
            "params": [p for name, p in trained if shares[name] == share and _is_matrix(p) == is_decayed],
            "weight_decay": options.weight_decay if is_decayed else 0.0,
            SHARE_NAME: share,
        }
        for share in sorted(set(shares.values()), reverse=True)
        for is_decayed in (True, False)
    ]
    groups = [group for group in groups if group["params"] or options.layer_decay == 1.0]
    if options.name == "sgd":
        return torch.optim.SGD(groups, lr=options.learning_rate, momentum=options.momentum, foreach=True)
    # On a GPU one kernel reads and writes each number once. On a CPU the bytes are those of the other way.
    is_fused = _has_fused_kernel([parameter for _, parameter in trained])
    return torch.optim.AdamW(
        groups,
        lr=options.learning_rate,
        betas=(options.beta1, options.beta2),
        eps=1e-8,
        foreach=not is_fused,
        fused=is_fused,
    )


def _rate_shares(names: Sequence[str], *, layer_decay: float) -> dict[str, float]:
    """Return each parameter's share of the rate: 1 for the heads, `layer_decay` for the last layer, and so on down.

    The embeddings are the lowest layer; the pooler belongs to the heads (as in BEiT and ELECTRA's fine-tuning).
    """
    layers = {name: int(found[1]) for name in names if (found := _LAYER.match(name))}
    num_layers = 1 + max(layers.values(), default=-1)
    depths = {
        name: num_layers - layers[name]
        if name in layers
        else num_layers + 1
        if name.startswith("bert.embeddings.")
        else 0
        for name in names
    }
    return {name: layer_decay**depth for name, depth in depths.items()}


def _has_fused_kernel(parameters: list[nn.Parameter]) -> bool:
    return bool(parameters) and all(parameter.is_cuda for parameter in parameters)


def _is_matrix(parameter: nn.Parameter) -> bool:
    return parameter.ndim >= 2 and parameter.shape[0] > 1


def learning_rate(step: int, *, num_steps: int, options: OptimizerOptions) -> float:
    """Return the rate of optimizer step `step` (from 0): linear warm-up, then the schedule down to 0.

    >>> options = OptimizerOptions(learning_rate=1.0, warmup_fraction=0.1, schedule="linear")
    >>> [learning_rate(step, num_steps=100, options=options) for step in (0, 9, 10, 55)]
    [0.1, 1.0, 1.0, 0.5]
    """
    num_warmup = math.ceil(options.warmup_fraction * num_steps)
    if step < num_warmup:
        return options.learning_rate * (step + 1) / num_warmup
    if options.schedule == "constant":
        return options.learning_rate
    progress = (step - num_warmup) / max(1, num_steps - num_warmup)
    if options.schedule == "cosine":
        return options.learning_rate * 0.5 * (1.0 + math.cos(math.pi * progress))
    return options.learning_rate * (1.0 - progress)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group of the optimizer its share of the rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get(SHARE_NAME, 1.0)


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Return the optimizer's state as named tensors `moment/parameter`, in full precision."""
    tensors = {}
    for name, parameter in model.named_parameters():
        for moment, value in optimizer.state.get(parameter, {}).items():
            if value is None:  # SGD without momentum
                continue
            tensors[f"{moment}/{name}"] = value.detach().contiguous()
    return tensors


def restore_optimizer(
    model: nn.Module, optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]
) -> None:
    """Put named tensors of `optimizer_tensors` back; moments follow their parameter's device."""
    parameters = dict(model.named_parameters())
    for key, value in tensors.items():
        moment, name = key.split("/", 1)
        parameter = parameters[name]
        if value.ndim == 0:
            placed = value.to(_place(moment, optimizer, device=parameter.device))
        else:
            placed = like(value, parameter)
        optimizer.state[parameter][moment] = placed


def _place(moment: str, optimizer: torch.optim.Optimizer, *, device: torch.device) -> torch.device:
    """Return where a number lives: beside its parameter, but for the step counter of an AdamW that is not fused."""
    is_on_cpu = moment == "step" and not optimizer.defaults.get("fused")
    return torch.device("cpu") if is_on_cpu else device

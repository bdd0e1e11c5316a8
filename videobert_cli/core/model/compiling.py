"""Whether `torch.compile` works on a device: it wants a C++ compiler on a CPU, Triton and Python's headers on a GPU."""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from videobert_cli.core.model.encoder import Encoder
from videobert_cli.core.model.options import Compile
from videobert_cli.errors import UsageError


def compile_encoder(
    encoder: Encoder, *, wanted: Compile, device: torch.device, on_message: Callable[[str], None]
) -> None:
    """Have the encoder's layers compiled where that is wanted.

    With `auto` a device that nothing can be compiled for is told to `on_message`, and goes on without.

    Raises:
        UsageError: It is `on`, and nothing can be compiled for the device.
    """
    if not is_compiled(wanted, device=device):
        return
    problem = compiler_problem(device)
    if problem is None:
        encoder.compile_layers()
    elif wanted == "auto":
        on_message(f"the layers run uncompiled, and slower: torch.compile failed ({problem})")
    else:
        raise UsageError(
            f"torch.compile does not work here ({problem})",
            at="pretrain.compile",
            fix="--set pretrain.compile=off, or install a C++ compiler (CPU) or Triton and Python's headers (GPU)",
        )


def is_compiled(wanted: Compile, *, device: torch.device) -> bool:
    """Return whether to compile: `auto` does on a GPU.

    Not on a CPU, where compiled code is hardly faster, takes half a minute to make, and gives other last digits.
    """
    return wanted == "on" or (wanted == "auto" and device.type == "cuda")


@cache
def compiler_problem(device: torch.device) -> str | None:
    """Return why nothing can be compiled for this device, None where it works: tried once, on two numbers."""
    values = torch.ones(2, device=device, requires_grad=True)
    try:
        torch.autograd.grad(torch.compile(_doubled)(values).sum(), values)
    except Exception as error:  # noqa: BLE001 - no C compiler, no Python.h, no Triton: each fails in its own way
        return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    return None


def _doubled(values: Tensor) -> Tensor:
    return values * 2 + values.sin()

"""What all models share: seeded first weights, and a directory of `config.json` and `model.safetensors`.

Only safetensors is read: a pickle can run code, and `config.json` never chooses any class or file.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from videobert_cli import artifacts
from videobert_cli.core.model.config import VideoBERTConfig
from videobert_cli.errors import ArtifactError
from videobert_cli.runtime import derive_seed

WEIGHTS_NAME = "model.safetensors"
_NOTHING = ("\0",)  # a prefix that no tensor's name has
_PICKLE_PATTERNS = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")


class PretrainedModel(nn.Module):
    """Base of all models. A subclass builds its parts on the meta device, then calls `materialize(seed)`.

    `seed` None leaves the parameters without storage, for `from_pretrained` to fill: a hostile configuration
    then costs no memory before its sizes have been compared with the weights' file.
    """

    def __init__(self, config: VideoBERTConfig) -> None:
        super().__init__()
        self.config = config

    def materialize(self, seed: int | None) -> None:
        """Give the parameters storage and first values that depend on `seed` and their names only."""
        if seed is None:
            return
        self.to_empty(device="cpu")
        for name, parameter in self.named_parameters():
            initialize_parameter(name, parameter, seed=seed, std=self.config.initializer_range)

    @classmethod
    def rename_key(cls, key: str) -> str | None:
        """Return this model's name of a tensor in a file, None where it belongs to another model's head."""
        return key

    def save_pretrained(self, directory: Path | str) -> None:
        """Write `config.json` and `model.safetensors` into `directory`, which is not sealed."""
        directory = Path(directory)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        artifacts.publish(
            directory / WEIGHTS_NAME, lambda path: save_file(tensors, path, metadata={"format": "pt"})
        )
        self.config.save_pretrained(directory, architecture=type(self).__name__)

    @classmethod
    def from_pretrained(cls, directory: Path | str) -> Self:
        """Return the model in `directory`, in evaluation mode, on the CPU.

        Raises:
            ArtifactError: A file is missing or damaged, or the weights are not those of `config.json`.
        """
        directory = Path(directory)
        model = cls(VideoBERTConfig.from_pretrained(directory), seed=None)  # type: ignore[call-arg]
        model.load_weights(directory / WEIGHTS_NAME)
        return model.eval()

    def load_weights(
        self, path: Path, *, optional: tuple[str, ...] = (), ignored: tuple[str, ...] = ()
    ) -> frozenset[str]:
        """Fill the parameters from a file and return the names of those that it did not fill.

        Those must begin with one of `optional`; tensors that begin with one of `ignored` are left in the
        file.

        Raises:
            ArtifactError: A parameter is missing, unknown or of another shape or type; nothing is loaded
            then.
        """
        expected = {name: tuple(tensor.shape) for name, tensor in self.state_dict().items()}

        def rename(key: str) -> str | None:
            return None if key.startswith(ignored or _NOTHING) else self.rename_key(key)

        tensors = read_tensors(path, rename=rename, expected=expected)
        missing = frozenset(name for name in expected if name not in tensors)
        refused = sorted(name for name in missing if not name.startswith(optional or _NOTHING))
        if refused:
            raise ArtifactError(
                f"the weights lack {len(refused)} of {len(expected)} tensors, the first is {refused[0]}",
                at=str(path),
                fix="load it as the class under `architectures` in config.json, or make the model again",
            )
        trained = {name: parameter.requires_grad for name, parameter in self.named_parameters()}
        self.load_state_dict(tensors, strict=False, assign=True)
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(trained[name])
        return missing


def read_tensors(
    path: Path, *, rename: Callable[[str], str | None], expected: Mapping[str, tuple[int, ...]] | None
) -> dict[str, Tensor]:
    """Return a safetensors file's tensors under their new names, as float32; None leaves a tensor out.

    Names and shapes are compared with `expected` (None: anything goes) before any tensor is read.

    Raises:
        ArtifactError: The file is missing, no safetensors, or holds a tensor that is not expected.
    """
    _require_weights_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            keys = {key: new for key in file.keys() if (new := rename(key)) is not None}  # noqa: SIM118 - no mapping
            if expected is not None:
                for key, name in keys.items():
                    _check_tensor(name, tuple(file.get_slice(key).get_shape()), expected=expected, path=path)
            return {name: file.get_tensor(key).to(torch.float32) for key, name in keys.items()}
    except (SafetensorError, OSError, ValueError, json.JSONDecodeError) as error:
        raise ArtifactError(
            f"the weights cannot be read ({error})",
            at=str(path),
            fix="`videobert verify` its directory; then copy or make the model again",
        ) from error


def initialize_parameter(name: str, parameter: Tensor, *, seed: int, std: float) -> None:
    """Fill one parameter: norms 1, biases 0, visual projection orthogonal, all else normal with `std`.

    Each parameter has its own generator, seeded by its name (without the `bert.` of a model with heads): the
    encoder starts the same under every head, and torch's global generator is neither read nor moved.
    """
    name = name.removeprefix("bert.")
    generator = torch.Generator().manual_seed(derive_seed(seed, "initial weights", name))
    with torch.no_grad():
        if name.endswith("bias"):
            parameter.zero_()
        elif name.endswith("LayerNorm.weight"):
            parameter.fill_(1.0)
        elif name.endswith("visual_projection.weight"):
            if parameter.shape[0] == parameter.shape[1]:
                nn.init.eye_(parameter)
            else:
                nn.init.orthogonal_(parameter, generator=generator)
        else:
            parameter.normal_(0.0, std, generator=generator)


def _require_weights_file(path: Path) -> None:
    if path.is_file():
        return
    pickles = sorted(file.name for pattern in _PICKLE_PATTERNS for file in path.parent.glob(pattern))
    if pickles:
        raise ArtifactError(
            f"there is no {path.name}, only {pickles[0]}, a pickle, which can run code: it is never read",
            at=str(path.parent),
            fix=f"save the weights as {path.name} where you trust them (transformers' save_pretrained does)",
        )
    raise ArtifactError(f"the directory has no {path.name}", at=str(path.parent))


def _check_tensor(
    name: str, shape: tuple[int, ...], *, expected: Mapping[str, tuple[int, ...]], path: Path
) -> None:
    if name not in expected:
        raise ArtifactError(f"the weights have a tensor that the model does not have: {name}", at=str(path))
    if shape != expected[name]:
        raise ArtifactError(
            f"{name} has shape {list(shape)}, config.json asks for {list(expected[name])}", at=str(path)
        )

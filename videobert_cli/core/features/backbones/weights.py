"""Backbone weights as plain tensors: read without running a pickle, fetched with a hash check, hashed."""

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
import xxhash
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from videobert_cli import artifacts
from videobert_cli.errors import InputError, MissingInputError

KINETICS400_URL = "https://download.pytorch.org/models/s3d-d76dad2f.pth"
_KINETICS400_SHA256_PREFIX = "d76dad2f"
_BOOKKEEPING = ("num_batches_tracked",)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a `.safetensors`, `.pth` or `.pt` file, by name, on the CPU.

    Raises:
        MissingInputError: There is no such file.
        InputError: The file is damaged, or holds anything but named tensors (a pickle that would run code).
    """
    if not path.is_file():
        raise MissingInputError(
            "the weights file does not exist", at=str(path), fix="correct `extract.weights`"
        )
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if path.suffix in {".pth", ".pt"}:
            return _require_tensors(torch.load(path, map_location="cpu", weights_only=True), path=path)
    except pickle.UnpicklingError as error:
        raise InputError(
            "the weights file holds more than tensors and was not opened: loading it could run code",
            at=str(path),
            fix="convert it to .safetensors where you trust it",
        ) from error
    except (
        SafetensorError,
        RuntimeError,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        raise InputError(
            f"the weights file cannot be read ({error})", at=str(path), fix="fetch it again"
        ) from error
    raise InputError(
        f"weights of type {path.suffix or 'without suffix'!r} are not known",
        at=str(path),
        fix="use .safetensors, .pth or .pt",
    )


def download_kinetics400() -> dict[str, Tensor]:
    """Return torchvision's S3D weights of Kinetics-400, from torch hub's cache or the network, SHA-256
    checked.

    Raises:
        InputError: There is no network, or what came is not that file.
    """
    name = KINETICS400_URL.rpartition("/")[2]
    fix = f"download {KINETICS400_URL} by hand and name it: --set extract.weights={name}"
    try:
        state = torch.hub.load_state_dict_from_url(
            KINETICS400_URL, map_location="cpu", check_hash=True, progress=False, weights_only=True
        )
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(
            f"the S3D weights could not be had ({error})", at=KINETICS400_URL, fix=fix
        ) from error
    cached = Path(torch.hub.get_dir()) / "checkpoints" / name
    # Torch hub checks the hash of what it downloads, and trusts whatever lies in its cache.
    if not hashlib.sha256(cached.read_bytes()).hexdigest().startswith(_KINETICS400_SHA256_PREFIX):
        raise InputError(
            "the cached S3D weights have another SHA-256 than their name says",
            at=str(cached),
            fix="remove that file, then run the same command again",
        )
    return _require_tensors(state, path=cached)


def load_strictly(module: nn.Module, state: Mapping[str, Tensor], *, at: str) -> None:
    """Load `state` into `module`, name for name.

    Raises:
        InputError: A tensor is missing, unknown or of another shape; the first three are named.
    """
    expected = {
        name: tensor for name, tensor in module.state_dict().items() if not name.endswith(_BOOKKEEPING)
    }
    given = {name: tensor for name, tensor in state.items() if not name.endswith(_BOOKKEEPING)}
    problems = [f"{name} is missing" for name in expected if name not in given]
    problems += [f"{name} is unknown" for name in given if name not in expected]
    problems += [
        f"{name} has shape {tuple(given[name].shape)}, not {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in given and given[name].shape != tensor.shape
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise InputError(
            f"these are not weights of {type(module).__name__}: {'; '.join(problems[:3])}{more}",
            at=at,
            fix="use a file with torchvision's parameter names, or `weights: default`",
        )
    module.load_state_dict(dict(given), strict=False)


def hash_weights(state: Mapping[str, Tensor]) -> str:
    """Return the xxh3-128 hash of names, types, shapes and values: a `.safetensors` copy of a `.pth` has
    the same.
    """
    digest = xxhash.xxh3_128()
    for name in sorted(name for name in state if not name.endswith(_BOOKKEEPING)):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def publish_weights(path: Path, state: Mapping[str, Tensor]) -> None:
    """Publish the tensors as a `.safetensors` file, without what only training needs."""
    kept = {name: tensor.contiguous() for name, tensor in state.items() if not name.endswith(_BOOKKEEPING)}
    artifacts.publish_bytes(path, save(kept))


def _require_tensors(state: object, *, path: Path) -> dict[str, Tensor]:
    if isinstance(state, Mapping) and "state_dict" in state:
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise InputError(
            "the weights file is not a mapping of names to tensors", at=str(path), fix="save a state_dict"
        )
    return {str(name): tensor for name, tensor in state.items()}

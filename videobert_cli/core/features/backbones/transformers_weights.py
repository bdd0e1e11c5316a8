"""From `transformers:DIR_OR_HUB_ID` to a network: found, checked, its safetensors read by us, no line of its code run.

transformers is given the tensors and a clean configuration, never the directory: what else lies there (code, pickles,
adapters, a shard index that points elsewhere) is not looked at.
"""

import math
import os
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from videobert_cli.artifacts.hub import quiet_transformers
from videobert_cli.core.features.backbones.transformers_families import (
    CONFIG_NAME,
    ModelConfig,
    first_line,
    read_object,
)
from videobert_cli.errors import InputError, MissingInputError

WEIGHTS_NAME = "model.safetensors"
_INDEX_NAME = "model.safetensors.index.json"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt", "*.h5", "*.msgpack")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_HUB_FILES = [CONFIG_NAME, "*processor_config.json", WEIGHTS_NAME, _INDEX_NAME, "model-*-of-*.safetensors"]
_TRUE = frozenset({"1", "ON", "YES", "TRUE"})


def find_directory(place: str) -> Path:
    """Return the directory of a model: `place` itself, or the hub's copy of the model of that id.

    Raises:
        MissingInputError: There is no such directory, and it is no hub id either.
        InputError: The hub does not give it, or HF_HUB_OFFLINE is set and it was never fetched.
    """
    if Path(place).is_dir():
        return Path(place)
    if not _HUB_ID.fullmatch(place):
        raise MissingInputError(
            "there is no such model directory, and it is no hub id (OWNER/NAME) either",
            at=f"extract.backbone: {place[:200]}",
            fix="correct extract.backbone: transformers:DIR_OR_HUB_ID",
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    has_bars = not are_progress_bars_disabled()
    disable_progress_bars()
    is_offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in _TRUE
    try:
        return Path(snapshot_download(place, allow_patterns=_HUB_FILES, local_files_only=is_offline))
    except (HfHubHTTPError, OSError, ValueError, RuntimeError) as error:
        why = "it was not fetched before, and HF_HUB_OFFLINE is set" if is_offline else first_line(error)
        raise InputError(
            f"there is no directory {place!r}, and the model of that id could not be had ({why})",
            at=f"extract.backbone: {place}",
            fix=f"on a machine with a network: hf download {place} --local-dir DIR; then extract.backbone: "
            "transformers:DIR",
        ) from error
    finally:
        if has_bars:
            enable_progress_bars()


def build_network(model: ModelConfig, directory: Path) -> nn.Module:
    """Return the network in float32 on the CPU, in evaluation mode, every parameter from the directory's safetensors.

    Raises:
        MissingInputError: There are no safetensors.
        InputError: They are damaged, or not this network's.
    """
    files = _weight_files(directory)
    network_class = _network_class(model)
    try:
        with torch.device("meta"), quiet_transformers():
            skeleton = network_class(model.config, **model.family.model_options)
    except Exception as error:
        # Sizes that do not divide, an unknown activation, a zero: each family fails in its own way.
        raise InputError(
            f"{CONFIG_NAME} describes no possible {model.model_type} ({first_line(error)})",
            at=str(directory / CONFIG_NAME),
            fix="fetch the model again",
        ) from error
    expected = sum(parameter.numel() for parameter in skeleton.parameters())
    _require_enough(expected, files=files, directory=directory)
    state = _read_state(files)
    try:
        with quiet_transformers():
            network, info = network_class.from_pretrained(
                None,
                config=model.config,
                state_dict=state,
                dtype=torch.float32,
                attn_implementation="sdpa" if network_class._supports_sdpa else "eager",  # noqa: SLF001 - its only name
                output_loading_info=True,
                trust_remote_code=False,
                **model.family.model_options,
            )
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"the weights do not fit {CONFIG_NAME} ({first_line(error)})", at=str(directory)
        ) from error
    missing = sorted([*info["missing_keys"], *(str(key) for key in info["mismatched_keys"])])
    if missing:
        raise InputError(
            f"the weights lack {len(missing)} tensors of {model.family.model_class}, the first is {missing[0]}",
            at=str(directory),
            fix="fetch the model again; a network with random parts is no backbone",
        )
    return network.requires_grad_(requires_grad=False).eval()  # type: ignore[no-any-return]


def _network_class(model: ModelConfig) -> Any:
    if model.family.model_class == "XClipVideo":
        from videobert_cli.core.features.backbones.transformers_xclip import XClipVideo

        return XClipVideo
    import transformers

    return getattr(transformers, model.family.model_class)


def _weight_files(directory: Path) -> list[Path]:
    if (directory / _INDEX_NAME).is_file() and not (directory / WEIGHTS_NAME).is_file():
        index = read_object(directory / _INDEX_NAME).get("weight_map")
        names = sorted({str(name) for name in index.values()}) if isinstance(index, dict) else []
        bad = [name for name in names if Path(name).name != name or not name.endswith(".safetensors")]
        if bad or not names:
            what = f"names {bad[0][:80]!r}, which is no file beside it" if bad else "names no files"
            raise InputError(f"the index of the weights {what}", at=str(directory / _INDEX_NAME))
        files = [directory / name for name in names]
    else:
        files = [directory / WEIGHTS_NAME]
    absent = [path.name for path in files if not path.is_file()]
    pickles = sorted(path.name for pattern in _PICKLES for path in directory.glob(pattern))
    if absent and pickles:
        raise MissingInputError(
            f"there is no {absent[0]}, only {pickles[0]}, which can run code when it is read: it never is",
            at=str(directory),
            fix="save the model as safetensors where you trust it (transformers' save_pretrained does)",
        )
    if absent:
        raise MissingInputError(f"there is no {absent[0]}", at=str(directory), fix="fetch the model again")
    return files


def _require_enough(expected: int, *, files: list[Path], directory: Path) -> None:
    """Refuse a configuration that asks for more than the files hold, before it costs any memory."""
    try:
        held = 0
        for path in files:
            with safe_open(path, framework="pt") as file:
                held += sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(
            f"the weights cannot be read ({first_line(error)})", at=str(path), fix="fetch the model again"
        ) from error
    if expected > held:
        raise InputError(
            f"{CONFIG_NAME} describes a network of {expected:,} numbers, and the weights are {held:,}",
            at=str(directory),
            fix="fetch the model again",
        )


def _read_state(files: list[Path]) -> dict[str, Tensor]:
    state = {}
    for path in files:
        with safe_open(path, framework="pt") as file:
            # The text side of a model of pictures and words is never used: it stays on the disk.
            names = [key for key in file.keys() if not key.startswith("text_model.")]  # noqa: SIM118 - no mapping
            state.update({name: file.get_tensor(name) for name in names})
    return state

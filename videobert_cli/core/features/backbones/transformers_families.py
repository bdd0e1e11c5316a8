"""Which of transformers' models are backbones, and what of their `config.json` is obeyed.

A configuration chooses sizes, never a class, a file or code: only the keys that the family's own configuration declares
are read. `auto_map`, `trust_remote_code`, `_attn_implementation*`, quantization and all else are dropped.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from videobert_cli.errors import InputError, MissingInputError

CONFIG_NAME = "config.json"
_MAX_BYTES = 1_000_000
# A hostile configuration must not build a million layers before its weights are looked at.
_MAX_LAYERS = 512
_MAX_SIZE = 1 << 20
Output = Literal["pooler_output", "class token", "mean of tokens"]


@dataclass(frozen=True, kw_only=True)
class Family:
    """One `model_type`: its classes in transformers, what it takes and which output is the feature.

    `part` is the section of `config.json` that describes the vision side; `saved_type` the `model_type` of that side
    alone. `size_key` names the side of the picture where that is fixed, `frames_key` the frames of a video network,
    which takes fewer where `frames_multiple` is set, a multiple of it.
    """

    model_class: str
    config_class: str
    output: Output
    kind: Literal["image", "video"]
    dim_key: str = "hidden_size"
    part: str = ""
    saved_type: str = ""
    size_key: str = ""
    frames_key: str = ""
    frames_multiple_key: str = ""
    model_options: Mapping[str, Any] = field(default_factory=dict)


_CLIP = Family(
    model_class="CLIPVisionModel",
    config_class="CLIPVisionConfig",
    output="pooler_output",
    kind="image",
    size_key="image_size",
    saved_type="clip_vision_model",
)
_SIGLIP = Family(
    model_class="SiglipVisionModel",
    config_class="SiglipVisionConfig",
    output="pooler_output",
    kind="image",
    size_key="image_size",
    saved_type="siglip_vision_model",
)


def _vision_of(family: Family) -> Family:
    return Family(**{**vars(family), "part": "vision_config"})


FAMILIES: Mapping[str, Family] = {
    "videomae": Family(
        model_class="VideoMAEModel", config_class="VideoMAEConfig", output="mean of tokens", kind="video",
        size_key="image_size", frames_key="num_frames",
    ),
    "timesformer": Family(
        model_class="TimesformerModel", config_class="TimesformerConfig", output="class token", kind="video",
        size_key="image_size", frames_key="num_frames",
    ),
    # Checkpoints fine-tuned for classes carry no pooler: the one transformers would make is random.
    "vivit": Family(
        model_class="VivitModel", config_class="VivitConfig", output="class token", kind="video",
        size_key="image_size", frames_key="num_frames", model_options={"add_pooling_layer": False},
    ),
    # Rotary positions: any number of frames up to those it was trained with, in whole tubelets.
    "vjepa2": Family(
        model_class="VJEPA2Model", config_class="VJEPA2Config", output="mean of tokens", kind="video",
        size_key="crop_size", frames_key="frames_per_clip", frames_multiple_key="tubelet_size",
    ),
    "xclip": Family(
        model_class="XClipVideo", config_class="XCLIPConfig", output="pooler_output", kind="video",
        dim_key="mit_hidden_size", size_key="image_size", frames_key="num_frames",
    ),
    "clip": _vision_of(_CLIP),
    "clip_vision_model": _CLIP,
    "siglip": _vision_of(_SIGLIP),
    "siglip_vision_model": _SIGLIP,
    "dinov2": Family(
        model_class="Dinov2Model", config_class="Dinov2Config", output="pooler_output", kind="image"
    ),
    "dinov2_with_registers": Family(
        model_class="Dinov2WithRegistersModel", config_class="Dinov2WithRegistersConfig",
        output="pooler_output", kind="image",
    ),
    "dinov3_vit": Family(
        model_class="DINOv3ViTModel", config_class="DINOv3ViTConfig", output="pooler_output", kind="image"
    ),
    "vit": Family(
        model_class="ViTModel", config_class="ViTConfig", output="class token", kind="image",
        size_key="image_size", model_options={"add_pooling_layer": False},
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A checked configuration: `given` are the keys that were obeyed, `dropped_keys` those that were not."""

    model_type: str
    family: Family
    given: Mapping[str, Any]
    dropped_keys: tuple[str, ...]
    config: Any

    @property
    def vision(self) -> Any:
        """Return the configuration of the side that sees pictures."""
        return getattr(self.config, "vision_config", self.config)

    @property
    def dim(self) -> int:
        """Return the size of the network's output."""
        return int(getattr(self.vision, self.family.dim_key))

    @property
    def size(self) -> int | None:
        """Return the side of the picture that the network is made for, None where it takes any."""
        if not self.family.size_key:
            return None
        value = getattr(self.vision, self.family.size_key)
        return int(value if isinstance(value, int) else value[0])

    def num_frames(self, clip_num_frames: int) -> int | None:
        """Return how many frames of such a clip the network takes; None for an image network, which takes any."""
        if not self.family.frames_key:
            return None
        wanted = int(getattr(self.vision, self.family.frames_key))
        if not self.family.frames_multiple_key:
            return wanted
        multiple = int(getattr(self.vision, self.family.frames_multiple_key))
        return max(multiple, min(wanted, clip_num_frames - clip_num_frames % multiple))

    def saved(self) -> dict[str, Any]:
        """Return the `config.json` of what is used of the model: the vision side, the keys obeyed."""
        return {"model_type": self.model_type, **self.given}


def read_config(directory: Path) -> ModelConfig:
    """Return what is obeyed of a model directory's `config.json`.

    Raises:
        MissingInputError: There is none.
        InputError: It cannot be read, is of a family that is no backbone here, or describes no possible network.
    """
    path = directory / CONFIG_NAME
    raw = read_object(path)
    model_type = raw.get("model_type")
    family = FAMILIES.get(model_type) if isinstance(model_type, str) else None
    if not isinstance(model_type, str) or family is None:
        raise InputError(
            f"models of the type {str(model_type)[:60]!r} are no backbone here",
            at=str(path),
            fix=f"take one of {', '.join(FAMILIES)}; docs/backbones.md shows how a plug-in adds others",
        )
    given, dropped = _allowed(raw, family=family, path=path)
    _require_sane(given, path=path)
    import transformers

    try:
        config = getattr(transformers, family.config_class)(**given)
    except Exception as error:
        raise InputError(
            f"config.json describes no {model_type} ({first_line(error)})", at=str(path)
        ) from error
    return ModelConfig(
        model_type=family.saved_type or model_type,
        family=family,
        given=given,
        dropped_keys=tuple(sorted(dropped)),
        config=config,
    )


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a small regular file.

    Raises:
        MissingInputError: There is no such file.
        InputError: It is too large, or no JSON object.
    """
    if not path.is_file():
        raise MissingInputError(
            f"there is no {path.name}",
            at=str(path.parent),
            fix="give a directory as transformers' save_pretrained writes it, with the processor's settings beside it",
        )
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"it is larger than {_MAX_BYTES:,} bytes")
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise TypeError("it is not an object")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path.name} cannot be read ({first_line(error)})", at=str(path)) from error
    return found


def _allowed(raw: Mapping[str, Any], *, family: Family, path: Path) -> tuple[dict[str, Any], list[str]]:
    import transformers

    own = _own_keys(getattr(transformers, family.config_class))
    if family.model_class == "XClipVideo":
        vision = _section(raw, "vision_config", path=path)
        vision_keys = _own_keys(transformers.XCLIPVisionConfig)
        given = {"vision_config": {key: value for key, value in vision.items() if key in vision_keys}}
        if "projection_dim" in raw:
            given["projection_dim"] = raw["projection_dim"]
        return given, [key for key in raw if key not in {"model_type", *own}]
    source = _section(raw, family.part, path=path) if family.part else raw
    given = {key: value for key, value in source.items() if key in own}
    dropped = {key for key in [*raw, *source] if key not in own | {"model_type", family.part}}
    return given, list(dropped)


def _section(raw: Mapping[str, Any], name: str, *, path: Path) -> Mapping[str, Any]:
    """Return a section; older files leave out what equals the defaults, even all of it."""
    section = raw.get(name, {})
    if not isinstance(section, dict):
        raise InputError(f"{name} is not a section of keys", at=str(path))
    return section


def _own_keys(config_class: Any) -> set[str]:
    """Return the keys that the family's configuration itself declares, not those of all configurations."""
    from transformers import PreTrainedConfig

    classes = [kind for kind in config_class.__mro__ if issubclass(kind, PreTrainedConfig)]
    keys = {
        key
        for kind in classes
        if kind is not PreTrainedConfig
        for key in vars(kind).get("__annotations__", {})
    }
    plain = {key for key in keys if not key.startswith("_")}
    return plain - {
        "model_type",
        "base_config_key",
        "sub_configs",
        "attribute_map",
        "keys_to_ignore_at_inference",
    }


def _require_sane(given: Mapping[str, Any], *, path: Path) -> None:
    for key, value in given.items():
        if isinstance(value, dict):
            _require_sane(value, path=path)
        elif isinstance(value, int) and not 0 <= value <= (_MAX_LAYERS if "layers" in key else _MAX_SIZE):
            raise InputError(f"{key} is {value}: no network is of that size", at=str(path))
    if given.get("num_channels", given.get("in_chans", 3)) != 3:
        raise InputError("the network does not take pictures of three colours", at=str(path))
    if given.get("vision_use_head") is False:
        raise InputError("the network has no pooling head (vision_use_head: false)", at=str(path))


def first_line(error: Exception) -> str:
    """Return the first line of what an error of another library says, for a message of ours."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]

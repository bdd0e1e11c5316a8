"""The backbones by name: loaded from what a recipe says, saved into a model directory, loaded back from
it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from videobert_cli import artifacts
from videobert_cli.core.features.backbones.efficientnet import EfficientNetBackbone, embedded_weights_path
from videobert_cli.core.features.backbones.s3d_backbone import S3DBackbone
from videobert_cli.core.features.backbones.s3d_mil_nce_backbone import LAYERS, MilNceBackbone
from videobert_cli.core.features.backbones.weights import download_kinetics400, publish_weights, read_weights
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.features.plugins import BUILT_IN, TRANSFORMERS_PREFIX, load_plug_in
from videobert_cli.core.video.frames import ClipBatch, FrameRequest
from videobert_cli.errors import ArtifactError, InputError, RecipeError, VideoBERTError

OPTIONS_NAME = "extractor.json"
WEIGHTS_NAME = "backbone.safetensors"
# A model of transformers is saved as transformers itself would: a directory of its own.
TRANSFORMERS_NAME = "backbone"
_CLASSES: dict[str, type[EfficientNetBackbone] | type[S3DBackbone] | type[MilNceBackbone]] = {
    "efficientnet_lite0": EfficientNetBackbone,
    "s3d": S3DBackbone,
    **dict.fromkeys(LAYERS, MilNceBackbone),
}


@runtime_checkable
class Backbone(Protocol):
    """A network that turns clips of raw frames into features of size `dim`, made of `parts`."""

    name: str
    dim: int
    parts: tuple[int, ...]
    fingerprint: dict[str, Any]
    state: Mapping[str, Tensor]
    dtype: torch.dtype

    def frame_request(self, options: ExtractOptions) -> FrameRequest:
        """Return which frames the reader must deliver, and how prepared."""
        ...

    def features(self, batch: ClipBatch) -> np.ndarray:
        """Return float32 `[N, dim]` for a batch of N clips, whatever other clips the batch holds."""
        ...


@runtime_checkable
class _SavesItself(Protocol):
    def save(self, directory: Path) -> None: ...


def load_backbone(
    options: ExtractOptions, *, device: torch.device, directory: Path | None = None
) -> Backbone:
    """Return the backbone that `options` name, its weights on `device`.

    Args:
        options: The recipe's `extract:` section.
        device: Where the network computes.
        directory: A model directory; its `backbone.safetensors`, where it has one, goes before
        `options.weights`.

    Raises:
        InputError: The weights cannot be had, or are not this backbone's.
        RecipeError: The backbone knows no weights of that name, or cannot take such clips.
    """
    if options.backbone.startswith(TRANSFORMERS_PREFIX):
        from videobert_cli.core.features.backbones.transformers_backbone import load_transformers

        held = directory / TRANSFORMERS_NAME if directory else None
        return load_transformers(options, device=device, directory=held)
    carried = directory / WEIGHTS_NAME if directory else None
    if carried and carried.is_file():
        state, at = read_weights(carried), str(carried)
    else:
        state, at = _weights_by_name(options)
    if options.backbone not in BUILT_IN:
        return _plug_in(state, options=options, device=device, at=at)
    return _CLASSES[options.backbone](state, options=options, device=device, at=at)


def _plug_in(state: dict[str, Tensor], *, options: ExtractOptions, device: torch.device, at: str) -> Backbone:
    """Return the plug-in's backbone, which has what the rest relies on."""
    make = load_plug_in(options.backbone)
    try:
        found = make(state, options=options, device=device, at=at)
    except (VideoBERTError, torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:
        raise InputError(
            f"the plug-in {options.backbone!r} gives no backbone ({type(error).__name__}: {error})",
            at=f"extract.backbone: {options.backbone}",
            fix="mend the plug-in (--debug shows where it failed), or take another backbone",
        ) from error
    lacks = [
        name for name in (*Backbone.__annotations__, "frame_request", "features") if not hasattr(found, name)
    ]
    if not lacks and "weights_xxh3" not in found.fingerprint:
        lacks = ["fingerprint['weights_xxh3']"]
    if lacks:
        raise InputError(
            f"the plug-in {options.backbone!r} gives a {type(found).__name__} that lacks {', '.join(lacks)}",
            at=f"extract.backbone: {options.backbone}",
            fix="mend the plug-in (docs/backbones.md has a whole one), or take another backbone",
        )
    return found  # type: ignore[no-any-return]


def save_backbone(backbone: Backbone, *, options: ExtractOptions, directory: Path) -> None:
    """Write into a model directory what it takes to compute the same features elsewhere.

    The options and the fingerprint always (`extractor.json`); the weights (`backbone.safetensors`) unless they
    are the ones inside the installed package, or there are none; a model of transformers as a directory
    `backbone/` that loads alone.
    """
    publish_options = {"options": options.settings(), "fingerprint": backbone.fingerprint}
    if isinstance(backbone, _SavesItself) and options.backbone.startswith(TRANSFORMERS_PREFIX):
        backbone.save(directory / TRANSFORMERS_NAME)
    elif backbone.state and not _is_embedded(options):
        publish_weights(directory / WEIGHTS_NAME, backbone.state)
    artifacts.publish_json(directory / OPTIONS_NAME, publish_options)


def read_extract_options(directory: Path) -> ExtractOptions:
    """Return the options under which a model directory's features were made.

    Raises:
        ArtifactError: The directory has no `extractor.json`, or not one of this format.
    """
    path = directory / OPTIONS_NAME
    try:
        return ExtractOptions.model_validate_json(
            json.dumps(json.loads(path.read_text())["options"]), strict=True
        )
    except FileNotFoundError as error:
        raise ArtifactError("the directory does not say how its features are made", at=str(path)) from error
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise ArtifactError(f"extractor.json cannot be read ({error})", at=str(path)) from error


def load_backbone_directory(directory: Path, *, device: torch.device) -> tuple[Backbone, ExtractOptions]:
    """Return the backbone a model directory carries, and the options it was trained under.

    Raises:
        ArtifactError: The directory carries none, or the weights it names have changed since.
    """
    options = read_extract_options(directory)
    backbone = load_backbone(options, device=device, directory=directory)
    wanted = json.loads((directory / OPTIONS_NAME).read_text()).get("fingerprint", {}).get("weights_xxh3")
    found = backbone.fingerprint["weights_xxh3"]
    if wanted != found:
        raise ArtifactError(
            f"the backbone's weights ({found}) are not those the model was trained with ({wanted})",
            at=str(directory),
            fix="restore the model directory, or install the package versions that environment.json names",
        )
    return backbone, options


def _is_embedded(options: ExtractOptions) -> bool:
    return options.backbone == "efficientnet_lite0" and options.weights == "default"


def _weights_by_name(options: ExtractOptions) -> tuple[dict[str, Tensor], str]:
    if isinstance(options.weights, Path):
        return read_weights(options.weights), str(options.weights)
    if options.backbone == "s3d":
        return download_kinetics400(), "torchvision's kinetics400 weights"
    if options.backbone in LAYERS:
        raise RecipeError(
            f"{options.backbone} has no weights that can be fetched: the authors' address is dead",
            at="extract.weights",
            fix="--set extract.weights=s3d_howto100m.pth, a file of your own",
        )
    if options.weights == "default" and options.backbone not in BUILT_IN:
        return {}, f"the plug-in {options.backbone}'s own weights"
    if options.weights == "default":
        return read_weights(embedded_weights_path()), str(embedded_weights_path())
    raise RecipeError(
        f"{options.backbone} has no weights called {options.weights!r}",
        at="extract.weights",
        fix="--set extract.weights=default, or --set extract.backbone=s3d",
    )

"""Any video or image network of transformers as a backbone: `transformers:DIR_OR_HUB_ID`.

A video network sees the frames of a clip at once. An image network sees each distinct frame once; a clip's feature is
then the mean of its frames' outputs and their mean absolute change, as for the embedded backbone.
Shapes: N clips, T frames, F distinct frames, H height, W width, C colours, D feature, S tokens.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from videobert_cli import artifacts
from videobert_cli.core.features.backbones.arithmetic import describe_extraction, pick_dtype
from videobert_cli.core.features.backbones.clip_runner import ClipRunner
from videobert_cli.core.features.backbones.geometry import Geometry, request_frames
from videobert_cli.core.features.backbones.pooling import pool_clips
from videobert_cli.core.features.backbones.transformers_families import CONFIG_NAME, ModelConfig, read_config
from videobert_cli.core.features.backbones.transformers_processor import (
    PROCESSOR_NAME,
    Preprocessing,
    read_preprocessing,
)
from videobert_cli.core.features.backbones.transformers_weights import (
    WEIGHTS_NAME,
    build_network,
    find_directory,
)
from videobert_cli.core.features.backbones.weights import hash_weights, publish_weights
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.features.plugins import TRANSFORMERS_PREFIX
from videobert_cli.core.video.clips import spread_frame_indices
from videobert_cli.core.video.frames import ClipBatch, FrameRequest
from videobert_cli.errors import InputError, RecipeError

# Frames or clips of one pass. On a CPU few: their activations stay in the cache.
_CPU_NUM_FRAMES_AT_ONCE = 4
_GPU_NUM_FRAMES_AT_ONCE = 64
# What of a configuration changes the numbers and cannot be told from the shapes of the weights.
_TOLD = (
    "num_attention_heads",
    "hidden_act",
    "layer_norm_eps",
    "patch_size",
    "tubelet_size",
    "attention_type",
)


class TransformersBackbone:
    """A network of transformers on clips of raw frames."""

    def __init__(self, directory: Path, *, options: ExtractOptions, device: torch.device) -> None:
        """Check the recipe against the model, then load it.

        Raises:
            RecipeError: The clips do not fit the model's geometry.
            InputError: The model is not one that can be used, or its weights cannot be read.
        """
        self._model = read_config(directory)
        self._seen = read_preprocessing(directory, kind=self._model.family.kind)
        _require_size(self._model, preprocessing=self._seen, directory=directory)
        self.name = f"{TRANSFORMERS_PREFIX}{self._model.model_type}"
        num_frames = self._model.num_frames(options.clip_num_frames)
        self.geometry: Geometry | None = None
        if num_frames is not None:
            self.geometry = Geometry(
                backbone=self._model.model_type,
                num_frames=num_frames,
                frames_per_second=self._seen.frames_per_second,
                size=self._seen.crop_size,
            )
            self.geometry.require(options)
        network = build_network(self._model, directory)
        self.state: Mapping[str, Tensor] = dict(network.state_dict())
        self.device = device
        self.dtype = pick_dtype(options.precision, device=device)
        is_image = self.geometry is None
        self.parts: tuple[int, ...] = (self._model.dim,) * (2 if is_image else 1)
        self.dim = sum(self.parts)
        self.fingerprint = describe_extraction(options, backbone=self._describe(options))
        self._network = _PixelNetwork(
            network, model=self._model, preprocessing=self._seen, dtype=self.dtype
        ).to(device)
        self._is_gpu = device.type == "cuda"
        self._runner = ClipRunner(
            self._network,
            device=device,
            num_clips_at_once=options.batch_num_clips if self._is_gpu else 1,
            # Compiling costs a minute and gains little: nearly all the time goes into products and attention.
            compile_after=None,
        )

    @property
    def dropped_keys(self) -> tuple[str, ...]:
        """Return the keys of `config.json` that were not obeyed."""
        return self._model.dropped_keys

    def frame_request(self, options: ExtractOptions) -> FrameRequest:
        """Return what the reader must deliver: as many frames as the network takes, resized as its processor asks."""
        if self.geometry is not None:
            indices = self.geometry.frame_indices(options)
        else:
            indices = spread_frame_indices(options.clip_num_frames, num_frames=options.image_num_frames)
        return request_frames(
            options, indices=indices, resize=self._seen.resize, crop_size=self._seen.crop_size
        )

    def features(self, batch: ClipBatch) -> np.ndarray:
        """Return the features of a batch of clips, float32 `[N, D]`."""
        index_NT = torch.from_numpy(batch.frame_index_NT).to(self.device)
        with torch.inference_mode():
            frames_FHWC = torch.from_numpy(batch.frames_FHWC).to(self.device)
            return self.compute(frames_FHWC, index_NT).cpu().numpy()

    def compute(self, frames_FHWC: Tensor, index_NT: Tensor) -> Tensor:
        """Return the same of tensors on the device, without waiting for it."""
        if self.geometry is not None:
            return self._runner.compute(frames_FHWC, index_NT)
        num_at_once = _GPU_NUM_FRAMES_AT_ONCE if self._is_gpu else _CPU_NUM_FRAMES_AT_ONCE
        chunks = [self._frame_features(chunk, num_at_once) for chunk in torch.split(frames_FHWC, num_at_once)]
        return pool_clips(torch.cat(chunks)[index_NT])

    def save(self, directory: Path) -> None:
        """Write the network, its configuration and its processor's settings as a directory that loads alone."""
        publish_weights(directory / WEIGHTS_NAME, self.state)
        artifacts.publish_json(directory / CONFIG_NAME, self._model.saved())
        artifacts.publish_json(directory / PROCESSOR_NAME, dict(self._seen.settings))

    def _frame_features(self, frames_FHWC: Tensor, num_at_once: int) -> Tensor:
        """Return `[F, D]`; always the same number of frames in a pass, so that no feature depends on its neighbours."""
        num_frames = len(frames_FHWC)
        if num_missing := num_at_once - num_frames:
            frames_FHWC = torch.cat([frames_FHWC, frames_FHWC[:1].expand(num_missing, -1, -1, -1)])
        return cast(Tensor, self._network(frames_FHWC))[:num_frames]

    def _describe(self, options: ExtractOptions) -> dict[str, Any]:
        family, vision = self._model.family, self._model.vision
        pooling: dict[str, Any] = {"image_num_frames": options.image_num_frames}
        pooling["pooling"] = "over frames: mean | mean absolute difference of successive frames"
        if self.geometry is not None:
            pooling = {
                "num_frames": self.geometry.num_frames,
                "pooling": "frames evenly spread over the clip",
            }
        return {
            "backbone": self.name,
            "weights_xxh3": hash_weights(self.state),
            "layer": family.output,
            **pooling,
            "preprocessing": self._seen.describe(),
            "network": {key: getattr(vision, key) for key in _TOLD if hasattr(vision, key)},
            "parts": list(self.parts),
        }


def load_transformers(
    options: ExtractOptions, *, device: torch.device, directory: Path | None
) -> TransformersBackbone:
    """Return the backbone that `transformers:...` names, or the one that `directory` carries.

    Raises:
        RecipeError: The recipe names weights as well, or its clips do not fit the model.
        InputError: The model cannot be had, or cannot be used.
    """
    if options.weights != "default":
        raise RecipeError(
            "a model of transformers comes with its weights: `weights` cannot name others",
            at="extract.weights",
            fix="--set extract.weights=default",
        )
    place = str(options.backbone).removeprefix(TRANSFORMERS_PREFIX)
    return TransformersBackbone(directory or find_directory(place), options=options, device=device)


class _PixelNetwork(nn.Module):
    """Raw pixels in, the family's output out.

    The products of linear layers and convolutions are computed in `dtype`; norms and the sums between blocks stay in
    float32: rounding those to eight bits costs most of what the change between frames tells.
    """

    shift_C: Tensor
    scale_C: Tensor

    def __init__(
        self, network: nn.Module, *, model: ModelConfig, preprocessing: Preprocessing, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self._dtype = dtype
        self._output = model.family.output
        self.network: nn.Module = (
            cast(nn.Module, network.encoder) if model.model_type == "vjepa2" else network
        )
        for module in self.network.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d, nn.Conv3d)):
                module.to(dtype)
        self.register_buffer("shift_C", torch.tensor(preprocessing.shift_rgb, dtype=torch.float32))
        self.register_buffer("scale_C", torch.tensor(preprocessing.scale_rgb, dtype=torch.float32))

    def forward(self, pixels: Tensor) -> Tensor:
        """Return float32 `[N, D]` of uint8 `[N, T, H, W, C]`, or `[F, D]` of `[F, H, W, C]`."""
        pictures = ((pixels.to(torch.float32) - self.shift_C) / self.scale_C).movedim(-1, -3).contiguous()
        has_exact = self._dtype == torch.float32
        with torch.autocast(pixels.device.type, dtype=self._dtype, enabled=not has_exact):
            found = self.network(pictures)
        if self._output == "pooler_output":
            return cast(Tensor, found.pooler_output).to(torch.float32)
        tokens_NSD = cast(Tensor, found.last_hidden_state).to(torch.float32)
        return tokens_NSD[:, 0] if self._output == "class token" else tokens_NSD.mean(1)


def _require_size(model: ModelConfig, *, preprocessing: Preprocessing, directory: Path) -> None:
    if model.size is not None and model.size != preprocessing.crop_size:
        raise InputError(
            f"the processor gives pictures of {preprocessing.crop_size} pixels, and the network takes {model.size}",
            at=str(directory),
            fix=f"set crop_size (or size) to {model.size} in the processor's settings",
        )

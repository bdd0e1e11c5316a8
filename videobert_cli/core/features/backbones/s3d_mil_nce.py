"""S3D-G as trained with MIL-NCE on HowTo100M (arXiv 1912.06430): its checkpoint's parameter names, restated.

It differs from torchvision's S3D: the first convolution reads 2 x 2 x 2 cells of the clip as 24 channels, branches are
gated by their own means, pooling is aligned to the start (TensorFlow's `same`), pixels are in [0, 1].
The text tower of the checkpoint is left out.

Shapes: N clips, T frames, H height, W width, C channels, O output channels, D feature.
"""

from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videobert_cli.core.features.backbones.s3d import BLOCKS_3, BLOCKS_4, BLOCKS_5
from videobert_cli.core.features.backbones.s3d_layers import (
    Block,
    FoldedWeights,
    Pointwise,
    Pool,
    fold_batch_norm,
    separable,
)

Layer = Literal["mixed_5c", "video_embedding"]
DIMS: dict[Layer, int] = {"mixed_5c": 1024, "video_embedding": 512}
_CELL_CHANNELS = 24
_BLOCK_NAMES = ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c")


class ConvNorm(nn.Module):
    """One convolution with its batch norm, or one in space and one in time."""

    def __init__(self, in_dim: int, out_dim: int, *, kernel: tuple[int, int, int] = (1, 1, 1)) -> None:
        super().__init__()
        is_separable = kernel == (3, 3, 3)
        self.conv1 = nn.Conv3d(in_dim, out_dim, (1, 3, 3) if is_separable else kernel, bias=False)
        self.bn1 = nn.BatchNorm3d(out_dim)
        if is_separable:
            self.conv2 = nn.Conv3d(out_dim, out_dim, (3, 1, 1), bias=False)
            self.bn2 = nn.BatchNorm3d(out_dim)


class SelfGating(nn.Module):
    """Channels weighed by a function of their means over the clip."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc = nn.Linear(dim, dim)

    def forward(self, x_NTHWC: Tensor) -> Tensor:
        """Return `x` times its gates."""
        mean_NC = x_NTHWC.mean((1, 2, 3), dtype=torch.float32).to(x_NTHWC.dtype)
        gates_NC: Tensor = torch.sigmoid(self.fc(mean_NC))
        return x_NTHWC * gates_NC[:, None, None, None]


class MixedBlock(nn.Module):
    """The parameters of one inception block."""

    def __init__(self, widths: tuple[int, int, int, int, int, int, int]) -> None:
        super().__init__()
        in_dim, out0, mid1, out1, mid2, out2, out3 = widths
        self.conv_b0 = ConvNorm(in_dim, out0)
        self.conv_b1_a = ConvNorm(in_dim, mid1)
        self.conv_b1_b = ConvNorm(mid1, out1, kernel=(3, 3, 3))
        self.conv_b2_a = ConvNorm(in_dim, mid2)
        self.conv_b2_b = ConvNorm(mid2, out2, kernel=(3, 3, 3))
        self.conv_b3_b = ConvNorm(in_dim, out3)
        self.gating_b0, self.gating_b1 = SelfGating(out0), SelfGating(out1)
        self.gating_b2, self.gating_b3 = SelfGating(out2), SelfGating(out3)


class MilNceParameters(nn.Module):
    """All parameters by the checkpoint's names; computes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = ConvNorm(_CELL_CHANNELS, 64, kernel=(2, 4, 4))
        self.conv_2b = ConvNorm(64, 64)
        self.conv_2c = ConvNorm(64, 192, kernel=(3, 3, 3))
        self.gating = SelfGating(192)
        for name, widths in zip(_BLOCK_NAMES, (*BLOCKS_3, *BLOCKS_4, *BLOCKS_5), strict=True):
            self.add_module(f"mixed_{name}", MixedBlock(widths))
        self.fc = nn.Linear(DIMS["mixed_5c"], DIMS["video_embedding"])


class CellStem(nn.Module):
    """The first convolution: cells of 2 x 2 x 2 pixels, each output seeing two cells in time and 4 x 4 in space."""

    def __init__(self, weight_OCTHW: Tensor, bias_O: Tensor) -> None:
        super().__init__()
        both = torch.cat((weight_OCTHW[:, :, 0], weight_OCTHW[:, :, 1]), 1)
        self.weight = nn.Parameter(both.contiguous(memory_format=torch.channels_last))
        self.bias = nn.Parameter(bias_O)

    def forward(self, x_NTHWC: Tensor) -> Tensor:
        """Return `[N, T / 2, H / 2, W / 2, O]` of clips of three colours."""
        num_clips, num_frames, height, width, _ = x_NTHWC.shape
        cells = x_NTHWC.reshape(num_clips, num_frames // 2, 2, height // 2, 2, width // 2, 2, 3)
        cells_NTHWC = cells.permute(0, 1, 3, 5, 2, 4, 6, 7).flatten(4)
        # Beyond the last cell in time there is nothing; in space one cell before and two behind are missing.
        following = F.pad(cells_NTHWC[:, 1:], (0, 0, 0, 0, 0, 0, 0, 1))
        both = F.pad(torch.cat((cells_NTHWC, following), -1), (0, 0, 1, 2, 1, 2))
        y = F.relu_(F.conv2d(both.flatten(0, 1).permute(0, 3, 1, 2), self.weight, self.bias))
        return torch.unflatten(y.permute(0, 2, 3, 1), 0, (num_clips, num_frames // 2))


class FoldedMilNce(nn.Module):
    """The network for inference, batch norms folded; `layer` says which of its two outputs is the feature."""

    def __init__(self, parameters: MilNceParameters, *, layer: Layer, dtype: torch.dtype) -> None:
        super().__init__()
        blocks = [_block(cast(MixedBlock, getattr(parameters, f"mixed_{name}"))) for name in _BLOCK_NAMES]
        layers = [
            CellStem(*_fold(parameters.conv1)),
            Pool(time=1, space=3, stride=(1, 2), alignment="start"),
            _pointwise(parameters.conv_2b),
            _separable(parameters.conv_2c),
            parameters.gating,
            Pool(time=1, space=3, stride=(1, 2), alignment="start"),
            *blocks[:2],
            Pool(time=3, space=3, stride=(2, 2), alignment="start"),
            *blocks[2:7],
            Pool(time=2, space=2, stride=(2, 2), alignment="start"),
            *blocks[7:],
        ]
        self.layers = nn.Sequential(*layers).to(dtype)
        self.head = parameters.fc.float() if layer == "video_embedding" else nn.Identity()
        self.dtype = dtype
        self.requires_grad_(requires_grad=False).eval()

    def forward(self, clips_NTHWC: Tensor) -> Tensor:
        """Return the features float32 `[N, D]` of raw clips uint8 `[N, T, H, W, 3]`; T, H and W even."""
        return self.features(clips_NTHWC.to(torch.float32).div_(255).to(self.dtype))

    def features(self, x_NTHWC: Tensor) -> Tensor:
        """Return the features float32 `[N, D]` of clips in [0, 1]."""
        features_ND: Tensor = self.head(self.layers(x_NTHWC).mean((1, 2, 3), dtype=torch.float32))
        return features_ND


def _block(block: MixedBlock) -> Block:
    starts = [_fold(layer) for layer in (block.conv_b0, block.conv_b1_a, block.conv_b2_a)]
    return Block(
        [(weight.flatten(1), bias_O) for weight, bias_O in starts],
        branch1=_separable(block.conv_b1_b),
        branch2=_separable(block.conv_b2_b),
        after_pool=_pointwise(block.conv_b3_b),
        gates=(block.gating_b0, block.gating_b1, block.gating_b2, block.gating_b3),
    )


def _separable(layer: ConvNorm) -> nn.Sequential:
    return separable(_fold(layer), fold_batch_norm(layer.conv2, layer.bn2), space_stride=1, time_stride=1)


def _pointwise(layer: ConvNorm) -> Pointwise:
    weight, bias_O = _fold(layer)
    return Pointwise(weight.flatten(1), bias_O)


def _fold(layer: ConvNorm) -> FoldedWeights:
    return fold_batch_norm(layer.conv1, layer.bn1)

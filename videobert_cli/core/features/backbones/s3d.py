"""S3D, the paper's video backbone: torchvision's parameter names, so its weights load as they are.

Shapes: N clips, C channels, T frames, H height, W width, D feature, K classes.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEATURE_DIM = 1024
MIN_NUM_FRAMES = 14
# in, branch0, branch1 (mid, out), branch2 (mid, out), branch3 of each inception block (arXiv 1712.04851).
BLOCKS_3 = ((192, 64, 96, 128, 16, 32, 32), (256, 128, 128, 192, 32, 96, 64))
BLOCKS_4 = (
    (480, 192, 96, 208, 16, 48, 64),
    (512, 160, 112, 224, 24, 64, 64),
    (512, 128, 128, 256, 24, 64, 64),
    (512, 112, 144, 288, 32, 64, 64),
    (528, 256, 160, 320, 32, 128, 128),
)
BLOCKS_5 = ((832, 256, 160, 320, 32, 128, 128), (832, 384, 192, 384, 48, 128, 128))


class ConvNormRelu(nn.Sequential):
    """A 3-D convolution of one axis kind (space, time or a point), batch norm and ReLU; padded to keep its size."""

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        *,
        kernel: tuple[int, int, int] = (1, 1, 1),
        stride: tuple[int, int, int] = (1, 1, 1),
    ) -> None:
        padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        super().__init__(
            nn.Conv3d(in_dim, out_dim, kernel, stride=stride, padding=padding, bias=False),
            nn.BatchNorm3d(out_dim, eps=0.001, momentum=0.001),
            nn.ReLU(inplace=True),
        )


class SeparableConv(nn.Sequential):
    """A k x k convolution in space, then one of length k in time."""

    def __init__(self, in_dim: int, out_dim: int, *, kernel_size: int, stride: int) -> None:
        super().__init__(
            ConvNormRelu(in_dim, out_dim, kernel=(1, kernel_size, kernel_size), stride=(1, stride, stride)),
            ConvNormRelu(out_dim, out_dim, kernel=(kernel_size, 1, 1), stride=(stride, 1, 1)),
        )


class InceptionBlock(nn.Module):
    """Four branches side by side, concatenated over channels."""

    def __init__(self, widths: tuple[int, int, int, int, int, int, int]) -> None:
        super().__init__()
        in_dim, out0, mid1, out1, mid2, out2, out3 = widths
        self.branch0 = ConvNormRelu(in_dim, out0)
        self.branch1 = nn.Sequential(
            ConvNormRelu(in_dim, mid1), SeparableConv(mid1, out1, kernel_size=3, stride=1)
        )
        self.branch2 = nn.Sequential(
            ConvNormRelu(in_dim, mid2), SeparableConv(mid2, out2, kernel_size=3, stride=1)
        )
        self.branch3 = nn.Sequential(nn.MaxPool3d(3, stride=1, padding=1), ConvNormRelu(in_dim, out3))

    def forward(self, x: Tensor) -> Tensor:
        """Return `[N, sum of outs, T, H, W]`."""
        return torch.cat((self.branch0(x), self.branch1(x), self.branch2(x), self.branch3(x)), 1)


class S3D(nn.Module):
    """The network of arXiv 1712.04851; `state_dict` of `torchvision.models.video.s3d` loads as it is."""

    def __init__(self, *, num_classes: int = 400) -> None:
        super().__init__()
        self.features = nn.Sequential(
            SeparableConv(3, 64, kernel_size=7, stride=2),
            nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
            ConvNormRelu(64, 64),
            SeparableConv(64, 192, kernel_size=3, stride=1),
            nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
            *(InceptionBlock(widths) for widths in BLOCKS_3),
            nn.MaxPool3d(3, stride=2, padding=1),
            *(InceptionBlock(widths) for widths in BLOCKS_4),
            nn.MaxPool3d(2, stride=2),
            *(InceptionBlock(widths) for widths in BLOCKS_5),
        )
        self.avgpool = nn.AvgPool3d((2, 7, 7), stride=1)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Conv3d(FEATURE_DIM, num_classes, 1))

    def forward(self, clips_NCTHW: Tensor) -> Tensor:
        """Return the features `[N, 1024]`: the mean over time and space of `avgpool`'s output.

        That weighs 30 frames' four time steps 1/6, 2/6, 2/6, 1/6, exactly as the classifier sees them; it is
        not the plain mean of `features`. At least 14 frames and 224 x 224 pixels.
        """
        # In float32: torch has no average pooling of bfloat16 volumes on a CPU, and a mean is where bits are lost.
        pooled: Tensor = self.avgpool(self.features(clips_NCTHW).to(torch.float32))
        return pooled.mean((2, 3, 4))

    def logits(self, features_ND: Tensor) -> Tensor:
        """Return torchvision's logits `[N, K]` from `forward`'s features: a linear layer commutes with the mean."""
        layer = cast(nn.Conv3d, self.classifier[1])
        bias_K = cast(Tensor, layer.bias)
        return F.linear(
            features_ND, layer.weight.flatten(1).to(features_ND.dtype), bias_K.to(features_ND.dtype)
        )

"""S3D, the paper's video backbone: torchvision's parameter names, so its weights load as they are.

Shapes: N clips, C channels, T frames, H height, W width, F distinct frames, D feature, K classes.
"""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import convert_conv3d_weight_memory_format
from torch.nn.utils.fusion import fuse_conv_bn_eval

from videobert_cli.core.features.arithmetic import describe_extraction, pick_dtype
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.features.weights import hash_weights, load_strictly
from videobert_cli.core.video.frames import ClipBatch, FrameRequest
from videobert_cli.errors import RecipeError

FEATURE_DIM = 1024
MIN_NUM_FRAMES = 14
MEAN_RGB = (0.43216, 0.394666, 0.37645)
STD_RGB = (0.22803, 0.22145, 0.216989)
RESIZE_HEIGHT_WIDTH = (256, 256)
CROP_SIZE = 224
# in, branch0, branch1 (mid, out), branch2 (mid, out), branch3 of each inception block (arXiv 1712.04851,
# torchvision).
_BLOCKS_3 = ((192, 64, 96, 128, 16, 32, 32), (256, 128, 128, 192, 32, 96, 64))
_BLOCKS_4 = (
    (480, 192, 96, 208, 16, 48, 64),
    (512, 160, 112, 224, 24, 64, 64),
    (512, 128, 128, 256, 24, 64, 64),
    (512, 112, 144, 288, 32, 64, 64),
    (528, 256, 160, 320, 32, 128, 128),
)
_BLOCKS_5 = ((832, 256, 160, 320, 32, 128, 128), (832, 384, 192, 384, 48, 128, 128))


class ConvNormRelu(nn.Sequential):
    """A 3-D convolution of one axis kind (space, time or a point), batch norm and ReLU; padded to keep its
    size.
    """

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
    """The network of arXiv 1712.04851; `state_dict` of `torchvision.models.video.s3d` loads with
    `strict=True`.
    """

    def __init__(self, *, num_classes: int = 400) -> None:
        super().__init__()
        self.features = nn.Sequential(
            SeparableConv(3, 64, kernel_size=7, stride=2),
            nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
            ConvNormRelu(64, 64),
            SeparableConv(64, 192, kernel_size=3, stride=1),
            nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
            *(InceptionBlock(widths) for widths in _BLOCKS_3),
            nn.MaxPool3d(3, stride=2, padding=1),
            *(InceptionBlock(widths) for widths in _BLOCKS_4),
            nn.MaxPool3d(2, stride=2),
            *(InceptionBlock(widths) for widths in _BLOCKS_5),
        )
        self.avgpool = nn.AvgPool3d((2, 7, 7), stride=1)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Conv3d(FEATURE_DIM, num_classes, 1))

    def forward(self, clips_NCTHW: Tensor) -> Tensor:
        """Return the features `[N, 1024]`: the mean over time and space of `avgpool`'s output (facts.md 4.1).

        That weighs 30 frames' four time steps 1/6, 2/6, 2/6, 1/6, exactly as the classifier sees them; it is
        not the plain mean of `features`. At least 14 frames and 224 x 224 pixels.
        """
        # In float32: torch has no average pooling of bfloat16 volumes on a CPU, and a mean is where bits are lost.
        pooled: Tensor = self.avgpool(self.features(clips_NCTHW).to(torch.float32))
        return pooled.mean((2, 3, 4))

    def logits(self, features_ND: Tensor) -> Tensor:
        """Return torchvision's logits `[N, K]` from `forward`'s features: a linear layer commutes with the
        mean.
        """
        layer = cast(nn.Conv3d, self.classifier[1])
        bias_K = cast(Tensor, layer.bias)
        return F.linear(
            features_ND, layer.weight.flatten(1).to(features_ND.dtype), bias_K.to(features_ND.dtype)
        )


def fold_batch_norms(network: S3D) -> S3D:
    """Return `network`, in evaluation mode, with every batch norm folded into its convolution (in place)."""
    network.eval()
    for layer in [module for module in network.modules() if isinstance(module, ConvNormRelu)]:
        layer[0] = fuse_conv_bn_eval(cast(nn.Conv3d, layer[0]), cast(nn.BatchNorm3d, layer[1]))
        layer[1] = nn.Identity()
    return network


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
        self.dtype = pick_dtype(options.precision, device=device)
        self.fingerprint = describe_extraction(options, backbone=_describe(state))
        self._network = fold_batch_norms(network).to(device=device, dtype=self.dtype)
        convert_conv3d_weight_memory_format(self._network, torch.channels_last_3d)
        # A clip at a time on a CPU: faster than four (speed.md), 1 GB less, and no clip can feel its
        # neighbours.
        self._num_clips_at_once = 1 if device.type == "cpu" else options.batch_num_clips
        self._mean_C = torch.tensor(MEAN_RGB, device=device)
        self._std_C = torch.tensor(STD_RGB, device=device)

    def frame_request(self, options: ExtractOptions) -> FrameRequest:
        """Return what the reader must deliver: every frame of a clip, 256 x 256 (aspect not kept), cropped
        to 224.
        """
        return FrameRequest(
            frames_per_second=options.frames_per_second,
            clip_num_frames=options.clip_num_frames,
            clip_stride_frames=options.clip_stride_frames,
            frame_indices=tuple(range(options.clip_num_frames)),
            resize=RESIZE_HEIGHT_WIDTH,
            crop_size=CROP_SIZE,
            batch_num_clips=options.batch_num_clips,
        )

    def features(self, batch: ClipBatch) -> np.ndarray:
        """Return the features of a batch of clips, float32 `[N, 1024]`."""
        frames_FHWC = torch.from_numpy(batch.frames_FHWC).to(self.device)
        index_NT = torch.from_numpy(batch.frame_index_NT).to(self.device)
        with torch.inference_mode():
            return self.compute(frames_FHWC, index_NT).cpu().numpy()

    def compute(self, frames_FHWC: Tensor, index_NT: Tensor) -> Tensor:
        """Return the same of tensors on the device, without waiting for it."""
        chunks_NT = torch.split(index_NT, self._num_clips_at_once)
        return torch.cat([self._forward(frames_FHWC, chunk_NT) for chunk_NT in chunks_NT])

    def _forward(self, frames_FHWC: Tensor, index_NT: Tensor) -> Tensor:
        clips_NTHWC = frames_FHWC[index_NT].to(torch.float32).div_(255).sub_(self._mean_C).div_(self._std_C)
        # A permuted NTHWC buffer already is channels_last_3d: no copy.
        features_ND: Tensor = self._network(clips_NTHWC.to(self.dtype).permute(0, 4, 1, 2, 3))
        return features_ND


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

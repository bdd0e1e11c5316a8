"""The layers of S3D restated for inference: 2-D convolutions over one N,T,H,W,C buffer.

A (1, k, k) convolution sees N * T images, a (k, 1, 1) convolution sees N images of T x (H * W), a (1, 1, 1)
convolution is a matrix product: all are views of the same buffer, so nothing is ever transposed or copied, and 2-D
kernels are far ahead of 3-D ones on every device. The three products that read a block's input are one product.
3-D max pooling is a maximum over space, then one over time.

Shapes: N clips, T frames, H height, W width, C channels, O output channels.
"""

from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import pairwise
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

FoldedWeights = tuple[Tensor, Tensor]
"""Weight and bias of a convolution with its batch norm folded in."""


class SpatialConv(nn.Module):
    """A convolution over height and width with its ReLU, on `[N, T, H, W, C]`."""

    def __init__(self, weight_OCHW: Tensor, bias_O: Tensor, *, stride: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(
            weight_OCHW.contiguous(memory_format=torch.channels_last), requires_grad=False
        )
        self.bias = nn.Parameter(bias_O, requires_grad=False)
        self.stride = stride
        self.padding = weight_OCHW.shape[-1] // 2

    def forward(self, x_NTHWC: Tensor) -> Tensor:
        """Return `[N, T, H / stride, W / stride, O]`."""
        images = x_NTHWC.flatten(0, 1).permute(0, 3, 1, 2)
        y = F.conv2d(images, self.weight, self.bias, stride=self.stride, padding=self.padding)
        return _as_clips(F.relu_(y), like_NTHWC=x_NTHWC)


class TemporalConv(nn.Module):
    """A convolution over time, on `[N, T, H, W, C]`, with its ReLU unless `is_rectified` is taken away."""

    def __init__(self, weight_OCT: Tensor, bias_O: Tensor, *, stride: int) -> None:
        super().__init__()
        columns = weight_OCT[..., None].contiguous(memory_format=torch.channels_last)
        self.weight = nn.Parameter(columns, requires_grad=False)
        self.bias = nn.Parameter(bias_O, requires_grad=False)
        self.stride = stride
        self.padding = weight_OCT.shape[-1] // 2
        self.is_rectified = True

    def forward(self, x_NTHWC: Tensor) -> Tensor:
        """Return `[N, T / stride, H, W, O]`."""
        strips = x_NTHWC.flatten(2, 3).permute(0, 3, 1, 2)
        y = F.conv2d(strips, self.weight, self.bias, stride=(self.stride, 1), padding=(self.padding, 0))
        y = F.relu_(y) if self.is_rectified else y
        return torch.unflatten(y.permute(0, 2, 3, 1), 2, x_NTHWC.shape[2:4])


class Pointwise(nn.Module):
    """A matrix product over channels with its ReLU."""

    def __init__(self, weight_OC: Tensor, bias_O: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight_OC.contiguous(), requires_grad=False)
        self.bias = nn.Parameter(bias_O, requires_grad=False)

    def forward(self, x_NTHWC: Tensor) -> Tensor:
        """Return `[N, T, H, W, O]`."""
        return F.relu_(F.linear(x_NTHWC, self.weight, self.bias))


class Pool(nn.Module):
    """Max pooling over space, then over time; a time of 1 leaves the frames alone.

    `alignment` is `centred` (PyTorch: half the window's overhang before the first pixel, whole windows only) or `start`
    (TensorFlow's `same` at an even stride: the first window starts at the first pixel, the last may stick out).
    """

    def __init__(
        self, *, time: int, space: int, stride: tuple[int, int], alignment: Literal["centred", "start"]
    ) -> None:
        super().__init__()
        self.time, self.space, self.stride = time, space, stride
        self.is_centred = alignment == "centred"
        self.is_rectified = False

    def forward(self, x_NTHWC: Tensor) -> Tensor:
        """Return the pooled buffer, without its negative values if `is_rectified`."""
        y_NTHWC = self._pooled(x_NTHWC)
        return F.relu_(y_NTHWC) if self.is_rectified else y_NTHWC

    def _pooled(self, x_NTHWC: Tensor) -> Tensor:
        images = x_NTHWC.flatten(0, 1).permute(0, 3, 1, 2)
        pooled = F.max_pool2d(
            images,
            self.space,
            stride=self.stride[1],
            padding=(self.space - 1) // 2 if self.is_centred else 0,
            ceil_mode=not self.is_centred,
        )
        y_NTHWC = _as_clips(pooled, like_NTHWC=x_NTHWC)
        if self.time == 1:
            return y_NTHWC
        num_frames, stride = x_NTHWC.shape[1], self.stride[0]
        before = (self.time - 1) // 2 if self.is_centred else 0
        num_out = (
            (num_frames + 2 * before - self.time) // stride + 1
            if self.is_centred
            else -(-num_frames // stride)
        )
        return _max_over_time(y_NTHWC, size=self.time, stride=stride, before=before, num_out=num_out)


class NeighbourPool(nn.Module):
    """The maximum over 3 x 3 x 3 at every place, as an inception block has it."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pool(time=3, space=3, stride=(1, 1), alignment="centred")

    def forward(self, x_NTHWC: Tensor) -> Tensor:
        """Return a buffer of the same shape."""
        # Pairs, then pairs of pairs, one axis after another: on a CPU whole rows at once, a third faster than
        # `max_pool2d`, which also notes where each maximum was. A GPU would start a kernel for each, and writing into
        # parts of a result would cut a compiled network in pieces.
        is_cpu = x_NTHWC.device.type == "cpu" and not torch.compiler.is_compiling()
        if not is_cpu or min(x_NTHWC.shape[1:4]) < 3:
            return cast(Tensor, self.pool(x_NTHWC))
        for axis in (1, 2, 3):
            x_NTHWC = _max_of_three(x_NTHWC, axis=axis)
        return x_NTHWC


class Block(nn.Module):
    """An inception block: one product for the three branches that start with one, the pooled branch beside them."""

    def __init__(
        self,
        starts: Sequence[FoldedWeights],
        *,
        branch1: nn.Module,
        branch2: nn.Module,
        after_pool: nn.Module,
        gates: Sequence[nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.widths = [len(bias_O) for _, bias_O in starts]
        self.start = Pointwise(
            torch.cat([weight for weight, _ in starts]), torch.cat([bias for _, bias in starts])
        )
        self.branch1, self.branch2, self.after_pool = branch1, branch2, after_pool
        self.pool = NeighbourPool()
        self.gates = nn.ModuleList(gates) if gates else None

    def forward(self, x_NTHWC: Tensor) -> Tensor:
        """Return the four branches side by side."""
        branch0, middle1, middle2 = self.start(x_NTHWC).split(self.widths, dim=-1)
        branches = (
            branch0,
            self.branch1(middle1.contiguous()),
            self.branch2(middle2.contiguous()),
            self.after_pool(self.pool(x_NTHWC)),
        )
        if self.gates is not None:
            branches = tuple(gate(branch) for gate, branch in zip(self.gates, branches, strict=True))
        return torch.cat(branches, dim=-1)


def separable(
    space: FoldedWeights, time: FoldedWeights, *, space_stride: int, time_stride: int
) -> nn.Sequential:
    """Return a convolution in space, then one in time, from 3-D weights `[O, C, 1, k, k]` and `[O, C, k, 1, 1]`."""
    return nn.Sequential(
        SpatialConv(space[0][:, :, 0], space[1], stride=space_stride),
        TemporalConv(time[0][..., 0, 0], time[1], stride=time_stride),
    )


def rectify_after_pools(layers: Iterable[nn.Module]) -> None:
    """Move the ReLU of a convolution behind the pool that follows it: the same maximum of a quarter of the values."""
    for layer, pool in pairwise(layers):
        if (
            isinstance(layer, nn.Sequential)
            and isinstance(layer[-1], TemporalConv)
            and isinstance(pool, Pool)
        ):
            layer[-1].is_rectified, pool.is_rectified = False, True


def fold_batch_norm(conv: nn.Conv3d, norm: nn.BatchNorm3d) -> FoldedWeights:
    """Return the convolution's weight and bias with the batch norm behind it folded in."""
    mean_O, variance_O = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    weight, bias_O = fuse_conv_bn_weights(
        conv.weight, None, mean_O, variance_O, norm.eps, norm.weight, norm.bias
    )
    return weight.detach(), bias_O.detach()


def _as_clips(images: Tensor, *, like_NTHWC: Tensor) -> Tensor:
    """Return images `[N * T, C, H, W]`, channels last in memory, as the clips `[N, T, H, W, C]` they are."""
    return torch.unflatten(images.permute(0, 2, 3, 1), 0, like_NTHWC.shape[:2])


def _max_over_time(x_NTHWC: Tensor, *, size: int, stride: int, before: int, num_out: int) -> Tensor:
    """Return the maximum over windows of `size` frames, the first `before` frames early; outside nothing counts."""
    num_inside, num_frames = (num_out - 1) * stride + 1, x_NTHWC.shape[1]
    behind = max(0, num_inside + size - 1 - before - num_frames)
    padded = F.pad(x_NTHWC, (0, 0, 0, 0, 0, 0, before, behind), value=float("-inf"))
    windows = [padded[:, offset : offset + num_inside : stride] for offset in range(size)]
    return reduce(torch.maximum, windows)


def _max_of_three(x: Tensor, *, axis: int) -> Tensor:
    """Return the maximum of each place and its two neighbours on an axis of at least three places."""
    last = x.shape[axis] - 1
    pairs = torch.maximum(x.narrow(axis, 0, last), x.narrow(axis, 1, last))
    y = torch.empty_like(x)
    torch.maximum(
        pairs.narrow(axis, 0, last - 1), pairs.narrow(axis, 1, last - 1), out=y.narrow(axis, 1, last - 1)
    )
    y.select(axis, 0).copy_(pairs.select(axis, 0))
    y.select(axis, last).copy_(pairs.select(axis, last - 1))
    return y

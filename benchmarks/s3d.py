"""Clips a second of our S3D against torchvision's, same weights, same clips, in one run, on a CPU or a GPU.

    python benchmarks/s3d.py [--device cuda] [--batch 64] [--no-compile]

The peer is torchvision's own module where it is installed (VIDEOBERT_TORCHVISION may name a directory that holds it),
else the plain module in `core/features/backbones/s3d.py`, which is the same layers; the first line says which. Every
way is tried in turn, round after round, so that a change in the machine's load meets all of them. The floor: 68.2
GFLOP a clip at the rate of this device's large matrix product, measured here too. Errors are against the peer in
float32.
"""

import argparse
import copy
import ctypes
import importlib.util
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from videobert_cli.core.features.backbones.s3d import S3D
from videobert_cli.core.features.backbones.s3d_backbone import MEAN_RGB, STD_RGB
from videobert_cli.core.features.backbones.s3d_folded import FoldedS3D
from videobert_cli.memory import keep_freed_memory

NUM_FRAMES = 30
SIZE = 224


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to compute features from normalised clips; `owner` is `peer` or `ours`."""

    name: str
    owner: str
    run: Callable[[], Tensor]


def peer_builder() -> tuple[Callable[[], nn.Module], str, object]:
    """Return what builds the peer, its name, and what must stay alive meanwhile."""
    if place := os.environ.get("VIDEOBERT_TORCHVISION"):
        sys.path.append(place)
    sys.path.append(str(Path(__file__).parents[1] / "tests" / "parity"))
    from torchvision_s3d import declare_missing_operators

    if importlib.util.find_spec("torchvision") is None:
        return (
            S3D,
            "the plain module of core/features/backbones/s3d.py, torchvision's layers (torchvision is not here)",
            None,
        )
    library = declare_missing_operators()
    from torchvision import __version__
    from torchvision.models.video import s3d

    return s3d, f"torchvision {__version__}", library


class Head(nn.Module):
    """The layers before the classifier and the mean that both sides take: the same feature."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.features, self.avgpool = network.features, network.avgpool

    def forward(self, clips_NCTHW: Tensor) -> Tensor:
        """Return float32 `[N, 1024]`."""
        return self.avgpool(self.features(clips_NCTHW).float()).mean((2, 3, 4))


def plausible(network: nn.Module) -> nn.Module:
    """Give the network weights and batch-norm statistics of the size that trained ones have."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.BatchNorm3d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2.0)
            nn.init.uniform_(module.weight, 0.7, 1.3)
            nn.init.normal_(module.bias, 0, 0.2)
    return network.eval().requires_grad_(requires_grad=False)


def ways(network: nn.Module, raw_NTHWC: Tensor, *, device: torch.device, is_compiled: bool) -> list[Way]:
    """Return all ways that this device knows, ours and the peer's."""
    mean, std = torch.tensor(MEAN_RGB, device=device), torch.tensor(STD_RGB, device=device)
    clips_NCTHW = ((raw_NTHWC.float() / 255 - mean) / std).permute(0, 4, 1, 2, 3)
    types = [torch.float32, torch.bfloat16] + ([torch.float16] if device.type == "cuda" else [])
    found = []
    for dtype in types:
        short = str(dtype).removeprefix("torch.")
        plain = Head(copy.deepcopy(network)).to(device=device, dtype=dtype)
        plain = plain.to(memory_format=torch.channels_last_3d)
        ours_plain = S3D()
        ours_plain.load_state_dict(network.state_dict())
        folded = FoldedS3D(
            ours_plain,
            mean_rgb=MEAN_RGB,
            std_rgb=STD_RGB,
            dtype=dtype,
            num_stem_channels=4 if device.type == "cuda" else 3,
        ).to(device)
        inputs = clips_NCTHW.to(dtype)
        found.append(Way(name=f"{short}, channels last", owner="peer", run=lambda n=plain, x=inputs: n(x)))
        found.append(Way(name=short, owner="ours", run=lambda n=folded: n(raw_NTHWC)))
        if is_compiled:
            quick = torch.compile(plain, dynamic=False)
            found.append(
                Way(
                    name=f"{short}, channels last, compiled", owner="peer", run=lambda n=quick, x=inputs: n(x)
                )
            )
            ours = torch.compile(folded, dynamic=False)
            found.append(Way(name=f"{short}, compiled", owner="ours", run=lambda n=ours: n(raw_NTHWC)))
    return found


def allocate_as(owner: str) -> None:
    """Have memory allocated as a process of `owner` would: ours keeps large blocks on a CPU, the peer's does not."""
    if owner == "ours":
        keep_freed_memory()
    elif hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(-4, 65_536)
        libc.mallopt(-1, 131_072)


def seconds(run: Callable[[], Tensor], *, device: torch.device) -> float:
    """Return the time of one run, the device's queue emptied before and after."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    begin = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def product_rate(dtype: torch.dtype, *, device: torch.device) -> float:
    """Return GFLOP/s of a large matrix product."""
    size = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    times = [seconds(lambda: a @ b, device=device) for _ in range(6)]
    return 2 * size**3 / 1e9 / min(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, default=64 if torch.cuda.is_available() else 1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-compile", action="store_true")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    is_compiled = not arguments.no_compile and (device.type == "cuda" or shutil.which("g++") is not None)
    build, peer_name, _library = peer_builder()
    network = plausible(build())
    shape = (arguments.batch, NUM_FRAMES, SIZE, SIZE, 3)
    raw_NTHWC = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    raw_NTHWC = raw_NTHWC.to(device)
    with torch.inference_mode():
        report(
            ways(network, raw_NTHWC, device=device, is_compiled=is_compiled),
            device=device,
            num_clips=arguments.batch,
            num_rounds=arguments.rounds,
            peer_name=peer_name,
        )


def report(
    found: list[Way], *, device: torch.device, num_clips: int, num_rounds: int, peer_name: str
) -> None:
    """Time every way in turn, round after round, and print clips a second, shares of the floor, errors and ratios."""
    name = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    )
    print(f"{device.type}, {name}, torch {torch.__version__}, batch {num_clips}; peer: {peer_name}")
    expected = found[0].run()
    with FlopCounterMode(display=False) as counter:
        found[0].run()
    gflop = counter.get_total_flops() / 1e9 / num_clips
    times: dict[int, list[float]] = {}
    for way in found:
        way.run()
    for _ in range(num_rounds):
        for number, way in enumerate(found):
            if device.type == "cpu":
                allocate_as(way.owner)
                way.run()
            times.setdefault(number, []).append(seconds(way.run, device=device))
    rates = {number: num_clips / sorted(spent)[len(spent) // 2] for number, spent in times.items()}
    best = max(rate for number, rate in rates.items() if found[number].owner == "peer")
    for number, way in enumerate(found):
        error = float((way.run() - expected).abs().max() / expected.abs().max())
        print(
            f"{way.owner:<5} {way.name:<36} {rates[number]:9.2f} clips/s {rates[number] * gflop:9.0f} GFLOP/s "
            f"{rates[number] / best:6.2f}x peer's best   relative error {error:.1e}"
        )
    for dtype in (torch.float32, torch.bfloat16):
        rate = product_rate(dtype, device=device)
        print(
            f"floor of {dtype}: {rate:.0f} GFLOP/s by a large product, {rate / gflop:.2f} clips/s of {gflop:.1f} GFLOP"
        )


if __name__ == "__main__":
    main()

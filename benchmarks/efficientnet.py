"""Images a second of the embedded backbone against the package's own network, as a user would call it.

Each way runs in a process of its own, as it would at a user's, and the processes take turns: what one leaves in memory
serves no other, and a change in the machine's load meets all of them. The floor: 0.77 GFLOP an image. At this machine's
large product rate, measured here too, that is the most images a second any code could do.

    python benchmarks/efficientnet.py [--rounds 5]
"""

import argparse
import platform
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet

from videobert_cli.core.features.backbones.efficientnet import embedded_weights_path
from videobert_cli.core.features.backbones.registry import load_backbone
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.video.frames import ClipBatch

NUM_IMAGES = 64
GFLOP_PER_IMAGE = 0.77
PEER = "package, one by one, float32"
WAYS = (
    PEER,
    "package, batches of 16, float32",
    "videobert, float32",
    "videobert, bfloat16",
    "videobert, auto",
)


def seconds(work: Callable[[], object], *, num_rounds: int = 7) -> float:
    """Return the median time of `work`, after two rounds to warm up."""
    work(), work()
    times = []
    for _ in range(num_rounds):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return sorted(times)[num_rounds // 2]


def work_of(way: str) -> Callable[[], object]:
    """Return what computes the images once in this way."""
    frames = np.random.default_rng(0).integers(0, 255, (NUM_IMAGES, 224, 224, 3), dtype=np.uint8)
    owner, how, *_ = way.split(", ")
    if owner == "videobert":
        batch = ClipBatch(
            frames_FHWC=frames,
            frame_index_NT=np.arange(NUM_IMAGES).reshape(-1, 4),
            clip_start_seconds_N=np.zeros(NUM_IMAGES // 4),
        )
        ours = load_backbone(ExtractOptions(precision=how), device=torch.device("cpu"))
        return lambda: ours.features(batch)
    images = (torch.from_numpy(frames).permute(0, 3, 1, 2).float() - 127) / 128
    weights = str(embedded_weights_path())
    peer = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    chunks = images.split(1 if how == "one by one" else 16)

    @torch.inference_mode()
    def run() -> None:
        for chunk in chunks:
            peer.extract_features(chunk).mean((2, 3))

    return run


def rate_in_a_process(way: str) -> float:
    """Return images a second of one way, measured in a process of its own."""
    command = [sys.executable, __file__, "--way", way]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def product_rate(dtype: torch.dtype) -> float:
    """Return GFLOP/s of a 1024^3 matrix product."""
    a, b = torch.randn(1024, 1024).to(dtype), torch.randn(1024, 1024).to(dtype)
    return 2 * 1024**3 / 1e9 / seconds(lambda: a @ b)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        print(NUM_IMAGES / seconds(work_of(arguments.way)))
        return
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(arguments.rounds):
        for way in WAYS:
            found[way].append(rate_in_a_process(way))
    rates = {way: sorted(measured)[len(measured) // 2] for way, measured in found.items()}
    machine = platform.processor() or platform.machine()
    print(
        f"{machine}, {torch.get_num_threads()} threads, torch {torch.__version__}; {arguments.rounds} processes each"
    )
    for way, rate in rates.items():
        span = f"{min(found[way]):.1f} to {max(found[way]):.1f}"
        print(f"{way:<34} {rate:7.1f} images/s  {rate / rates[PEER]:5.2f}x   ({span})")
    for dtype in (torch.float32, torch.bfloat16):
        rate = product_rate(dtype)
        print(f"floor at {rate:.0f} GFLOP/s ({dtype}): {rate / GFLOP_PER_IMAGE:.0f} images/s")


if __name__ == "__main__":
    main()

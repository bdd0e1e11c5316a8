"""Images a second of the embedded backbone against the package's own network, as a user would call it, in one run.

The floor: 0.77 GFLOP an image. At this machine's large bfloat16 product rate, measured here too, that is the most
images a second any code could do.
"""

import platform
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


def seconds(work: Callable[[], object], *, num_rounds: int = 5) -> float:
    """Return the median time of `work`, after one round to warm up."""
    work()
    times = []
    for _ in range(num_rounds):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return sorted(times)[num_rounds // 2]


def product_rate(dtype: torch.dtype) -> float:
    """Return GFLOP/s of a 1024^3 matrix product."""
    a, b = torch.randn(1024, 1024).to(dtype), torch.randn(1024, 1024).to(dtype)
    return 2 * 1024**3 / 1e9 / seconds(lambda: a @ b)


def main() -> None:
    """Measure and print."""
    frames = np.random.default_rng(0).integers(0, 255, (NUM_IMAGES, 224, 224, 3), dtype=np.uint8)
    batch = ClipBatch(
        frames_FHWC=frames,
        frame_index_NT=np.arange(NUM_IMAGES).reshape(-1, 4),
        clip_start_seconds_N=np.zeros(NUM_IMAGES // 4),
    )
    images = (torch.from_numpy(frames).permute(0, 3, 1, 2).float() - 127) / 128
    peer = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=str(embedded_weights_path())
    ).eval()

    @torch.inference_mode()
    def one_by_one() -> None:
        for image in images:
            peer.extract_features(image[None]).mean((2, 3))

    @torch.inference_mode()
    def batched() -> None:
        for chunk in images.split(16):
            peer.extract_features(chunk).mean((2, 3))

    rates = {
        "package, one by one, float32": NUM_IMAGES / seconds(one_by_one),
        "package, batches of 16, float32": NUM_IMAGES / seconds(batched),
    }
    for precision in ("float32", "bfloat16", "auto"):
        ours = load_backbone(ExtractOptions(precision=precision), device=torch.device("cpu"))
        rates[f"videobert, {precision} ({ours.dtype})"] = NUM_IMAGES / seconds(
            lambda b=ours: b.features(batch)
        )
    base = rates["package, one by one, float32"]
    print(
        f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    for name, rate in rates.items():
        print(f"{name:<40} {rate:7.1f} images/s  {rate / base:5.2f}x")
    for dtype in (torch.float32, torch.bfloat16):
        rate = product_rate(dtype)
        print(f"floor at {rate:.0f} GFLOP/s ({dtype}): {rate / GFLOP_PER_IMAGE:.0f} images/s")


if __name__ == "__main__":
    main()

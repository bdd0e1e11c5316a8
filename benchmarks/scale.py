"""The bill of a large extraction: core hours, device hours and disk, from rates measured here, now.

Decoding is measured in clips per core second for each height and rate of frames, the backbone in clips a second on the
device; the rest is arithmetic. `--device-clips-per-second` puts in the rate of a device that is not here.

    python benchmarks/scale.py [--backbone s3d] [--device cuda] [--videos 1220000] [--hours 134472]
"""

import argparse
import platform
import tempfile
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch
from extract import compute, decode, make_videos, measured, options_of

from videobert_cli.core.features.backbones.registry import Backbone, load_backbone
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.video.frames import ClipBatch
from videobert_cli.core.video.reader import VideoReader
from videobert_cli.runtime import pick_device

HEIGHTS = (240, 360, 720)
RATES = (10.0, 20.0)
CLIP_SECONDS = 1.5
# What a video site serves at each height, H.264, in megabits a second: an assumption, not a measurement.
MEGABITS = {240: 0.25, 360: 0.5, 720: 1.5}
_WIDTHS = (6, 10, 10, 14, 12, 18)


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """What is to be extracted."""

    num_videos: float
    hours: float

    @property
    def num_clips(self) -> float:
        """Clips of 1.5 s, end to end."""
        return self.hours * 3600 / CLIP_SECONDS


def decode_rate(options: ExtractOptions, *, backbone: Backbone, folder: Path, height: int) -> float:
    """Return clips per core second, two videos of 20 s decoded by one child."""
    folder.mkdir()
    videos = make_videos(folder, num=2, seconds=20, height=height)
    work = measured(lambda: decode(videos, backbone=backbone, options=options, num_workers=1))
    return work.num_clips / work.cpu_seconds


def device_rate(options: ExtractOptions, *, backbone: Backbone, folder: Path) -> float:
    """Return clips a second of the backbone alone."""
    folder.mkdir()
    (video,) = make_videos(folder, num=1, seconds=20, height=360)
    with VideoReader(options.reader) as reader:
        parts = list(reader.read(video.path, backbone.frame_request(options)))
    batches = [part for part in parts if isinstance(part, ClipBatch)]
    compute(batches, backbone=backbone, num_rounds=1)
    return measured(lambda: compute(batches, backbone=backbone, num_rounds=3)).rate


def with_rate(options: ExtractOptions, rate: float) -> ExtractOptions:
    """Return options for clips of the same length in seconds at another rate of frames."""
    num_frames = round(CLIP_SECONDS * rate)
    return options.model_copy(
        update={"frames_per_second": rate, "clip_num_frames": num_frames, "clip_stride_frames": num_frames}
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", default="efficientnet_lite0", choices=["efficientnet_lite0", "s3d"])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--num-workers", default="1")
    parser.add_argument("--videos", type=float, default=1_220_000)
    parser.add_argument("--hours", type=float, default=134_472)
    parser.add_argument("--device-clips-per-second", type=float)
    arguments = parser.parse_args()
    corpus = Corpus(num_videos=arguments.videos, hours=arguments.hours)
    with tempfile.TemporaryDirectory() as name:
        measure(arguments, corpus=corpus, folder=Path(name))


def measure(arguments: argparse.Namespace, *, corpus: Corpus, folder: Path) -> None:
    """Print the bill for each height and rate."""
    device = pick_device(arguments.device)
    options = options_of(arguments, folder=folder)
    backbone = load_backbone(options, device=device)
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    given = arguments.device_clips_per_second
    rate = given or device_rate(options, backbone=backbone, folder=folder / "device")
    unit = "device" if given or device.type != "cpu" else f"{threads} cores"
    print(f"{platform.machine()}, torch {torch.__version__}, {device}; {options.backbone}")
    gigabytes = {"features": corpus.num_clips * backbone.dim * 2 / 1e9, "words": corpus.num_clips * 2 / 1e9}
    print(
        f"{corpus.num_videos:,.0f} videos, {corpus.hours:,.0f} hours, {corpus.num_clips / 1e6:,.0f} M clips of 1.5 s; "
        f"features {gigabytes['features']:,.0f} GB in float16, words {gigabytes['words']:.2f} GB"
    )
    print(f"backbone: {rate:,.1f} clips/s ({unit}), {corpus.num_clips / rate / 3600:,.0f} hours of it")
    print(
        f"{'lines':>6}{'frames/s':>10}{'video TB':>10}{'clips/core s':>14}{'core hours':>12}{'cores to feed one':>19}"
    )
    for height, frames_per_second in product(HEIGHTS, RATES):
        at_rate = with_rate(options, frames_per_second)
        place = folder / f"{height}-{frames_per_second:g}"
        found = decode_rate(at_rate, backbone=backbone, folder=place, height=height)
        terabytes = corpus.hours * 3600 * MEGABITS[height] / 8 / 1e6
        core_hours = corpus.num_clips / found / 3600
        row = (height, f"{frames_per_second:g}", f"{terabytes:,.0f}", f"{found:.1f}", f"{core_hours:,.0f}")
        cells = (*row, f"{rate / found:.1f}")
        print("".join(f"{cell:>{width}}" for cell, width in zip(cells, _WIDTHS, strict=True)), flush=True)


if __name__ == "__main__":
    main()

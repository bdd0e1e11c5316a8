"""From .mp4 files to features, end to end, against its two halves alone and against the script a user would write.

The halves: decoding alone (a child a core, and the children that the extraction starts) and the backbone alone (frames
in memory). On a GPU machine they run side by side, and the goal is 90 % of the slower one. Where both halves need the
same cores no code can reach that: there the floor is the sum of their processor seconds over the cores, printed too.
The peer: PyAV, one video and one clip at a time, through torchvision's S3D or the embedded network's own package.

    python benchmarks/extract.py [--backbone s3d] [--device cuda] [--num-videos 6] [--seconds 20] [--height 360]
"""

import argparse
import os
import platform
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet
from s3d import peer_builder
from safetensors.torch import save_file

from videobert_cli.core.features.backbones.efficientnet import embedded_weights_path
from videobert_cli.core.features.backbones.registry import Backbone, load_backbone
from videobert_cli.core.features.backbones.s3d import S3D
from videobert_cli.core.features.backbones.s3d_backbone import MEAN_RGB, STD_RGB
from videobert_cli.core.features.extract import extract_features
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.video.clips import spread_frame_indices
from videobert_cli.core.video.decoder_pool import DecoderPool, count_cores, count_decoders
from videobert_cli.core.video.entries import Video
from videobert_cli.core.video.frames import ClipBatch
from videobert_cli.core.video.reader import LentBatch, VideoReader
from videobert_cli.runtime import pick_device

FRAMES_PER_SECOND = 25
CLIP_NUM_FRAMES, CLIP_FRAMES_PER_SECOND = 30, 20


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Clips done, wall seconds, processor seconds of this process and its children."""

    num_clips: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Clips a second."""
        return self.num_clips / self.seconds


def measured(work: Callable[[], int]) -> Measured:
    """Run `work`, which returns how many clips it did."""
    cpu, begin = cpu_seconds(), time.perf_counter()
    num_clips = work()
    return Measured(num_clips=num_clips, seconds=time.perf_counter() - begin, cpu_seconds=cpu_seconds() - cpu)


def cpu_seconds() -> float:
    """Return the processor time of this process and of all children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def make_videos(folder: Path, *, num: int, seconds: float, height: int) -> list[Video]:
    """Encode one H.264 video of a picture that turns and drifts, and copy it."""
    width = height * 16 // 9 // 2 * 2
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.integers(0, 256, (1, 3, 24, 40)).astype(np.float32))
    large = torch.nn.functional.interpolate(coarse, size=(2 * height, 2 * width), mode="bicubic")
    picture = large[0].permute(1, 2, 0).clamp(0, 255).byte().numpy()
    first = folder / "video000.mp4"
    with av.open(str(first), "w") as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "23"}
        for number in range(round(seconds * FRAMES_PER_SECOND)):
            x = int((width - 1) * (0.5 + 0.5 * np.sin(number / 40)))
            y = int((height - 1) * (0.5 + 0.5 * np.cos(number / 31)))
            noise = rng.integers(0, 12, (height, width, 1), dtype=np.uint8)
            shown = np.ascontiguousarray(picture[y : y + height, x : x + width] // 2 + 60 + noise)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
        container.mux(stream.encode())
    paths = [first, *(folder / f"video{number:03d}.mp4" for number in range(1, num))]
    for path in paths[1:]:
        shutil.copyfile(first, path)
    return [Video(id=path.stem, path=path, captions=None, split="train", segments=()) for path in paths]


def decode(videos: list[Video], *, backbone: Backbone, options: ExtractOptions, num_workers: int) -> int:
    """Decode all videos and look at nothing."""
    request, num_clips = backbone.frame_request(options), 0
    with DecoderPool(videos, request=request, options=options.reader, num_workers=num_workers) as pool:
        while (event := pool.next_event(timeout_seconds=600)) is not None:
            if isinstance(event.content, LentBatch):
                num_clips += len(event.content.batch.frame_index_NT)
                event.content.give_back()
            elif isinstance(event.content, Exception):
                raise event.content
    return num_clips


def compute(batches: list[ClipBatch], *, backbone: Backbone, num_rounds: int) -> int:
    """Compute the features of frames in memory."""
    for _ in range(num_rounds):
        for batch in batches:
            backbone.features(batch)
    return num_rounds * sum(len(batch.frame_index_NT) for batch in batches)


def clips_of(path: Path) -> Iterator[np.ndarray]:
    """Yield clips uint8 `[30, 224, 224, 3]` the way most people read them: by time stamp, resized by the decoder."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        shown: list[np.ndarray] = []
        num_samples = 0
        for frame in container.decode(stream):
            while frame.time * CLIP_FRAMES_PER_SECOND >= num_samples:
                shown.append(frame.to_ndarray(format="rgb24", width=224, height=224))
                num_samples += 1
                if len(shown) == CLIP_NUM_FRAMES:
                    yield np.stack(shown)
                    shown = []


@torch.inference_mode()
def script(videos: list[Video], *, name: str, device: torch.device) -> int:
    """Extract as a user's script would: one video, one clip at a time, float32."""
    num_clips = 0
    network = s3d_of_a_user(device) if name == "s3d" else None
    images = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(embedded_weights_path()))
    images = images.eval().to(device)
    mean, std = torch.tensor(MEAN_RGB, device=device), torch.tensor(STD_RGB, device=device)
    for video in videos:
        for clip in clips_of(video.path):
            if network is not None:
                pixels = (torch.from_numpy(clip).to(device).float() / 255 - mean) / std
                network(pixels.permute(3, 0, 1, 2)[None]).cpu()
            else:
                looked_at = clip[list(spread_frame_indices(CLIP_NUM_FRAMES, num_frames=4))]
                pixels = (torch.from_numpy(looked_at).to(device).float() - 127) / 128
                images.extract_features(pixels.permute(0, 3, 1, 2)).mean((2, 3)).cpu()
            num_clips += 1
    return num_clips


def s3d_of_a_user(device: torch.device) -> torch.nn.Module:
    """Return torchvision's S3D; ours by its plain definition, the same layers, where torchvision is missing."""
    build, name, library = peer_builder()
    print(f"the peer's network: {name}")
    network = build().eval().to(device)
    network.kept_alive = library
    return network


def show(what: str, found: Measured, *, against: float) -> None:
    """Print one line."""
    ratio = f"{found.rate / against:5.2f}x" if against else ""
    print(f"{what:<44}{found.rate:8.2f} clips/s  {found.cpu_seconds:6.1f} cpu s  {ratio}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", default="efficientnet_lite0", choices=["efficientnet_lite0", "s3d"])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--num-videos", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--height", type=int, default=360)
    parser.add_argument("--num-workers", default="auto")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        measure(arguments, folder=Path(name))


def measure(arguments: argparse.Namespace, *, folder: Path) -> None:
    """Make the videos, run everything once, print the ratios."""
    device = pick_device(arguments.device)
    options = options_of(arguments, folder=folder)
    backbone = load_backbone(options, device=device)
    videos = make_videos(folder, num=arguments.num_videos, seconds=arguments.seconds, height=arguments.height)
    num_cores = count_cores()
    num_workers = count_decoders(options.reader.num_workers, device_type=device.type, num_videos=len(videos))
    print(
        f"{platform.machine()}, {num_cores} cores, load {os.getloadavg()[0]:.2f}, torch {torch.__version__}, {device}; "
        f"{options.backbone}, {len(videos)} videos of {arguments.seconds:g} s, {arguments.height} lines"
    )
    with VideoReader(options.reader) as reader:
        read = list(reader.read(videos[0].path, backbone.frame_request(options)))
    batches = [part for part in read if isinstance(part, ClipBatch)]
    compute(batches[:1], backbone=backbone, num_rounds=1)

    def decoded(num: int) -> Measured:
        return measured(lambda: decode(videos, backbone=backbone, options=options, num_workers=num))

    decode_alone, decode_as_used = decoded(num_cores), decoded(num_workers)
    backbone_alone = measured(lambda: compute(batches, backbone=backbone, num_rounds=len(videos)))
    whole = measured(
        lambda: extract_features(videos, options=options, directory=folder / "store", device=device).num_clips
    )
    peer = measured(lambda: script(videos, name=options.backbone, device=device))
    slower = min(decode_alone.rate, backbone_alone.rate)
    show(f"decode alone, {num_cores} children", decode_alone, against=slower)
    show(f"decode alone, {num_workers} as the extraction starts", decode_as_used, against=slower)
    show("backbone alone", backbone_alone, against=slower)
    show("extraction, files to sealed store", whole, against=slower)
    show("a user's script, one clip at a time", peer, against=slower)
    per_clip = sum(part.cpu_seconds / part.num_clips for part in (decode_as_used, backbone_alone))
    print(f"extraction / slower half: {whole.rate / slower:.2f}")
    print(f"extraction / script:      {whole.rate / peer.rate:.2f}")
    if device.type == "cpu":
        floor = num_cores / per_clip
        print(
            f"both halves on {num_cores} cores: {1e3 * per_clip:.0f} ms of processor a clip, so {floor:.2f} clips/s at "
            f"most; extraction / that: {whole.rate / floor:.2f}"
        )


def options_of(arguments: argparse.Namespace, *, folder: Path) -> ExtractOptions:
    """Return the options; S3D gets random weights, which are as fast as any."""
    reader = {
        "num_workers": arguments.num_workers
        if arguments.num_workers == "auto"
        else int(arguments.num_workers)
    }
    if arguments.backbone != "s3d":
        return ExtractOptions.model_validate({"reader": reader})
    torch.manual_seed(0)
    save_file(S3D().state_dict(), str(folder / "s3d.safetensors"))
    return ExtractOptions.model_validate(
        {"backbone": "s3d", "weights": folder / "s3d.safetensors", "reader": reader}
    )


if __name__ == "__main__":
    main()

"""Our preprocessing and readout against transformers' own processor and published model, family by family.

Equal on the same already-resized frames. The reader resizes with FFmpeg's bilinear filter, the processors with
torchvision's bilinear or bicubic one: what that changes is printed (`pytest -s`), and bounded.
torchvision is found as tests/parity/test_s3d_parity.py says.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from feature_samples import clip_batch
from rendered_videos import SHARED_DATA
from safetensors.torch import load_file, save_file
from test_s3d_parity import torchvision_place
from transformers_samples import IMAGE_MODELS, SIZE, VIDEO_MODELS, make_model

from videobert_cli.core.features.backbones.registry import load_backbone
from videobert_cli.core.features.backbones.transformers_processor import read_preprocessing
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.video.frames import ClipBatch
from videobert_cli.core.video.options import ReaderOptions
from videobert_cli.core.video.reader import VideoReader

_HERE = Path(__file__).parent
_CPU = torch.device("cpu")
_REAL = SHARED_DATA / "clips" / "asl_gestures"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(torchvision_place() is None, reason="torchvision is not here; see test_s3d_parity.py"),
]


def call_peer(*arguments: str, folder: Path) -> None:
    paths = [path for path in (torchvision_place(), str(_HERE), os.environ.get("PYTHONPATH")) if path]
    subprocess.run(
        [sys.executable, str(_HERE / "transformers_peer.py"), *arguments],
        check=True,
        timeout=300,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
    )


def run_peer(folder: Path, clips: dict[str, np.ndarray], *, models: list[Path]) -> dict[str, torch.Tensor]:
    given = {name: torch.tensor(clip).contiguous() for name, clip in clips.items()}
    save_file(given, folder / "clips.safetensors")
    call_peer("clips.safetensors", "out.safetensors", *map(str, models), folder=folder)
    return load_file(folder / "out.safetensors")


def options_for(model: Path, **changes) -> ExtractOptions:
    return ExtractOptions(backbone=f"transformers:{model}", precision="float32", **changes)


def test_every_family_equals_its_own_processor_and_model(tmp_path) -> None:
    models = {name: make_model(tmp_path / name, name) for name in (*VIDEO_MODELS, *IMAGE_MODELS)}
    batch = clip_batch(3, num_looked_at=4, size=SIZE)
    clips = batch.frames_FHWC[batch.frame_index_NT]
    expected = run_peer(tmp_path, {"resized": clips}, models=list(models.values()))
    worst = {}
    for name, model in models.items():
        found = load_backbone(options_for(model), device=_CPU).features(batch)
        theirs = expected[f"{name}.features"].numpy()
        assert found.shape == theirs.shape
        assert np.abs(theirs).max() > 0.1
        worst[name] = float(np.abs(found - theirs).max() / np.abs(theirs).max())
    print("\nlargest relative difference:", {name: f"{error:.1e}" for name, error in worst.items()})
    assert max(worst.values()) <= 1e-4


PROCESSOR_CLASSES = (
    "VideoMAEImageProcessor", "VideoMAEVideoProcessor", "TimesformerVideoProcessor", "VivitImageProcessor",
    "VivitVideoProcessor", "VJEPA2VideoProcessor", "CLIPImageProcessor", "BitImageProcessor", "SiglipImageProcessor",
    "ViTImageProcessor", "DINOv3ViTImageProcessor",
)  # fmt: skip


def test_what_a_file_leaves_out_is_what_the_processor_would_take(tmp_path) -> None:
    call_peer("--defaults", str(tmp_path), *PROCESSOR_CLASSES, folder=tmp_path)
    for name in PROCESSOR_CLASSES:
        kind = "video" if "Video" in name or name.startswith("Vivit") else "image"
        said = read_preprocessing(tmp_path / name, kind=kind)
        key = "video_processor_type" if name.endswith("VideoProcessor") else "image_processor_type"
        bare = tmp_path / f"{name}-bare"
        bare.mkdir()
        (bare / "preprocessor_config.json").write_text(json.dumps({key: name}))
        assert read_preprocessing(bare, kind=kind).describe() == said.describe(), name


def first_frames(path: Path, *, num: int) -> np.ndarray:
    """Return the first frames as they are in the file: what the reader samples at the file's own rate."""
    with av.open(str(path)) as container:
        frames = [
            frame.to_ndarray(format="rgb24")
            for _, frame in zip(range(num), container.decode(video=0), strict=False)
        ]
    return np.stack(frames)


def frames_by_reader(path: Path, model: Path, *, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the first clip's frames as the reader resizes them, and its feature."""
    options = options_for(model, clip_num_frames=4, clip_stride_frames=4, frames_per_second=rate)
    backbone = load_backbone(options, device=_CPU)
    with VideoReader(ReaderOptions()) as reader:
        batch = next(
            part for part in reader.read(path, backbone.frame_request(options)) if isinstance(part, ClipBatch)
        )
        rows = batch.frame_index_NT[0]
        return batch.frames_FHWC[rows].copy(), backbone.features(batch)[:1]


@pytest.mark.skipif(not _REAL.is_dir(), reason="shared data not here")
@pytest.mark.parametrize("name", ["videomae", "clip"])
def test_resizing_in_the_reader_changes_little(tmp_path, name, monkeypatch) -> None:
    import transformers_samples as samples

    sized = {"size": {"shortest_edge": 224}, "crop_size": {"height": 224, "width": 224}}
    monkeypatch.setitem(samples.PROCESSORS, name, {**samples.PROCESSORS[name], **sized})
    changes = (
        {"image_size": 224}
        if name == "videomae"
        else {"vision_config": {**samples._VISION, "image_size": 224}}
    )
    model = make_model(tmp_path / name, name, **changes)
    path = sorted(_REAL.rglob("*.mkv"))[0]
    with av.open(str(path)) as container:
        rate = float(container.streams.video[0].average_rate)
    resized, ours = frames_by_reader(path, model, rate=rate)
    theirs = run_peer(tmp_path, {"whole": first_frames(path, num=4)[None]}, models=[model])
    by_processor = theirs[f"{name}.whole.pixels"][0].permute(0, 2, 3, 1).numpy()
    difference = np.abs(by_processor - resized.astype(np.float32))
    network = float(
        torch.nn.functional.cosine_similarity(torch.from_numpy(ours), theirs[f"{name}.whole.features"])
    )
    trained = pretrained_cosine(resized, by_processor)
    print(
        f"\n{path.name}, {name}: pixels differ by {difference.mean():.2f} of 255 on average; cosine of the features: "
        f"random {name} {network:.4f}, ImageNet's EfficientNet-Lite0 {trained:.4f}"
    )
    assert difference.mean() < 3
    assert trained > 0.98


def pretrained_cosine(first: np.ndarray, second: np.ndarray) -> float:
    """Return the cosine between the embedded, trained network's features of a clip resized in two ways."""
    backbone = load_backbone(ExtractOptions(precision="float32"), device=_CPU)
    found = []
    for frames in (first, second):
        pixels = np.clip(np.rint(frames), 0, 255).astype(np.uint8)
        batch = ClipBatch(
            frames_FHWC=pixels, frame_index_NT=np.arange(4)[None], clip_start_seconds_N=np.zeros(1)
        )
        found.append(backbone.features(batch)[0, :1280])
    return float(found[0] @ found[1] / np.linalg.norm(found[0]) / np.linalg.norm(found[1]))

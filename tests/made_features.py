"""Features that no video was decoded for: a store of points in groups, and a recipe that begins with it."""

from pathlib import Path

import numpy as np

from videobert_cli.core.features.store.writer import FeatureStoreWriter

FINGERPRINT = {
    "backbone": "of a test",
    "frames_per_second": 20.0,
    "clip_num_frames": 30,
    "clip_stride_frames": 30,
}
RECIPE = """\
run: runs/r
data: {videos: videos.csv}
extract: {features: F}
"""


def write_features(folder: Path, *, recipe: str, num_videos: int, num_clips: int, dim: int) -> None:
    """Write a store `F` of features in groups, a list of the videos and `recipe.yaml`, which takes them; `recipe` is its end."""
    rng = np.random.default_rng(0)
    writer = FeatureStoreWriter.create_or_open(folder / "F", fingerprint=FINGERPRINT, dim=dim)
    centres = rng.normal(size=(300, dim)).astype(np.float32)
    names = [f"v{number:04d}" for number in range(num_videos)]
    for name in names:
        noise = rng.standard_normal((num_clips, dim), dtype=np.float32)
        features_TD = (centres[rng.integers(len(centres), size=num_clips)] + 1.5 * noise).astype(np.float16)
        writer.add(name, features_TD=features_TD, clip_start_seconds_T=np.arange(num_clips) * 1.5, facts={})
    writer.seal()
    (folder / "videos.csv").write_text("video,split\n" + "".join(f"{name}.mp4,train\n" for name in names))
    (folder / "recipe.yaml").write_text(RECIPE + recipe + "\n")

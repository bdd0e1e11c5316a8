"""`videobert quantize` of features four times the address space it may have: the codebook of one that has room."""

import json
import shutil
from pathlib import Path

import pytest
from executable import shell
from made_features import write_features

pytestmark = pytest.mark.full
RECIPE = "quantize: {branching: 4, num_levels: 2, num_iterations: 3, tolerance: 0.0}"
# Of it, some 750 MB are the libraries alone.
LIMIT_BYTES = 1_250_000_000
NUM_CLIPS, DIM = 2_000, 1024


def content_hashes(run: Path) -> list[str]:
    return [
        str(json.loads((run / "quantize" / name / "manifest.json").read_text())["content_hash"])
        for name in ("codebook", "words")
    ]


def test_features_four_times_the_memory_limit_give_the_codebook_that_memory_gives(tmp_path: Path) -> None:
    num_videos = -(-4 * LIMIT_BYTES // (NUM_CLIPS * DIM * 2))
    # Features, twice that as float32 for the run that has room, words and what a run writes beside them.
    if shutil.disk_usage(tmp_path).free < 8 * LIMIT_BYTES:
        pytest.skip(f"needs {8 * LIMIT_BYTES / 1e9:.0f} GB of disk")
    write_features(tmp_path, recipe=RECIPE, num_videos=num_videos, num_clips=NUM_CLIPS, dim=DIM)
    size = sum(path.stat().st_size for path in (tmp_path / "F").rglob("*") if path.is_file())
    assert size >= 4 * LIMIT_BYTES
    limited = shell(
        "quantize", "recipe.yaml", "--set", "run=runs/limited", folder=tmp_path,
        through=("sh", "-c", f'ulimit -v {LIMIT_BYTES // 1024}; exec "$@"', "sh"),
    )  # fmt: skip
    assert limited.exit_code == 0, limited.err
    whole = shell("quantize", "recipe.yaml", "--set", "run=runs/whole", folder=tmp_path)
    assert whole.exit_code == 0, whole.err
    assert content_hashes(tmp_path / "runs/limited") == content_hashes(tmp_path / "runs/whole")

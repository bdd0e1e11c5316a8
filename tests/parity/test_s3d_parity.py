"""S3D against torchvision's, on the same random weights with plausible batch norms, in float32.

torchvision must not lie in the environment of the tests (beside a CPU torch it breaks `import transformers`), so it
is looked for in the directory that VIDEOBERT_TORCHVISION names:
`pip install --no-deps --target DIR torchvision==0.28.0` (the release that pairs with torch 2.13).
"""

import os
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from videobert_cli.core.features.backbones.s3d import S3D
from videobert_cli.core.features.backbones.s3d_folded import FoldedS3D

_SCRIPT = Path(__file__).parent / "torchvision_s3d.py"


def torchvision_place() -> str | None:
    """Where torchvision is: the named directory, '' if it is installed like any package, None if nowhere."""
    named = os.environ.get("VIDEOBERT_TORCHVISION", "")
    if named and (Path(named) / "torchvision").is_dir():
        return named
    return "" if any(found.metadata["Name"] == "torchvision" for found in distributions()) else None


def plausible_network(seed: int) -> S3D:
    torch.manual_seed(seed)
    network = S3D().eval()
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.BatchNorm3d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2.0)
            nn.init.uniform_(module.weight, 0.7, 1.3)
            nn.init.normal_(module.bias, 0, 0.2)
    return network


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.slow
@pytest.mark.skipif(torchvision_place() is None, reason="torchvision is not here; see the head of this file")
@pytest.mark.parametrize("num_frames", [14, pytest.param(30, marks=pytest.mark.full)])
def test_features_and_logits_equal_torchvisions(tmp_path, num_frames) -> None:
    network = plausible_network(num_frames)
    clips = torch.randn(1, 3, num_frames, 224, 224, generator=torch.Generator().manual_seed(num_frames))
    weights, inputs, out = (tmp_path / f"{name}.safetensors" for name in ("weights", "clips", "out"))
    save_file(network.state_dict(), weights)
    save_file({"clips": clips}, inputs)
    paths = [path for path in (torchvision_place(), os.environ.get("PYTHONPATH")) if path]
    subprocess.run(
        [sys.executable, str(_SCRIPT), str(weights), str(inputs), str(out)],
        check=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
    )
    expected = load_file(out)
    with torch.inference_mode():
        features = network(clips)
        assert relative_error(features, expected["features"]) <= 1e-4
        assert relative_error(network.logits(features), expected["logits"]) <= 1e-4
        clips_NTHWC = clips.permute(0, 2, 3, 4, 1).contiguous()
        # What a GPU computes in, float16, is held to torchvision's float32 here, on the processor's kernels.
        for dtype, most in ((torch.float32, 1e-4), (torch.float16, 1e-3)):
            folded = FoldedS3D(network, mean_rgb=(0, 0, 0), std_rgb=(1 / 255,) * 3, dtype=dtype)
            assert relative_error(folded.features(clips_NTHWC.to(dtype)), expected["features"]) <= most

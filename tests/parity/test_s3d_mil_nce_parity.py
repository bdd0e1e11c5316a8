"""Our S3D-G against the authors' own file, on the same random weights with plausible batch norms, in float32.

Their code is not ours to copy: VIDEOBERT_S3DG names a directory with `s3dg.py` of
https://github.com/antoine77340/S3D_HowTo100M; without it this test is skipped.
"""

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from videobert_cli.core.features.backbones.s3d_mil_nce import DIMS, FoldedMilNce, MilNceParameters

_PEER = Path(os.environ.get("VIDEOBERT_S3DG", "")) / "s3dg.py"


def peer_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("s3dg", _PEER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def peer_network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    network = peer_module().S3D("none").eval()
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.BatchNorm3d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2.0)
            nn.init.uniform_(module.weight, 0.7, 1.3)
            nn.init.normal_(module.bias, 0, 0.2)
    return network


@pytest.mark.slow
@pytest.mark.skipif(not _PEER.is_file(), reason="the authors' s3dg.py is not here; see the head of this file")
@pytest.mark.parametrize(("num_frames", "layer"), [(16, "mixed_5c"), (30, "video_embedding")])
def test_both_layers_equal_the_authors(num_frames, layer) -> None:
    peer = peer_network(num_frames)
    clips = torch.rand(1, 3, num_frames, 224, 224, generator=torch.Generator().manual_seed(1))
    parameters = MilNceParameters()
    state = {
        name: tensor for name, tensor in peer.state_dict().items() if not name.startswith("text_module.")
    }
    parameters.load_state_dict(state)
    ours = FoldedMilNce(parameters, layer=layer, dtype=torch.float32)
    with torch.inference_mode():
        expected = peer(clips)[layer]
        found = ours.features(clips.permute(0, 2, 3, 4, 1).contiguous())
    assert found.shape == (1, DIMS[layer])
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()

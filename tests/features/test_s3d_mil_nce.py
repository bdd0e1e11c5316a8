"""MIL-NCE's S3D-G as a backbone: pixels in [0, 1], two layers, what it refuses; its numbers are a parity test."""

import numpy as np
import pytest
import torch
from feature_samples import clip_batch
from safetensors.torch import save_file

from videobert_cli.core.features.backbones.registry import load_backbone
from videobert_cli.core.features.backbones.s3d_mil_nce import FoldedMilNce, MilNceParameters
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.errors import InputError, RecipeError

CPU = torch.device("cpu")


def mil_nce_options(path, **changes) -> ExtractOptions:
    values = {
        "backbone": "s3d_mil_nce",
        "weights": path,
        "clip_num_frames": 8,
        "precision": "float32",
        **changes,
    }
    return ExtractOptions(**values)


@pytest.fixture(scope="module")
def parameters():
    torch.manual_seed(0)
    return MilNceParameters()


@pytest.fixture(scope="module")
def weights_path(parameters, tmp_path_factory):
    path = tmp_path_factory.mktemp("mil_nce") / "weights.safetensors"
    save_file(parameters.state_dict() | {"text_module.fc1.weight": torch.zeros(2, 2)}, path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "layer", "dim"),
    [("s3d_mil_nce", "mixed_5c", 1024), ("s3d_mil_nce_embedding", "video_embedding", 512)],
)
def test_its_two_layers_from_pixels_between_0_and_1(weights_path, name, layer, dim) -> None:
    batch = clip_batch(2, num_looked_at=8)
    backbone = load_backbone(mil_nce_options(weights_path, backbone=name), device=CPU)
    torch.manual_seed(0)
    network = FoldedMilNce(MilNceParameters(), layer=layer, dtype=torch.float32)
    clips = torch.from_numpy(batch.frames_FHWC[batch.frame_index_NT]).float() / 255
    with torch.inference_mode():
        expected = network.features(clips).numpy()
    found = backbone.features(batch)
    assert found.shape == (2, dim) == (2, backbone.dim)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    assert backbone.fingerprint["layer"] == layer
    assert backbone.fingerprint["preprocessing"]["scale"] == "[0, 1]"


def test_the_text_tower_is_not_part_of_it(weights_path) -> None:
    backbone = load_backbone(mil_nce_options(weights_path), device=CPU)
    assert not [name for name in backbone.state if name.startswith("text_module")]


def test_what_it_refuses(weights_path, s3d_state, tmp_path) -> None:
    with pytest.raises(RecipeError, match="an even number of frames"):
        load_backbone(mil_nce_options(weights_path, clip_num_frames=15), device=CPU)
    with pytest.raises(RecipeError, match="no weights that can be fetched"):
        load_backbone(mil_nce_options("default"), device=CPU)
    save_file(s3d_state, tmp_path / "torchvision.safetensors")
    with pytest.raises(InputError, match="is missing"):
        load_backbone(mil_nce_options(tmp_path / "torchvision.safetensors"), device=CPU)

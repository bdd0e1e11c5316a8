"""S3D: its size, its feature as the classifier sees it, folding, preprocessing, and what it refuses."""

import numpy as np
import pytest
import torch
from feature_samples import clip_batch
from safetensors.torch import save_file
from torch import nn

from videobert_cli.core.features.backbones.registry import load_backbone
from videobert_cli.core.features.backbones.s3d import S3D
from videobert_cli.core.features.backbones.s3d_backbone import MEAN_RGB, STD_RGB
from videobert_cli.core.features.backbones.s3d_folded import FoldedS3D
from videobert_cli.core.features.backbones.s3d_layers import (
    NeighbourPool,
    Pool,
    TemporalConv,
    rectify_after_pools,
)
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.errors import InputError, RecipeError

CPU = torch.device("cpu")


def s3d_options(path, **changes) -> ExtractOptions:
    values = {"backbone": "s3d", "weights": path, "clip_num_frames": 14, "precision": "float32", **changes}
    return ExtractOptions(**values)


@pytest.fixture(scope="module")
def weights_path(s3d_state, tmp_path_factory):
    path = tmp_path_factory.mktemp("s3d") / "weights.safetensors"
    save_file(s3d_state, path)
    return path


def test_it_has_as_many_parameters_as_torchvisions() -> None:
    assert sum(parameter.numel() for parameter in S3D().parameters()) == 8_320_048


@pytest.mark.slow
def test_logits_are_the_classifier_over_time_and_space(s3d_state) -> None:
    network = S3D().eval()
    network.load_state_dict(s3d_state)
    clips = torch.randn(1, 3, 16, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = network.classifier(network.avgpool(network.features(clips))).mean((2, 3, 4))
        features = network(clips)
        found = network.logits(features)
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.mark.slow
def test_the_backbone_normalises_and_gathers_frames(s3d_state, weights_path) -> None:
    batch = clip_batch(2, num_looked_at=14)
    found = load_backbone(s3d_options(weights_path), device=CPU).features(batch)
    network = S3D().eval()
    network.load_state_dict(s3d_state)
    frames = torch.from_numpy(batch.frames_FHWC[batch.frame_index_NT]).float() / 255
    clips = ((frames - torch.tensor(MEAN_RGB)) / torch.tensor(STD_RGB)).permute(0, 4, 1, 2, 3).contiguous()
    with torch.inference_mode():
        expected = network(clips).numpy()
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.slow
def test_bfloat16_is_close_to_float32(weights_path) -> None:
    batch = clip_batch(1, num_looked_at=14)
    slow, quick = (
        load_backbone(s3d_options(weights_path, precision=precision), device=CPU).features(batch)[0]
        for precision in ("float32", "bfloat16")
    )
    assert slow @ quick > 0.999 * np.linalg.norm(slow) * np.linalg.norm(quick)


def test_the_reader_is_asked_for_every_frame_squeezed_to_a_square(weights_path) -> None:
    backbone = load_backbone(s3d_options(weights_path), device=CPU)
    request = backbone.frame_request(s3d_options(weights_path))
    assert request.frame_indices == tuple(range(14))
    assert (request.resize, request.crop_size) == ((256, 256), 224)
    assert "AvgPool3d((2, 7, 7), stride 1)" in backbone.fingerprint["layer"]


def test_clips_of_thirteen_frames_are_refused(weights_path) -> None:
    with pytest.raises(RecipeError, match="at least 14 frames, not 13"):
        load_backbone(s3d_options(weights_path, clip_num_frames=13), device=CPU)


def test_other_weights_are_refused_by_name(s3d_state, tmp_path) -> None:
    state = dict(s3d_state)
    state["features.0.0.0.bias"] = state.pop("features.0.0.0.weight")
    save_file(state, tmp_path / "other.safetensors")
    with pytest.raises(
        InputError, match=r"features\.0\.0\.0\.weight is missing; features\.0\.0\.0\.bias is unknown"
    ):
        load_backbone(s3d_options(tmp_path / "other.safetensors"), device=CPU)


@pytest.mark.parametrize("shape", [(2, 5, 4, 3, 6), (1, 3, 3, 3, 1), (1, 2, 7, 7, 4), (1, 4, 1, 5, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_pool_of_a_block_is_pytorchs(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x_NTHWC = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype) - 1
    expected = nn.functional.max_pool3d(x_NTHWC.movedim(-1, 1), 3, stride=1, padding=1).movedim(1, -1)
    assert torch.equal(NeighbourPool()(x_NTHWC), expected)


def test_a_relu_behind_a_pool_gives_the_same_values() -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn((4, 4, 3), generator=generator)
    x_NTHWC = torch.randn((1, 6, 8, 8, 4), generator=generator)
    conv = nn.Sequential(TemporalConv(weight, torch.zeros(4), stride=1))
    pool = Pool(time=1, space=3, stride=(1, 2), alignment="centred")
    expected = pool(conv(x_NTHWC))
    rectify_after_pools([conv, pool])
    assert not conv[0].is_rectified
    assert bool((conv(x_NTHWC) < 0).any())
    assert torch.equal(pool(conv(x_NTHWC)), expected)


@pytest.mark.slow
def test_a_batch_compiles_as_one_graph() -> None:
    # What a GPU runs: a break in the graph would be a recompilation for each block, and then none at all.
    torch.manual_seed(0)
    folded = FoldedS3D(S3D(), mean_rgb=MEAN_RGB, std_rgb=STD_RGB, dtype=torch.float32, num_stem_channels=4)
    clips_NTHWC = torch.randint(0, 256, (2, 14, 64, 64, 3), dtype=torch.uint8)
    compiled = torch.compile(folded, backend="eager", fullgraph=True, dynamic=False)
    with torch.inference_mode():
        assert torch.allclose(compiled(clips_NTHWC), folded(clips_NTHWC), rtol=1e-4, atol=1e-6)

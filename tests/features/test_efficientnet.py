"""The embedded backbone: equal to the package's network, indifferent to neighbours, the same bytes twice."""

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from feature_samples import clip_batch

from videobert_cli.core.features.backbones.efficientnet import embedded_weights_path
from videobert_cli.core.features.backbones.registry import load_backbone
from videobert_cli.core.features.options import ExtractOptions

CPU = torch.device("cpu")


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.fixture(scope="module")
def exact():
    return load_backbone(ExtractOptions(precision="float32"), device=CPU)


def test_folded_network_equals_the_package(exact) -> None:
    reference = EfficientNet.from_name("efficientnet-lite0").eval()
    reference.load_state_dict(torch.load(embedded_weights_path(), weights_only=True))
    batch = clip_batch(2, num_looked_at=3)
    images = (torch.from_numpy(batch.frames_FHWC).float() - 127) / 128
    with torch.inference_mode():
        expected = reference.extract_features(images.permute(0, 3, 1, 2).contiguous()).mean((2, 3))
    by_clip = expected[torch.from_numpy(batch.frame_index_NT)]
    mean, motion = by_clip.mean(1), (by_clip[:, 1:] - by_clip[:, :-1]).abs().mean(1)
    found = torch.from_numpy(exact.features(batch))
    assert (found[:, :1280] - mean).abs().max() <= 1e-4 * mean.abs().max()
    assert (found[:, 1280:] - motion).abs().max() <= 1e-4 * mean.abs().max()
    assert motion.max() > 0.1


def test_clips_do_not_feel_their_neighbours(exact) -> None:
    batch = clip_batch(4, num_looked_at=2)
    together = exact.features(batch)
    for clip in range(4):
        rows = batch.frame_index_NT[clip]
        alone = exact.features(
            type(batch)(
                frames_FHWC=batch.frames_FHWC[rows],
                frame_index_NT=np.array([[0, 1]]),
                clip_start_seconds_N=np.zeros(1),
            )
        )
        np.testing.assert_allclose(alone[0], together[clip], atol=1e-4)


def test_the_same_clips_give_the_same_bytes_from_two_loads() -> None:
    batch = clip_batch(3, num_looked_at=2)
    first, second = (load_backbone(ExtractOptions(), device=CPU).features(batch).tobytes() for _ in range(2))
    assert first == second


def test_bfloat16_is_close_to_float32(exact) -> None:
    fast = load_backbone(ExtractOptions(precision="bfloat16"), device=CPU)
    assert fast.dtype == torch.bfloat16
    batch = clip_batch(4, num_looked_at=4, seed=3)
    slow, quick = exact.features(batch), fast.features(batch)
    assert cosine(slow, quick).min() > 0.999
    assert cosine(slow[:, 1280:], quick[:, 1280:]).min() > 0.99


def test_one_frame_a_clip_has_no_motion(exact) -> None:
    features = exact.features(clip_batch(2, num_looked_at=1))
    assert features.shape == (2, 2560)
    assert not features[:, 1280:].any()
    assert features[:, :1280].any()


def test_the_reader_is_asked_for_few_whole_frames(exact) -> None:
    request = exact.frame_request(ExtractOptions(image_num_frames=4))
    assert request.frame_indices == (3, 11, 18, 26)
    assert (request.resize, request.crop_size) == ((224, 224), 224)
    assert exact.parts == (1280, 1280)
    assert exact.dim == 2560

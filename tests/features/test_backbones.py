"""Weights from files and directories: what is taken, what is refused, what a model directory carries."""

import pickle

import numpy as np
import pytest
import torch
from feature_samples import clip_batch
from safetensors.torch import load_file, save_file

from videobert_cli.core.features.backbones import weights
from videobert_cli.core.features.backbones.arithmetic import fingerprint_difference
from videobert_cli.core.features.backbones.efficientnet import embedded_weights_path
from videobert_cli.core.features.backbones.registry import (
    load_backbone,
    load_backbone_directory,
    save_backbone,
)
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.errors import ArtifactError, InputError, MissingInputError, RecipeError

CPU = torch.device("cpu")


class _Trap:
    """Pickles into a call that creates a file."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_is_refused_and_not_run(tmp_path) -> None:
    torch.save({"w": _Trap(tmp_path / "PWNED")}, tmp_path / "trap.pth")
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(_Trap(tmp_path / "PWNED")))
    for name in ("trap.pth", "bare.pt"):
        with pytest.raises(InputError, match="more than tensors and was not opened"):
            weights.read_weights(tmp_path / name)
    assert not (tmp_path / "PWNED").exists()


@pytest.mark.parametrize("name", ["cut.safetensors", "cut.pth", "text.pth"])
def test_a_damaged_file_is_an_input_error(tmp_path, name) -> None:
    state = {"w": torch.arange(1000.0)}
    path = tmp_path / name
    if name.startswith("cut"):
        (save_file if name.endswith("safetensors") else torch.save)(state, path)
        path.write_bytes(path.read_bytes()[:900])
    else:
        path.write_text("<html>404</html>")
    with pytest.raises(InputError, match="weights file"):
        weights.read_weights(path)


def test_missing_and_unknown_files_are_named(tmp_path) -> None:
    with pytest.raises(MissingInputError, match="does not exist"):
        weights.read_weights(tmp_path / "none.pth")
    (tmp_path / "w.ckpt").write_bytes(b"x")
    with pytest.raises(InputError, match=r"type '\.ckpt' are not known"):
        weights.read_weights(tmp_path / "w.ckpt")


def test_the_hash_is_of_the_tensors_not_of_the_container(tmp_path) -> None:
    state = {"a": torch.arange(3.0), "b.num_batches_tracked": torch.tensor(5)}
    torch.save(state, tmp_path / "w.pth")
    weights.publish_weights(tmp_path / "w.safetensors", state)
    first, second = (
        weights.hash_weights(weights.read_weights(tmp_path / f"w.{end}")) for end in ("pth", "safetensors")
    )
    assert first == second != weights.hash_weights({"a": torch.tensor([0.0, 1.0, 2.5])})


def test_without_a_network_the_fix_names_the_file(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(weights, "KINETICS400_URL", "http://127.0.0.1:9/s3d-d76dad2f.pth")
    with pytest.raises(InputError, match="could not be had") as caught:
        load_backbone(ExtractOptions(backbone="s3d"), device=CPU)
    assert "extract.weights=s3d-d76dad2f.pth" in caught.value.fix


def test_a_cached_file_of_another_content_is_not_taken_for_the_weights(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = tmp_path / "hub" / "checkpoints" / "s3d-d76dad2f.pth"
    cached.parent.mkdir(parents=True)
    torch.save({"features.0.0.0.weight": torch.zeros(1)}, cached)
    with pytest.raises(InputError, match="another SHA-256 than their name says"):
        load_backbone(ExtractOptions(backbone="s3d"), device=CPU)


def test_the_image_network_has_no_kinetics_weights() -> None:
    with pytest.raises(RecipeError, match="efficientnet_lite0 has no weights called 'kinetics400'"):
        load_backbone(ExtractOptions(weights="kinetics400"), device=CPU)


def test_a_model_directory_with_embedded_weights_is_a_few_bytes(tmp_path) -> None:
    options = ExtractOptions(image_num_frames=2)
    backbone = load_backbone(options, device=CPU)
    save_backbone(backbone, options=options, directory=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["extractor.json"]
    again, found = load_backbone_directory(tmp_path, device=CPU)
    assert found == options
    assert again.fingerprint == backbone.fingerprint


def test_a_model_directory_carries_weights_from_a_file_and_notices_others(tmp_path) -> None:
    own = tmp_path / "own.safetensors"
    state = torch.load(embedded_weights_path(), weights_only=True)
    state["_conv_stem.weight"] = state["_conv_stem.weight"] * 0.5
    weights.publish_weights(own, state)
    options = ExtractOptions(weights=own)
    backbone = load_backbone(options, device=CPU)
    model = tmp_path / "model"
    save_backbone(backbone, options=options, directory=model)
    own.unlink()
    again, _ = load_backbone_directory(model, device=CPU)
    batch = clip_batch(1, num_looked_at=2)
    np.testing.assert_array_equal(again.features(batch), backbone.features(batch))
    changed = load_file(model / "backbone.safetensors")
    changed["_fc.bias"] = changed["_fc.bias"] + 1
    save_file(changed, model / "backbone.safetensors")
    with pytest.raises(ArtifactError, match="not those the model was trained with"):
        load_backbone_directory(model, device=CPU)


def test_a_directory_without_extractor_is_refused(tmp_path) -> None:
    with pytest.raises(ArtifactError, match="does not say how its features are made"):
        load_backbone_directory(tmp_path, device=CPU)


@pytest.mark.parametrize(
    "change",
    [{"frames_per_second": 10.0}, {"clip_num_frames": 20}, {"clip_stride_frames": 15}, {"image_num_frames": 3},
     {"precision": "float32"}],
)  # fmt: skip
def test_what_changes_a_feature_changes_the_fingerprint(change) -> None:
    first = load_backbone(ExtractOptions(), device=CPU).fingerprint
    second = load_backbone(ExtractOptions(**change), device=CPU).fingerprint
    assert next(iter(change)) in fingerprint_difference(first, second)
    assert not fingerprint_difference(first, dict(first))


def test_batch_size_is_no_part_of_the_fingerprint() -> None:
    first, second = (
        load_backbone(ExtractOptions(batch_num_clips=n), device=CPU).fingerprint for n in (1, 64)
    )
    assert first == second

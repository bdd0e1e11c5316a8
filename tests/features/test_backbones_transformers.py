"""Models of transformers as backbones: what a clip's feature is, what of a directory is obeyed, what is refused."""

import json
import shutil
import socket
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from feature_samples import clip_batch
from safetensors.torch import load_file, save_file
from transformers_samples import NUM_FRAMES, PROCESSORS, SIZE, make_model, published_class

from videobert_cli.core.features.backbones.registry import (
    load_backbone,
    load_backbone_directory,
    save_backbone,
)
from videobert_cli.core.features.backbones.transformers_processor import read_preprocessing
from videobert_cli.core.features.backbones.transformers_weights import find_directory
from videobert_cli.core.features.line.device import TensorBackbone
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.errors import ArtifactError, InputError, MissingInputError, RecipeError, VideoBERTError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {name: make_model(folder / name, name) for name in ("videomae", "clip", "dinov2", "vjepa2")}


@pytest.fixture
def own(models, tmp_path):
    """A copy of a model that a test may spoil."""
    return lambda name: Path(shutil.copytree(models[name], tmp_path / name))


def options_for(model: Path, **changes) -> ExtractOptions:
    return ExtractOptions(**{"backbone": f"transformers:{model}", "precision": "float32", **changes})


def load(model: Path, **changes):
    return load_backbone(options_for(model, **changes), device=CPU)


def edit(path: Path, **changes) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


# --- the feature ---


def test_a_video_model_sees_its_frames_of_a_clip_and_gives_the_mean_of_its_tokens(models) -> None:
    batch = clip_batch(2, num_looked_at=NUM_FRAMES, size=SIZE)
    found = load(models["videomae"]).features(batch)
    network = published_class("videomae").from_pretrained(models["videomae"]).videomae
    settings = PROCESSORS["videomae"]
    clips = torch.from_numpy(batch.frames_FHWC)[torch.from_numpy(batch.frame_index_NT)] / 255
    pixels = (clips - torch.tensor(settings["image_mean"])) / torch.tensor(settings["image_std"])
    with torch.inference_mode():
        expected = network(pixels.permute(0, 1, 4, 2, 3)).last_hidden_state.mean(1)
    torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-4, atol=1e-5)


def test_an_image_model_is_pooled_as_the_embedded_one_is(models) -> None:
    backbone = load(models["clip"])
    batch = clip_batch(2, num_looked_at=NUM_FRAMES, size=SIZE)
    found = backbone.features(batch)
    model = published_class("clip").from_pretrained(models["clip"])
    settings = PROCESSORS["clip"]
    frames = (
        torch.from_numpy(batch.frames_FHWC) / 255 - torch.tensor(settings["image_mean"])
    ) / torch.tensor(settings["image_std"])
    with torch.inference_mode():
        frames_FD = model.vision_model(pixel_values=frames.permute(0, 3, 1, 2)).pooler_output
    clips_NTD = frames_FD[torch.from_numpy(batch.frame_index_NT)]
    expected = torch.cat([clips_NTD.mean(1), clips_NTD.diff(dim=1).abs().mean(1)], 1)
    assert backbone.parts == (32, 32)
    torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["videomae", "clip"])
def test_a_feature_depends_on_no_neighbour_and_comes_by_tensors_too(models, name) -> None:
    backbone = load(models[name])
    assert isinstance(backbone, TensorBackbone)
    whole = clip_batch(3, num_looked_at=NUM_FRAMES, size=SIZE)
    with torch.inference_mode():
        frames_FHWC, index_NT = torch.from_numpy(whole.frames_FHWC), torch.from_numpy(whole.frame_index_NT)
        found = backbone.compute(frames_FHWC, index_NT).numpy()
        alone = backbone.compute(frames_FHWC[:NUM_FRAMES], index_NT[:1]).numpy()
    np.testing.assert_array_equal(found, backbone.features(whole))
    np.testing.assert_array_equal(found[:1], alone)


@pytest.mark.parametrize("name", ["videomae", "clip", "dinov2", "vjepa2"])
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_lower_precision_stays_near(models, name, precision) -> None:
    batch = clip_batch(2, num_looked_at=NUM_FRAMES, size=SIZE)
    exact, fast = load(models[name]), load(models[name], precision=precision)
    assert fast.dtype == getattr(torch, precision)
    first, second = exact.features(batch), fast.features(batch)
    assert (first != second).any()
    start = 0
    for size in exact.parts:
        part = slice(start, start + size)
        start += size
        cosine = (first[:, part] * second[:, part]).sum(1) / np.linalg.norm(first[:, part], axis=1)
        assert (cosine / np.linalg.norm(second[:, part], axis=1)).min() > 0.998


# --- geometry ---


def test_the_frames_are_spread_evenly_over_the_clip(models) -> None:
    for num, expected in ((30, (3, 11, 18, 26)), (NUM_FRAMES, (0, 1, 2, 3))):
        options = options_for(models["videomae"], clip_num_frames=num)
        request = load_backbone(options, device=CPU).frame_request(options)
        assert request.frame_indices == expected
        assert (request.resize, request.crop_size) == (SIZE, SIZE)


def test_clips_that_are_too_short_are_refused_with_the_settings_that_mend_it(models) -> None:
    with pytest.raises(
        RecipeError, match="videomae takes 4 frames of a clip, and the recipe's clips have 3"
    ) as caught:
        load(models["videomae"], clip_num_frames=3, clip_stride_frames=3)
    assert caught.value.at == "extract.clip_num_frames"
    assert caught.value.fix == "--set extract.clip_num_frames=4 --set extract.clip_stride_frames=4"
    load(models["videomae"], clip_num_frames=4, clip_stride_frames=4)


def test_the_check_comes_before_the_weights_are_read(own) -> None:
    model = own("videomae")
    (model / "model.safetensors").write_bytes(b"never read")
    with pytest.raises(RecipeError, match="takes 4 frames"):
        load(model, clip_num_frames=3)


def test_a_prescribed_rate_is_held(own) -> None:
    model = own("videomae")
    edit(model / "preprocessor_config.json", do_sample_frames=True, fps=2)
    with pytest.raises(RecipeError, match="wants to see 2 frames a second") as caught:
        load(model, clip_num_frames=30)
    assert caught.value.fix == "--set extract.frames_per_second=15"
    load(model, clip_num_frames=30, frames_per_second=15.0)


def test_v_jepa_takes_fewer_frames_in_whole_tubelets(models) -> None:
    for num, seen in ((30, 4), (3, 2), (2, 2)):
        assert load(models["vjepa2"], clip_num_frames=num).geometry.num_frames == seen
    with pytest.raises(RecipeError, match="takes 2 frames"):
        load(models["vjepa2"], clip_num_frames=1)


# --- what a model directory of ours carries ---


@pytest.mark.parametrize("name", ["videomae", "clip", "dinov2"])
def test_a_model_directory_carries_all_and_notices_other_weights(own, tmp_path, name) -> None:
    source = own(name)
    options = options_for(source)
    backbone = load_backbone(options, device=CPU)
    batch = clip_batch(1, num_looked_at=NUM_FRAMES, size=SIZE)
    before = backbone.features(batch)
    saved = tmp_path / "model"
    save_backbone(backbone, options=options, directory=saved)
    shutil.rmtree(source)
    again, found = load_backbone_directory(saved, device=CPU)
    assert found == options
    assert again.fingerprint == backbone.fingerprint
    np.testing.assert_array_equal(again.features(batch), before)
    weights = saved / "backbone" / "model.safetensors"
    changed = load_file(weights)
    first = sorted(changed)[0]
    changed[first] = changed[first] + 1
    save_file(changed, weights)
    with pytest.raises(ArtifactError, match="not those the model was trained with"):
        load_backbone_directory(saved, device=CPU)


def test_the_fingerprint_says_where_a_frame_was_resized_and_what_was_read_out(models) -> None:
    found = load(models["clip"]).fingerprint
    assert found["backbone"] == "transformers:clip_vision_model"
    assert found["layer"] == "pooler_output"
    assert found["preprocessing"]["resized_by"] == "reader, bilinear (processor: bicubic)"
    assert found["preprocessing"]["resize_short_side"] == found["preprocessing"]["crop_size"] == SIZE


def test_weights_of_their_own_are_refused(models, tmp_path) -> None:
    with pytest.raises(RecipeError, match="comes with its weights"):
        load(models["clip"], weights=tmp_path / "w.safetensors")


# --- hostile and broken directories (promise P42) ---


def test_p42_keys_that_run_code_are_dropped_and_nobody_is_asked(own, monkeypatch) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    monkeypatch.setattr(socket, "create_connection", no_network)
    model = own("videomae")
    batch = clip_batch(1, num_looked_at=NUM_FRAMES, size=SIZE)
    expected = load(model).features(batch)
    trap = model / "evil.py"
    trap.write_text(f"from pathlib import Path\nPath({str(model / 'PWNED')!r}).touch()\nclass Evil: pass\n")
    hostile = {
        "auto_map": {"AutoModel": "evil.Evil", "AutoConfig": "evil.Evil"}, "trust_remote_code": True,
        "_attn_implementation": "x/y", "_attn_implementation_internal": "x/y", "attn_implementation": "x/y",
        "quantization_config": {"quant_method": "bitsandbytes"}, "architectures": ["Evil"], "_name_or_path": "x/y",
    }  # fmt: skip
    edit(model / "config.json", **hostile)
    edit(model / "preprocessor_config.json", auto_map={"AutoImageProcessor": "evil.Evil"})
    (model / "adapter_config.json").write_text('{"base_model_name_or_path": "x/y"}')
    backbone = load(model)
    assert set(hostile) <= set(backbone.dropped_keys)
    np.testing.assert_array_equal(backbone.features(batch), expected)
    assert not (model / "PWNED").exists()


def _index(model: Path, name: str) -> None:
    (model / "model.safetensors").rename(model.parent / "outside.safetensors")
    content = {"weight_map": {"a": name}}
    (model / "model.safetensors.index.json").write_text(json.dumps(content))


def _pickle_only(model: Path) -> None:
    torch.save({}, model / "pytorch_model.bin")
    (model / "model.safetensors").unlink()


def _one_tensor_less(model: Path) -> None:
    state = load_file(model / "model.safetensors")
    name = next(name for name in sorted(state) if "patch_embeddings" in name)
    state["filler"] = torch.zeros_like(state.pop(name))
    save_file(state, model / "model.safetensors")


SPOILED = {
    "index": (lambda m: _index(m, "../outside.safetensors"), "no file beside it"),
    "absolute": (lambda m: _index(m, "/etc/passwd"), "no file beside it"),
    "pickle": (_pickle_only, "only pytorch_model.bin, which can run code"),
    "header": (
        lambda m: (m / "model.safetensors").write_bytes((1 << 60).to_bytes(8, "little") + b"{}"),
        "weights cannot be read",
    ),
    "less": (_one_tensor_less, "the weights lack 1 tensors of VideoMAEModel"),
    "layers": (lambda m: edit(m / "config.json", num_hidden_layers=10**9), "num_hidden_layers is 1000000000"),
    "wide": (lambda m: edit(m / "config.json", intermediate_size=10**6), "and the weights are"),
    "heads": (
        lambda m: edit(m / "config.json", num_attention_heads=5),
        "multiple of the number of attention",
    ),
    "text": (lambda m: edit(m / "config.json", hidden_size="wide"), "describes no videomae"),
    "colours": (lambda m: edit(m / "config.json", num_channels=4), "three colours"),
    "family": (lambda m: edit(m / "config.json", model_type="gpt2"), "'gpt2' are no backbone here"),
    "list": (lambda m: (m / "config.json").write_text("[1]"), "config.json cannot be read"),
    "deep": (lambda m: (m / "config.json").write_text("[" * 100_000), "config.json cannot be read"),
    "none": (lambda m: (m / "config.json").unlink(), "there is no config.json"),
    "processor": (lambda m: (m / "preprocessor_config.json").unlink(), "the model has no processor settings"),
    "size": (
        lambda m: edit(m / "config.json", image_size=48),
        "gives pictures of 32 pixels, and the network takes 48",
    ),
}


@pytest.mark.parametrize("case", SPOILED)
def test_p42_what_cannot_be_used_is_refused_in_words(own, case) -> None:
    model = own("videomae")
    spoil, expected = SPOILED[case]
    spoil(model)
    began = time.monotonic()
    with pytest.raises(VideoBERTError, match=expected) as caught:
        load(model)
    assert caught.value.exit_code == 3
    assert caught.value.at
    assert time.monotonic() - began < 30


# --- the processor ---


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"do_resize": False}, "do_resize .False. leaves every video at its own size"),
        ({"do_pad": True}, "do_pad .True. is not known here"),
        ({"do_center_crop": False}, "size .* keeps the shape of each video"),
        ({"size": {"longest_edge": 64}}, "size .* is neither a number of pixels"),
        ({"size": {"height": 32, "width": 48}, "do_center_crop": False}, "size .* is not square"),
        ({"crop_size": {"height": 32, "width": 16}}, "crop_size .* is not square"),
        ({"crop_size": 64}, "crop_size .64. is larger than the resized picture .32."),
        ({"image_mean": [0.5]}, "image_mean .* is not three numbers"),
        ({"image_std": [0, 1, 1]}, "image_std .* is not a number above zero"),
        ({"do_sample_frames": True, "fps": "many"}, "fps .many. is no rate"),
        ({"feature_extractor_type": "SamImageProcessor"}, "type 'SamImageProcessor', which is not known"),
    ],
)
def test_a_setting_without_a_counterpart_is_refused_by_name(own, changes, expected) -> None:
    model = own("videomae")
    edit(model / "preprocessor_config.json", **changes)
    with pytest.raises(InputError, match=expected):
        load(model)


def test_defaults_and_variants_of_processor_settings(tmp_path) -> None:
    cases = {
        "CLIPFeatureExtractor": (224, 224, 0.48145466 * 255),
        "SiglipImageProcessor": ((224, 224), 224, 127.5),
        "VivitImageProcessor": (256, 224, 1.5 * 127.5),
        "VJEPA2VideoProcessor": (292, 256, 0.485 * 255),
    }
    for name, (resize, crop, shift) in cases.items():
        key = "video_processor_type" if "Video" in name else "image_processor_type"
        (tmp_path / "preprocessor_config.json").write_text(json.dumps({key: name}))
        found = read_preprocessing(tmp_path, kind="video")
        assert (found.resize, found.crop_size) == (resize, crop)
        assert found.shift_rgb[0] == pytest.approx(shift)
    nested = {"image_processor": {"image_processor_type": "CLIPImageProcessor", "do_rescale": False}}
    (tmp_path / "processor_config.json").write_text(json.dumps(nested))
    assert read_preprocessing(tmp_path, kind="image").shift_rgb[0] == pytest.approx(0.48145466)


# --- hub ids ---


def test_a_hub_id_is_read_from_the_hubs_own_cache_without_a_network(models, tmp_path, monkeypatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--someone--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    shutil.copytree(models["dinov2"], repository / "snapshots" / "abc")
    batch = clip_batch(1, num_looked_at=NUM_FRAMES, size=SIZE)
    found = load(Path("someone/tiny")).features(batch)
    np.testing.assert_array_equal(found, load(models["dinov2"]).features(batch))
    with pytest.raises(InputError, match="HF_HUB_OFFLINE is set") as caught:
        find_directory("someone/other")
    assert "hf download someone/other" in caught.value.fix


def test_what_is_neither_a_directory_nor_an_id_is_said_to_be_neither() -> None:
    with pytest.raises(MissingInputError, match="no such model directory, and it is no hub id"):
        find_directory("models/videomae/base")


# --- a GPU ---


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("name", ["videomae", "clip", "dinov2", "vjepa2"])
@pytest.mark.parametrize(("precision", "least"), [("float32", 0.99999), ("auto", 0.998)])
def test_a_gpu_gives_the_same_features(models, name, precision, least) -> None:
    batch = clip_batch(3, num_looked_at=NUM_FRAMES, size=SIZE)
    expected = torch.from_numpy(load(models[name]).features(batch))
    device = torch.device("cuda")
    backbone = load_backbone(options_for(models[name], precision=precision), device=device)
    frames_FHWC = torch.from_numpy(batch.frames_FHWC).to(device)
    with torch.inference_mode():
        found = backbone.compute(frames_FHWC, torch.from_numpy(batch.frame_index_NT).to(device)).cpu()
    assert torch.nn.functional.cosine_similarity(found, expected).min() > least

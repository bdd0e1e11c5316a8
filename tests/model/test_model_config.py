"""A configuration from disk: what is understood, what is dropped, what is refused."""

import json
import re
from dataclasses import replace

import pytest

from videobert_cli.core.model.config import VideoBERTConfig
from videobert_cli.errors import ArtifactError


def test_saved_and_loaded_it_is_the_same(config, tmp_path):
    config = replace(config, id2label={0: "cut", 1: "stir"}, softmax="per_modality")
    config.save_pretrained(tmp_path, architecture="VideoBERTModel")
    assert VideoBERTConfig.from_pretrained(tmp_path) == config
    on_disk = json.loads((tmp_path / "config.json").read_text())
    assert on_disk["model_type"] == "videobert"
    assert on_disk["architectures"] == ["VideoBERTModel"]
    assert on_disk["label2id"] == {"cut": 0, "stir": 1}


def test_joint_ids_are_text_then_glue_then_words(config):
    assert (config.glue_token_id, config.first_visual_id, config.joint_vocab_size) == (30, 31, 43)


def test_keys_that_could_run_code_are_dropped_and_named(config):
    hostile = config.to_dict() | {
        "auto_map": {"AutoModel": "x--y.Z"},
        "trust_remote_code": True,
        "_attn_implementation_internal": "x/y",
    }
    loaded = VideoBERTConfig.from_dict(hostile)
    assert loaded == config
    assert loaded.dropped_keys == ("_attn_implementation_internal", "auto_map", "trust_remote_code")
    assert "auto_map" not in loaded.to_dict()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("hidden_size", 2**60, "hidden_size 1152921504606846976 is outside"),
        ("num_hidden_layers", 10_000, "num_hidden_layers 10000 is outside"),
        ("vocab_size", -1, "vocab_size -1 is outside"),
        ("hidden_size", "16", "hidden_size is '16', not a number"),
        ("hidden_size", True, "hidden_size is True, not a number"),
        ("hidden_size", 16.0, "hidden_size is 16.0, not a number"),
        ("num_attention_heads", 3, "hidden_size 16 is not a multiple of its 3 heads"),
        ("layer_norm_eps", float("nan"), "layer_norm_eps nan is outside"),
        ("softmax", "both", "softmax is 'both', not joint or per_modality"),
        ("hidden_act", "os.system", "hidden_act is 'os.system', not gelu"),
        ("train_visual_embeddings", "no", "train_visual_embeddings is 'no'"),
        ("id2label", {"x": "cut"}, "id2label has a key that is no number"),
        ("id2label", {"1": "cut"}, "id2label does not number its classes"),
        ("id2label", ["cut"], "id2label is not a mapping"),
        ("model_type", "bert", "this is a 'bert' model"),
    ],
)
def test_impossible_values_are_refused_by_name(config, key, value, message):
    with pytest.raises(ArtifactError, match=re.escape(message)):
        VideoBERTConfig.from_dict(config.to_dict() | {key: value})


def test_all_problems_are_told_at_once(config):
    with pytest.raises(ArtifactError, match=r"hidden_size .*; .*softmax"):
        VideoBERTConfig.from_dict(config.to_dict() | {"hidden_size": 0, "softmax": "x"})


def test_a_missing_size_is_named(config):
    values = config.to_dict()
    del values["vocab_size"]
    with pytest.raises(ArtifactError, match="vocab_size"):
        VideoBERTConfig.from_dict(values)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "cannot be read"),
        (b"[1]", "not a JSON object"),
        (b"\xff\xfe", "cannot be read"),
        (b"[" * 99_999, "read"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path, content, message):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ArtifactError, match=message) as caught:
        VideoBERTConfig.from_pretrained(tmp_path)
    assert caught.value.at == str(tmp_path / "config.json")


def test_a_directory_without_configuration_is_refused_with_a_way_out(tmp_path):
    with pytest.raises(ArtifactError, match=r"it has no config\.json") as caught:
        VideoBERTConfig.from_pretrained(tmp_path)
    assert "videobert pretrain" in caught.value.fix

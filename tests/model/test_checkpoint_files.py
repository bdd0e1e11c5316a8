"""Model directories: saved, loaded, damaged and hostile."""

import json
import os
import struct
import time
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from videobert_cli.core.model.classification import VideoBERTForSequenceClassification
from videobert_cli.core.model.encoder import VideoBERTModel
from videobert_cli.core.model.freezing import freeze
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.sequences.packing import pack, unpack
from videobert_cli.errors import ArtifactError, UsageError


@pytest.fixture
def saved(config, tmp_path):
    VideoBERTForPreTraining(config, seed=3).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def change_weights(directory, change):
    tensors = load_file(directory / "model.safetensors")
    change(tensors)
    save_file(tensors, directory / "model.safetensors")


def test_a_saved_model_answers_the_same(saved, config, batch):
    loaded = VideoBERTForPreTraining.from_pretrained(saved)
    assert not loaded.training
    assert loaded.config == config
    original = VideoBERTForPreTraining(config, seed=3).eval()
    positions = torch.arange(batch.num_tokens)
    assert torch.equal(loaded.token_logits(batch, positions), original.token_logits(batch, positions))
    trained = {name for name, p in original.named_parameters() if p.requires_grad}
    assert {name for name, p in loaded.named_parameters() if p.requires_grad} == trained


def test_saving_twice_gives_the_same_bytes(saved, config, tmp_path):
    VideoBERTForPreTraining.from_pretrained(saved).save_pretrained(tmp_path / "again")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (saved / name).read_bytes()


def test_the_encoder_is_taken_out_of_a_pretraining_model(saved, config, batch):
    assert torch.equal(
        VideoBERTModel.from_pretrained(saved)(batch).hidden_SH,
        VideoBERTForPreTraining(config, seed=3).eval().bert(batch).hidden_SH,
    )


def test_a_loaded_model_can_be_trained(saved, batch):
    model = VideoBERTForPreTraining.from_pretrained(saved).train()
    before = model.bert.embeddings.word_embeddings.weight.detach().clone()
    model(batch).text_loss.backward()
    torch.optim.SGD(model.parameters(), lr=1.0).step()
    assert not torch.equal(before, model.bert.embeddings.word_embeddings.weight)


def test_a_missing_tensor_is_named(saved):
    change_weights(saved, lambda tensors: tensors.pop("cls.alignment.bias"))
    with pytest.raises(ArtifactError, match=r"lack 1 of \d+ tensors, the first is cls.alignment.bias"):
        VideoBERTForPreTraining.from_pretrained(saved)


def test_an_unknown_tensor_is_named(saved):
    change_weights(saved, lambda tensors: tensors.update(extra=torch.zeros(1)))
    with pytest.raises(ArtifactError, match="a tensor that the model does not have: extra"):
        VideoBERTForPreTraining.from_pretrained(saved)


def test_another_shape_is_shown_with_both(saved):
    change_weights(saved, lambda tensors: tensors.update({"cls.predictions.bias": torch.zeros(31)}))
    with pytest.raises(
        ArtifactError, match=r"cls.predictions.bias has shape \[31\], config.json asks for \[30\]"
    ):
        VideoBERTForPreTraining.from_pretrained(saved)


def test_a_cut_file_is_refused(saved):
    weights = saved / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(ArtifactError, match="cannot be read") as caught:
        VideoBERTForPreTraining.from_pretrained(saved)
    assert caught.value.at == str(weights)


def test_a_header_that_claims_exabytes_is_refused_at_once(saved):
    (saved / "model.safetensors").write_bytes(struct.pack("<Q", 1 << 60) + b"{}")
    started = time.monotonic()
    with pytest.raises(ArtifactError, match="cannot be read"):
        VideoBERTForPreTraining.from_pretrained(saved)
    assert time.monotonic() - started < 30


def test_a_huge_configuration_costs_no_memory(saved):
    values = json.loads((saved / "config.json").read_text())
    values |= {"hidden_size": 32_768, "intermediate_size": 262_144, "vocab_size": 4_000_000}
    (saved / "config.json").write_text(json.dumps(values))
    with pytest.raises(ArtifactError, match=r"config.json asks for"):
        VideoBERTForPreTraining.from_pretrained(saved)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pkl"])
def test_a_pickle_is_never_opened(saved, tmp_path, name):
    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "PWNED"),)

    torch.save({"cls.alignment.bias": Attack()}, saved / name)
    (saved / "model.safetensors").unlink()
    with pytest.raises(ArtifactError, match=rf"only {name}, a pickle"):
        VideoBERTForPreTraining.from_pretrained(saved)
    (saved / name).rename(saved / "model.safetensors")
    with pytest.raises(ArtifactError, match="cannot be read"):
        VideoBERTForPreTraining.from_pretrained(saved)
    assert not (tmp_path / "PWNED").exists()


def test_a_shard_index_leads_nowhere(saved):
    (saved / "model.safetensors").unlink()
    index = {"weight_map": {"cls.alignment.bias": "../../x.safetensors"}}
    (saved / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ArtifactError, match=r"the directory has no model.safetensors"):
        VideoBERTForPreTraining.from_pretrained(saved)


def test_a_link_to_something_else_is_refused(saved, tmp_path):
    (saved / "model.safetensors").unlink()
    (saved / "model.safetensors").symlink_to("/dev/zero")
    with pytest.raises(ArtifactError, match=r"the directory has no model.safetensors"):
        VideoBERTForPreTraining.from_pretrained(saved)
    (tmp_path / "secret").write_text("not weights")
    (saved / "model.safetensors").unlink()
    (saved / "model.safetensors").symlink_to(tmp_path / "secret")
    with pytest.raises(ArtifactError, match="cannot be read"):
        VideoBERTForPreTraining.from_pretrained(saved)


def test_a_classifier_starts_from_a_pretrained_encoder(saved, config, batch):
    model = VideoBERTForSequenceClassification.from_pretrained(saved, labels=["cut", "stir", "pour"], seed=1)
    assert model.config.id2label == {0: "cut", 1: "stir", 2: "pour"}
    pretrained = VideoBERTForPreTraining(config, seed=3).eval()
    assert torch.equal(model.bert(batch).hidden_SH, pretrained.bert(batch).hidden_SH)
    again = VideoBERTForSequenceClassification.from_pretrained(saved, labels=["cut", "stir", "pour"], seed=1)
    other = VideoBERTForSequenceClassification.from_pretrained(saved, labels=["cut", "stir", "pour"], seed=2)
    assert torch.equal(model.classifier.weight, again.classifier.weight)
    assert not torch.equal(model.classifier.weight, other.classifier.weight)
    assert model.classifier.weight.shape == (3, 32)


def test_a_saved_classifier_keeps_its_classes_and_answers(saved, batch, tmp_path):
    model = VideoBERTForSequenceClassification.from_pretrained(saved, labels=["cut", "stir"], dropout=0.4)
    assert model.dropout.probability == 0.4
    model.save_pretrained(tmp_path / "classifier")
    loaded = VideoBERTForSequenceClassification.from_pretrained(tmp_path / "classifier")
    assert loaded.config.id2label == {0: "cut", 1: "stir"}
    assert torch.equal(loaded(batch).logits_BC, model(batch).logits_BC)
    relabelled = VideoBERTForSequenceClassification.from_pretrained(
        tmp_path / "classifier", labels=list("abcde")
    )
    assert relabelled(batch).logits_BC.shape == (5, 5)


def test_a_pretraining_model_is_no_classifier(saved):
    with pytest.raises(ArtifactError, match="this model has no classes") as caught:
        VideoBERTForSequenceClassification.from_pretrained(saved)
    assert "videobert finetune" in caught.value.fix


def test_a_classifier_is_no_pretraining_model(saved, tmp_path):
    model = VideoBERTForSequenceClassification.from_pretrained(saved, labels=["cut", "stir"])
    model.save_pretrained(tmp_path / "classifier")
    with pytest.raises(ArtifactError, match=r"a tensor that the model does not have: classifier\."):
        VideoBERTForPreTraining.from_pretrained(tmp_path / "classifier")


@pytest.mark.parametrize("pooling", ["cls", "cls_mean"])
def test_a_classifier_learns_and_reads_no_neighbour(config, make_sequences, pooling):
    config = replace(
        config,
        classifier_pooling=pooling,
        id2label={0: "a", 1: "b"},
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    sequences = make_sequences(0)
    model = VideoBERTForSequenceClassification(config, seed=0)
    batch, labels = pack(sequences), torch.tensor([0, 1, 1, 0, -100])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(30):
        loss = model(batch, labels).score.loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    output = model.eval()(batch, labels)
    assert (int(output.score.num), int(output.score.num_hits)) == (4, 4)
    for index, sequence in enumerate(sequences):
        alone = model(pack([sequence])).logits_BC[0]
        torch.testing.assert_close(alone, output.logits_BC[index], rtol=0, atol=1e-5)


def test_the_mean_is_over_visual_words_or_all_tokens_where_there_are_none(config, make_sequences):
    sequences = make_sequences(0)
    sequences[1].input_ids[:] = [3, 4, 5]
    batch = pack(sequences)
    model = VideoBERTForSequenceClassification(replace(config, id2label={0: "a"}), seed=0).eval()
    encoded = model.bert(batch)
    means = model._pool(encoded.hidden_SH, batch)[:, 16:]
    hidden = unpack(encoded.hidden_SH, batch)
    torch.testing.assert_close(means[1], hidden[1].mean(0))
    is_word = torch.from_numpy(sequences[0].input_ids > 30)
    torch.testing.assert_close(means[0], hidden[0][is_word].mean(0))


@pytest.mark.parametrize(("part", "num_trained"), [("none", None), ("embeddings", None), ("all_but_head", 2)])
def test_freezing(config, part, num_trained):
    model = VideoBERTForSequenceClassification(replace(config, id2label={0: "a"}), seed=0)
    freeze(model.bert, part=part)
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert ("bert.embeddings.word_embeddings.weight" in trained) == (part == "none")
    assert "bert.embeddings.visual_embeddings.weight" not in trained
    assert num_trained is None or len(trained) == num_trained


def test_freezing_the_first_layers_leaves_those_above(config):
    model = VideoBERTForSequenceClassification(
        replace(config, id2label={0: "a"}, num_hidden_layers=3), seed=0
    )
    freeze(model.bert, part="layers", num_layers=2)
    trained = {
        name.rpartition(".layer.")[2].split(".")[0] for name, p in model.named_parameters() if p.requires_grad
    }
    assert trained == {"2", "bert", "classifier"}
    assert not any(p.requires_grad for p in model.bert.embeddings.parameters())
    with pytest.raises(UsageError, match="4 layers are to be frozen, the model has 3"):
        freeze(model.bert, part="layers", num_layers=4)

"""Our encoder against transformers' BertModel on the same random weights: values, gradients, files.

Legend: S tokens, B sequences, T longest sequence, H hidden size, V text tokens.
"""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForPreTraining, BertModel

from videobert_cli.core.model.config import VideoBERTConfig
from videobert_cli.core.model.encoder import VideoBERTModel
from videobert_cli.core.model.init import load_bert, new_model
from videobert_cli.core.sequences.packing import NO_LABEL, TokenSequence, pack, unpack
from videobert_cli.errors import ArtifactError, MissingInputError

LENGTHS = (9, 1, 30, 17, 4)
SIZES = {
    "vocab_size": 101,
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "max_position_embeddings": 64,
    "layer_norm_eps": 1e-12,
}


@pytest.fixture(scope="module")
def bert():
    torch.manual_seed(0)
    model = BertForPreTraining(BertConfig(**SIZES, initializer_range=0.2, attn_implementation="eager"))
    with torch.no_grad():
        for parameter in model.parameters():  # biases and norms too: zeros and ones would hide a mix-up
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return model.eval()


@pytest.fixture(scope="module")
def bert_directory(bert, tmp_path_factory):
    directory = tmp_path_factory.mktemp("bert")
    bert.save_pretrained(directory)
    return directory


@pytest.fixture(scope="module")
def ours(bert_directory):
    start = load_bert(bert_directory)
    config = VideoBERTConfig(
        **start.sizes, num_visual_words=20, visual_embedding_size=8, hidden_dropout_prob=0.0
    )
    return new_model(config, seed=1, bert=start).eval()


@pytest.fixture(scope="module")
def text():
    generator = np.random.default_rng(0)
    sequences = [
        TokenSequence(
            input_ids=generator.integers(1, 101, length),  # 0 pads, and BERT gives its row no gradient
            token_type_ids=generator.integers(0, 2, length),
            labels=np.full(length, NO_LABEL),
        )
        for length in LENGTHS
    ]
    return pack(sequences)


@pytest.fixture(scope="module")
def padded(text):
    """The same batch as transformers wants it: padded with id 0, with an attention mask."""

    def pad(values_S):
        return torch.nn.utils.rnn.pad_sequence(unpack(values_S, text), batch_first=True)

    return {
        "input_ids": pad(text.input_ids_S),
        "token_type_ids": pad(text.token_type_ids_S),
        "attention_mask": pad(torch.ones_like(text.input_ids_S)),
    }


def real(values_BTX, padded):
    return values_BTX[padded["attention_mask"].bool()]


def test_hidden_states_are_berts(ours, bert, text, padded):
    theirs = bert.bert(**padded)
    output = ours.bert(text)
    assert float((output.hidden_SH - real(theirs.last_hidden_state, padded)).detach().abs().max()) <= 1e-5
    assert float((output.pooled_BH - theirs.pooler_output).detach().abs().max()) <= 1e-5


def test_masked_language_logits_are_berts(ours, bert, text, padded):
    theirs_SV = real(bert(**padded).prediction_logits, padded)
    ours_SV = ours.token_logits(text, torch.arange(text.num_tokens))[:, :101]
    assert float((ours_SV - theirs_SV).detach().abs().max()) <= 1e-5 * float(theirs_SV.detach().abs().max())


def test_gradients_are_those_of_the_padded_reference(ours, bert, text, padded):
    weights_SH = torch.randn(text.num_tokens, 48, generator=torch.Generator().manual_seed(0))
    ours.zero_grad()
    bert.zero_grad()
    (ours.bert(text).hidden_SH * weights_SH).sum().backward()
    (real(bert.bert(**padded).last_hidden_state, padded) * weights_SH).sum().backward()
    theirs = {name: p.grad for name, p in bert.bert.named_parameters() if p.grad is not None}
    mine = {name: p.grad for name, p in ours.bert.named_parameters()}
    # A key's bias adds the same to all scores of a query: its true gradient is zero, what is left is rounding.
    scale = max(float(gradient.abs().max()) for gradient in theirs.values())
    for name, gradient in theirs.items():
        size = scale if name.endswith("key.bias") else float(gradient.abs().max())
        assert float((mine[name] - gradient).abs().max()) <= 1e-5 * size, name


def test_our_text_tower_loads_into_bert(ours, bert, text, padded):
    model = BertModel(BertConfig(**SIZES, attn_implementation="eager")).eval()
    report = model.load_state_dict(ours.bert.state_dict(), strict=False)
    assert report.missing_keys == []
    assert report.unexpected_keys == [
        "embeddings.glue_embedding",
        "embeddings.visual_embeddings.weight",
        "embeddings.visual_projection.weight",
    ]
    theirs_SH = real(model(**padded).last_hidden_state, padded)
    assert float((ours.bert(text).hidden_SH - theirs_SH).detach().abs().max()) <= 1e-5


def test_random_weights_of_ours_in_bert(text, padded):
    ours = VideoBERTModel(
        VideoBERTConfig(**SIZES, num_visual_words=5, visual_embedding_size=48, initializer_range=0.2), seed=4
    ).eval()
    bert = BertModel(BertConfig(**SIZES)).eval()
    bert.load_state_dict(ours.state_dict(), strict=False)
    theirs_SH = real(bert(**padded).last_hidden_state, padded)
    assert float((ours(text).hidden_SH - theirs_SH).detach().abs().max()) <= 1e-5


def test_glue_and_visual_words_enter_like_words(ours, bert):
    """A joint sequence equals BERT fed with the same vectors: our extra rows are ordinary embeddings."""
    ids = np.array([5, 7, 101, 102, 121])
    batch = pack([TokenSequence(input_ids=ids, token_type_ids=np.array([0, 0, 0, 1, 1]), labels=ids)])
    table = ours.bert.embeddings
    words = table.visual_projection(table.visual_embeddings.weight)
    vectors = torch.cat([table.word_embeddings.weight[[5, 7]], table.glue_embedding, words[[0, 19]]])
    theirs = bert.bert(inputs_embeds=vectors[None], token_type_ids=batch.token_type_ids_S[None])
    assert float((ours.bert(batch).hidden_SH - theirs.last_hidden_state[0]).detach().abs().max()) <= 1e-5


@pytest.mark.parametrize("form", ["bare", "old names", "encoder only"])
def test_a_bert_is_understood_in_all_its_forms(bert_directory, tmp_path, form):
    expected = load_bert(bert_directory)
    tensors = load_file(bert_directory / "model.safetensors")
    if form == "bare":
        tensors = {k.removeprefix("bert."): v for k, v in tensors.items() if k.startswith("bert.")}
    elif form == "old names":
        tensors = {
            k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v
            for k, v in tensors.items()
        } | {"bert.embeddings.position_ids": torch.arange(64.0)}
    else:
        tensors = {k: v for k, v in tensors.items() if k.startswith("bert.") and "pooler" not in k}
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((bert_directory / "config.json").read_bytes())
    start = load_bert(tmp_path)
    assert start.sizes == expected.sizes
    assert "bert.encoder.layer.2.output.LayerNorm.weight" in start.tensors
    assert all(torch.equal(start.tensors[name], expected.tensors[name]) for name in start.tensors)
    if form == "old names":
        assert start.tensors.keys() == expected.tensors.keys()


def test_a_berts_hostile_keys_are_not_read(bert_directory, tmp_path):
    values = json.loads((bert_directory / "config.json").read_text())
    values |= {
        "auto_map": {"AutoModel": "x--y"},
        "trust_remote_code": True,
        "_attn_implementation_internal": "x/y",
    }
    (tmp_path / "config.json").write_text(json.dumps(values))
    (tmp_path / "model.safetensors").write_bytes((bert_directory / "model.safetensors").read_bytes())
    assert load_bert(tmp_path).sizes == load_bert(bert_directory).sizes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "roberta"}, "'roberta' model, not a BERT"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu'"),
        ({"hidden_size": 64}, "has shape"),
        ({"num_hidden_layers": 4}, "lacks 16 tensors, the first is bert.encoder.layer.3"),
    ],
)
def test_a_bert_that_does_not_fit_is_refused(bert_directory, tmp_path, change, message):
    values = json.loads((bert_directory / "config.json").read_text()) | change
    (tmp_path / "config.json").write_text(json.dumps(values))
    (tmp_path / "model.safetensors").write_bytes((bert_directory / "model.safetensors").read_bytes())
    with pytest.raises(ArtifactError, match=message):
        load_bert(tmp_path)


def test_a_name_that_cannot_be_had_says_what_to_do(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        MissingInputError, match="no directory 'nobody/no-bert', and the hub gave no model"
    ) as caught:
        load_bert("nobody/no-bert")
    assert "init: scratch" in caught.value.fix
    with pytest.raises(MissingInputError, match="no directory 'a/b/c/d'"):
        load_bert("a/b/c/d")

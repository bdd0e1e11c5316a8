"""The model directory: all that prediction needs, whole or not there, and refused when a part is damaged."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch

from videobert_cli.artifacts import read_manifest, seal, verify
from videobert_cli.core.features.backbones.registry import load_backbone
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.model.classification import VideoBERTForSequenceClassification
from videobert_cli.core.model.options import ModelOptions
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer
from videobert_cli.core.training.model_directory import ModelParts, Questions, load_model, publish_model
from videobert_cli.core.training.start import start_model
from videobert_cli.core.words.codebook import Codebook, fit_codebook
from videobert_cli.core.words.options import QuantizeOptions
from videobert_cli.errors import ArtifactError, CodebookMismatchError, ResourceError

CPU = torch.device("cpu")
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cut", "the", "onion"]
QUESTIONS = Questions(template="[MASK] the [MASK]", verbs=("cut",), objects=("onion",), label="verb")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    backbone = load_backbone(ExtractOptions(), device=CPU)
    features_ND = np.random.default_rng(0).normal(size=(32, backbone.dim)).astype(np.float32)
    codebook = fit_codebook(
        features_ND,
        options=QuantizeOptions(branching=2, num_levels=2, num_components=4),
        parts=backbone.parts,
        fingerprint=backbone.fingerprint,
        seed=0,
        device=CPU,
    )
    codebook.save(root / "codebook")
    tokenizer = VideoBERTTokenizer.from_vocabulary(TOKENS, num_words=4)
    small = ModelOptions(num_layers=1, hidden_size=32, num_attention_heads=2, intermediate_size=48)
    model = start_model(small, tokenizer=tokenizer, codebook=codebook, seed=0)
    parts = ModelParts(
        tokenizer=tokenizer,
        codebook=root / "codebook",
        backbone=backbone,
        extract=ExtractOptions(),
        questions=QUESTIONS,
        card="# a card\n",
    )
    arguments = {
        "parts": parts,
        "settings": {"seed": 0},
        "parents": {"words": "ff"},
        "facts": {"num_steps": 1},
    }
    publish_model(root / "pretrained", model, **arguments)
    classifier = VideoBERTForSequenceClassification.from_pretrained(
        root / "pretrained", labels=("cut", "stir")
    )
    publish_model(root / "classifier", classifier, **arguments)
    return root, arguments, model


@pytest.fixture
def copy(published, tmp_path):
    shutil.copytree(published[0] / "pretrained", tmp_path / "model")
    return tmp_path / "model"


def test_everything_comes_back(published):
    root, _, model = published
    loaded = load_model(root / "pretrained", device=CPU)
    assert isinstance(loaded.model, VideoBERTForPreTraining)
    assert not loaded.model.training
    assert all(
        torch.equal(a, b)
        for a, b in zip(loaded.model.state_dict().values(), model.state_dict().values(), strict=True)
    )
    assert loaded.questions == QUESTIONS
    assert loaded.tokenizer.text_ids("cut the onion") == [5, 6, 7]
    assert loaded.codebook.num_words == loaded.tokenizer.num_words == 4
    assert loaded.manifest.facts == {"num_steps": 1}
    backbone, options = loaded.backbone()
    assert options == ExtractOptions()
    assert backbone.fingerprint == loaded.codebook.fingerprint


def test_a_classifier_is_recognised_and_keeps_its_classes(published):
    loaded = load_model(published[0] / "classifier", device=CPU)
    assert isinstance(loaded.model, VideoBERTForSequenceClassification)
    assert dict(loaded.model.config.id2label) == {0: "cut", 1: "stir"}
    assert not loaded.model.training


def test_the_same_model_hashes_alike_wherever_it_lies(published, tmp_path):
    root, arguments, model = published
    manifest = publish_model(tmp_path / "elsewhere" / "m", model, **arguments)
    assert manifest.content_hash == load_model(root / "pretrained", device=CPU).manifest.content_hash


def test_p33_a_model_goes_on_with_its_own_codebook_and_vocabulary_alone(published):
    root, arguments, model = published
    small = ModelOptions(num_layers=1, hidden_size=32, num_attention_heads=2, intermediate_size=48)
    options = small.model_copy(update={"init": root / "pretrained"})
    codebook, tokenizer = Codebook.load(root / "codebook"), arguments["parts"].tokenizer
    again = start_model(options, tokenizer=tokenizer, codebook=codebook, seed=9)
    assert torch.equal(again.cls.predictions.bias, model.cls.predictions.bias)
    other_book = fit_codebook(
        np.random.default_rng(1).normal(size=(32, codebook.dim)).astype(np.float32),
        options=QuantizeOptions(branching=2, num_levels=2, num_components=4),
        parts=(codebook.dim,),
        fingerprint=codebook.fingerprint,
        seed=0,
        device=CPU,
    )
    with pytest.raises(CodebookMismatchError, match="another codebook of the same size") as caught:
        start_model(options, tokenizer=tokenizer, codebook=other_book, seed=9)
    assert f"--set extract.codebook={root / 'pretrained'}" in caught.value.fix
    other_backbone = dataclasses.replace(codebook, fingerprint={**codebook.fingerprint, "backbone": "s3d"})
    with pytest.raises(CodebookMismatchError, match="another codebook of the same size"):
        start_model(options, tokenizer=tokenizer, codebook=other_backbone, seed=9)
    other_text = VideoBERTTokenizer.from_vocabulary([*TOKENS[:-1], "leek"], num_words=4)
    with pytest.raises(CodebookMismatchError, match="another vocabulary of the same size"):
        start_model(options, tokenizer=other_text, codebook=codebook, seed=9)


@pytest.mark.parametrize("is_trained", [True, False])
def test_a_continued_model_obeys_the_recipe_in_all_but_its_sizes(published, is_trained):
    root, arguments, _ = published
    options = ModelOptions(
        init=root / "pretrained", dropout=0.37, softmax="per_modality", train_visual_embeddings=is_trained
    )
    codebook, tokenizer = Codebook.load(root / "codebook"), arguments["parts"].tokenizer
    model = start_model(options, tokenizer=tokenizer, codebook=codebook, seed=9)
    assert model.config.hidden_size == 32
    assert model.config.softmax == "per_modality"
    assert model.bert.embeddings.dropout.probability == 0.37
    assert model.bert.encoder.layer[0].attention.self.dropout_prob == 0.37
    assert model.bert.embeddings.visual_embeddings.weight.requires_grad is is_trained


def test_publishing_again_replaces_and_a_failure_keeps_the_old(published, copy):
    _, arguments, model = published
    before = sorted(path.name for path in copy.iterdir())
    broken = ModelParts(**{**vars(arguments["parts"]), "codebook": copy / "nowhere"})
    with pytest.raises(ResourceError, match="No such file"):
        publish_model(copy, model, **{**arguments, "parts": broken})
    assert verify(copy) == []
    publish_model(copy, model, **arguments)
    assert sorted(path.name for path in copy.iterdir()) == before
    assert [path.name for path in copy.parent.iterdir()] == ["model"]


@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors",
        "config.json",
        "vocab.txt",
        "questions.json",
        "codebook/codebook.json",
        "extractor.json",
    ],
)
def test_a_damaged_part_is_refused_by_its_name(copy, name):
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(bytes(data))
    with pytest.raises(ArtifactError, match=r"has the right size and another content") as caught:
        load_model(copy, device=CPU)
    assert caught.value.at == str(copy / name)
    assert "videobert verify" in caught.value.fix


def test_the_card_is_for_people_and_may_be_edited(copy):
    (copy / "README.md").write_text("# my model\n")
    assert load_model(copy, device=CPU).questions == QUESTIONS


def test_what_is_no_model_says_so(published, tmp_path):
    with pytest.raises(ArtifactError, match="no model directory here"):
        load_model(tmp_path / "nowhere", device=CPU)
    with pytest.raises(ArtifactError, match="not a finished artifact"):
        load_model(tmp_path, device=CPU)
    with pytest.raises(ArtifactError, match="'codebook' artifact, not 'model'"):
        load_model(published[0] / "codebook", device=CPU)


def test_an_unknown_architecture_is_refused_not_imported(published, tmp_path):
    _, arguments, model = published
    publish_model(tmp_path / "m", model, **arguments)
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    (tmp_path / "m" / "config.json").write_text(json.dumps(config | {"architectures": ["os.system"]}))
    seal(tmp_path / "m", kind=read_manifest(tmp_path / "m").kind)
    with pytest.raises(ArtifactError, match=r"architecture 'os\.system', not one of VideoBERTForPreTraining"):
        load_model(tmp_path / "m", device=CPU)

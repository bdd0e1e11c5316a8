"""The captioner: kept keys and values change nothing, nor does what stands beside a segment; the loss is NumPy's."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from small_models import FEATURE_SIZE, NUM_WORDS, small_captioner, small_model, small_tokenizer

from videobert_cli.core.model.caption_config import CaptionEncoder, CaptionerConfig
from videobert_cli.core.model.captioning import VideoBERTForCaptioning
from videobert_cli.core.sequences.documents import joint_vocabulary
from videobert_cli.core.sequences.packing import NO_LABEL, pack
from videobert_cli.core.sequences.pairs import question_sequence
from videobert_cli.errors import ArtifactError, CodebookMismatchError

TOKENIZER = small_tokenizer()
ENCODERS = get_args(CaptionEncoder)


def sequences(model, *words):
    return [
        question_sequence(
            np.array(model.captioner.question_ids),
            None if found is None else np.array(found),
            first_word=TOKENIZER.word_to_id(0),
            vocabulary=joint_vocabulary(TOKENIZER),
            max_num_tokens=model.config.max_position_embeddings,
        )
        for found in words
    ]


def features(*seeds):
    """Return a feature of its own for each seed, zeros for None."""
    rows = [
        torch.zeros(FEATURE_SIZE)
        if seed is None
        else torch.randn(FEATURE_SIZE, generator=torch.Generator().manual_seed(seed))
        for seed in seeds
    ]
    return torch.stack(rows)


@pytest.mark.parametrize("encoder", ENCODERS)
@torch.no_grad()
def test_token_by_token_gives_the_scores_of_all_at_once(encoder) -> None:
    model = small_captioner(encoder=encoder)
    seen = {"batch": pack(sequences(model, [1, 2], [3], None)), "features_BD": features(1, 2, None)}
    tokens = torch.from_numpy(np.random.default_rng(0).integers(2, 8, (3, 6)))
    whole = model.scores(tokens, model.look(**seen))
    cache = model.look(**seen)
    parts = [model.scores(tokens[:, :2], cache)] + [
        model.scores(tokens[:, t : t + 1], cache) for t in range(2, 6)
    ]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=0, atol=1e-5)
    # A later token changes no earlier score.
    other = tokens.clone()
    other[:, 4:] = 1
    torch.testing.assert_close(
        model.scores(other, model.look(**seen))[:, :4], whole[:, :4], rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("encoder", ENCODERS)
@torch.no_grad()
def test_what_stands_beside_a_segment_changes_nothing(encoder) -> None:
    model = small_captioner(encoder=encoder)
    words, own_features = [[1, 2, 5, 0], [3], None, [7, 7]], features(1, 2, None, 4)
    tokens = torch.full((1, 3), 5)
    seen = model.look(pack(sequences(model, *words)), features_BD=own_features)
    together = model.scores(tokens.repeat(4, 1), seen)
    for number, own in enumerate(words):
        seen = model.look(pack(sequences(model, own)), features_BD=own_features[number : number + 1])
        alone = model.scores(tokens, seen)
        torch.testing.assert_close(together[number : number + 1], alone, rtol=0, atol=1e-5)
    assert not torch.allclose(together[0], together[1], atol=1e-3)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@torch.no_grad()
def test_the_loss_is_cross_entropy_by_numpy(smoothing) -> None:
    model = small_captioner()
    batch = pack(sequences(model, [1, 2], [3]))
    end = TOKENIZER.sep_id
    captions = torch.tensor([[TOKENIZER.cls_id, 5, 6, end], [TOKENIZER.cls_id, 7, end, NO_LABEL]])
    output = model(batch, captions, label_smoothing=smoothing)
    scores = model.scores(captions[:, :-1].clamp(min=0), model.look(batch)).numpy().astype(np.float64)
    logs = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    losses, right = [], 0
    for row, labels in enumerate(captions[:, 1:].tolist()):
        for place, label in enumerate(labels):
            if label != NO_LABEL:
                own = logs[row, place]
                losses.append(-(1 - smoothing) * own[label] - smoothing * own.mean())
                right += own.argmax() == label
    assert float(output.loss) == pytest.approx(np.mean(losses), abs=1e-5)
    assert (int(output.num), int(output.num_correct)) == (5, right)


def test_only_end_to_end_trains_the_encoder() -> None:
    for encoder in ENCODERS:
        model = small_captioner(encoder=encoder).train()
        captions = torch.tensor([[TOKENIZER.cls_id, 5, TOKENIZER.sep_id]])
        batch = pack(sequences(model, [1, 2]))
        model(batch, captions, label_smoothing=0.0, features_BD=features(1)).loss.backward()
        has_gradient = model.bert.encoder.layer[0].output.dense.weight.grad is not None
        assert has_gradient == (encoder == "end_to_end")
        assert model.bert.training == (encoder == "end_to_end")
        projected = [n for n, p in model.named_parameters() if n.startswith("feature_") and p.grad.any()]
        assert len(projected) == (4 if encoder in {"features", "cloze_and_features"} else 0)


def test_cloze_looks_at_the_mean_word_and_the_masks() -> None:
    model = small_captioner(encoder="cloze")
    batch = pack(sequences(model, [1, 2, 3], [4]))
    cache = model.look(batch)
    assert cache.is_state.shape == (2, 1, 1, 2)
    with torch.no_grad():
        hidden = model.bert(batch).hidden_SH
    # [CLS] pour [MASK] [>] 1 2 3 [SEP]
    states = torch.stack([hidden[4:7].mean(0), hidden[2]])
    key, _ = model.decoder.layer[0].seen.keys_and_values(states[None])
    torch.testing.assert_close(cache.layers[0].seen[0][:1], key, rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_raw_feature_is_one_more_state_or_the_only_one() -> None:
    words, own = ([1, 2, 3], [4]), features(1, 2)
    rows = own.numpy().astype(np.float64)
    normed = (rows - rows.mean(1, keepdims=True)) / rows.std(1, keepdims=True)
    for encoder, num_states in (("features", 1), ("cloze_and_features", 3)):
        model = small_captioner(encoder=encoder)
        cache = model.look(pack(sequences(model, *words)), features_BD=own)
        assert cache.is_state.shape == (2, 1, 1, num_states)
        weight = model.feature_projection.weight.numpy().astype(np.float64)
        state = torch.from_numpy((normed @ weight.T).astype(np.float32))
        attention = model.decoder.layer[0].seen
        keys, values = cache.layers[0].seen
        wanted = attention.keys_and_values(state[:, None])
        torch.testing.assert_close(keys[:, :, -1:], wanted[0], rtol=0, atol=1e-4)
        torch.testing.assert_close(values[:, :, -1:], wanted[1], rtol=0, atol=1e-4)
    # What stands before it are the cloze's states, as without it.
    cloze = small_captioner(encoder="cloze")
    before = cloze.look(pack(sequences(cloze, *words))).layers[0].seen[0]
    torch.testing.assert_close(keys[:, :, :2], before, rtol=0, atol=1e-5)


@torch.no_grad()
def test_features_alone_are_all_that_the_decoder_sees() -> None:
    model, tokens = small_captioner(encoder="features"), torch.tensor([[2, 5]])

    def scores(words, seed):
        return model.scores(tokens, model.look(pack(sequences(model, words)), features_BD=features(seed)))

    assert torch.equal(scores([1, 2], 1), scores([3], 1))
    assert not torch.allclose(scores([1, 2], 1), scores([1, 2], 2), atol=1e-3)


def test_features_of_another_size_and_none_are_refused_with_both_sizes() -> None:
    model = small_captioner(encoder="cloze_and_features")
    batch = pack(sequences(model, [1]))
    for wrong, told in (
        ({"features_BD": torch.zeros(1, 1024)}, "these have 1,024"),
        ({}, "and there are none"),
    ):
        with pytest.raises(CodebookMismatchError, match=f"raw features of 5 numbers, {told}") as refused:
            model.look(batch, **wrong)
        assert refused.value.exit_code == 3
        assert "extractor.json" in refused.value.fix


def test_a_configuration_without_features_is_as_it_was_and_an_impossible_size_is_refused() -> None:
    cloze = small_captioner(encoder="cloze").captioner
    assert "feature_size" not in cloze.to_dict()
    assert CaptionerConfig.read(cloze.to_dict()) == cloze
    both = small_captioner(encoder="cloze_and_features").captioner
    assert CaptionerConfig.read(both.to_dict()) == both
    for values in (
        {**both.to_dict(), "feature_size": 0},
        {**both.to_dict(), "feature_size": -1},
        {**both.to_dict(), "feature_size": 1 << 20},
        {**cloze.to_dict(), "feature_size": 5},
    ):
        with pytest.raises(ArtifactError, match="captioner's configuration cannot be used"):
            CaptionerConfig.read(values)


def test_weights_for_features_of_another_size_are_refused(tmp_path) -> None:
    model = small_captioner(encoder="features")
    model.save_pretrained(tmp_path)
    wider = replace(model.config, captioner=replace(model.captioner, feature_size=7))
    wider.save_pretrained(tmp_path)
    with pytest.raises(ArtifactError, match=r"feature_\S+ has shape \[.*5\], config.json asks for \[.*7\]"):
        VideoBERTForCaptioning.from_pretrained(tmp_path)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_saved_captioner_says_the_same_and_its_encoder_is_the_pretrained_one(encoder, tmp_path) -> None:
    small_model().save_pretrained(tmp_path / "pretrained")
    own = small_captioner(encoder=encoder).captioner
    model = VideoBERTForCaptioning.from_encoder(tmp_path / "pretrained", captioner=own, dropout=0.0, seed=5)
    encoder = dict(small_model().bert.named_parameters())
    assert all(torch.equal(value, encoder[name]) for name, value in model.bert.named_parameters())
    model.save_pretrained(tmp_path / "captioner")
    again = VideoBERTForCaptioning.from_pretrained(tmp_path / "captioner")
    assert again.captioner == own
    tokens = torch.tensor([[2, 5]])
    seen = {"batch": pack(sequences(model, [NUM_WORDS - 1])), "features_BD": features(1)}
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())
    # A product of few columns depends in its last bit on where the weights lie in memory.
    scores = [each.scores(tokens, each.look(**seen)) for each in (again, model)]
    torch.testing.assert_close(*scores, rtol=0, atol=1e-5)

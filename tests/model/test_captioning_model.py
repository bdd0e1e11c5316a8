"""The captioner: kept keys and values change nothing, nor does what stands beside a segment; the loss is NumPy's."""

import numpy as np
import pytest
import torch
from small_models import NUM_WORDS, small_captioner, small_model, small_tokenizer

from videobert_cli.core.model.captioning import VideoBERTForCaptioning
from videobert_cli.core.sequences.documents import joint_vocabulary
from videobert_cli.core.sequences.packing import NO_LABEL, pack
from videobert_cli.core.sequences.pairs import question_sequence

TOKENIZER = small_tokenizer()
ENCODERS = ("end_to_end", "cloze")


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


@pytest.mark.parametrize("encoder", ENCODERS)
@torch.no_grad()
def test_token_by_token_gives_the_scores_of_all_at_once(encoder) -> None:
    model = small_captioner(encoder=encoder)
    batch = pack(sequences(model, [1, 2], [3], None))
    tokens = torch.from_numpy(np.random.default_rng(0).integers(2, 8, (3, 6)))
    whole = model.scores(tokens, model.look(batch))
    cache = model.look(batch)
    parts = [model.scores(tokens[:, :2], cache)] + [
        model.scores(tokens[:, t : t + 1], cache) for t in range(2, 6)
    ]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=0, atol=1e-5)
    # A later token changes no earlier score.
    other = tokens.clone()
    other[:, 4:] = 1
    torch.testing.assert_close(model.scores(other, model.look(batch))[:, :4], whole[:, :4], rtol=0, atol=1e-5)


@pytest.mark.parametrize("encoder", ENCODERS)
@torch.no_grad()
def test_what_stands_beside_a_segment_changes_nothing(encoder) -> None:
    model = small_captioner(encoder=encoder)
    words = [[1, 2, 5, 0], [3], None, [7, 7]]
    tokens = torch.full((1, 3), 5)
    together = model.scores(tokens.repeat(4, 1), model.look(pack(sequences(model, *words))))
    for number, own in enumerate(words):
        alone = model.scores(tokens, model.look(pack(sequences(model, own))))
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
        model(pack(sequences(model, [1, 2])), captions, label_smoothing=0.0).loss.backward()
        has_gradient = model.bert.encoder.layer[0].output.dense.weight.grad is not None
        assert has_gradient == (encoder == "end_to_end")
        assert model.bert.training == (encoder == "end_to_end")


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


def test_a_saved_captioner_says_the_same_and_its_encoder_is_the_pretrained_one(tmp_path) -> None:
    small_model().save_pretrained(tmp_path / "pretrained")
    own = small_captioner().captioner
    model = VideoBERTForCaptioning.from_encoder(tmp_path / "pretrained", captioner=own, dropout=0.0, seed=5)
    encoder = dict(small_model().bert.named_parameters())
    assert all(torch.equal(value, encoder[name]) for name, value in model.bert.named_parameters())
    model.save_pretrained(tmp_path / "captioner")
    again = VideoBERTForCaptioning.from_pretrained(tmp_path / "captioner")
    assert again.captioner == own
    tokens, batch = torch.tensor([[2, 5]]), pack(sequences(model, [NUM_WORDS - 1]))
    assert torch.equal(again.scores(tokens, again.look(batch)), model.scores(tokens, model.look(batch)))

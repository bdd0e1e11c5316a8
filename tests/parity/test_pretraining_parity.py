"""The pretraining step against transformers' BertForPreTraining, padded: losses, logits and all gradients.

Our joint vocabulary is made one of theirs: text rows, the glue (which nothing predicts) and the projected visual rows.
Legend: S tokens, B sequences, T longest sequence, J joint ids, P masked positions.
"""

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import BertConfig, BertForPreTraining

from videobert_cli.core.model import vocabulary
from videobert_cli.core.model.config import VideoBERTConfig
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.sequences.packing import NO_LABEL, TokenSequence, pack, unpack

NUM_TEXT, NUM_WORDS, GLUE = 60, 20, 60
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 160,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "initializer_range": 0.2,
}
LENGTHS = (9, 5, 150, 17, 4)  # short and long: both bodies of attention on a CPU


def sequence(length, *, generator):
    """`text [>] words` with a fifth of the tokens masked."""
    glue = (length - 1) // 2
    ids = generator.integers(NUM_TEXT + 1, NUM_TEXT + 1 + NUM_WORDS, length)
    ids[:glue] = generator.integers(1, NUM_TEXT, glue)  # 0 pads, and BERT gives its row no gradient
    ids[glue] = GLUE
    is_masked = (generator.random(length) < 0.2) & (ids != GLUE)
    is_masked[0] = True
    return TokenSequence(
        input_ids=ids,
        token_type_ids=(np.arange(length) > glue).astype(np.int64),
        labels=np.where(is_masked, ids, NO_LABEL),
    )


@pytest.fixture
def sequences():
    generator = np.random.default_rng(0)
    return [sequence(length, generator=generator) for length in LENGTHS]


@pytest.fixture
def ours():
    config = VideoBERTConfig(
        **SIZES, vocab_size=NUM_TEXT, num_visual_words=NUM_WORDS, visual_embedding_size=8
    )
    model = VideoBERTForPreTraining(config, seed=3).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():  # biases and norms too: zeros and ones would hide a mix-up
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model


@pytest.fixture
def theirs(ours):
    """BertForPreTraining with our weights, its vocabulary made of our three tables."""
    table, head = ours.bert.embeddings, ours.cls.predictions
    model = BertForPreTraining(BertConfig(**SIZES, vocab_size=NUM_TEXT + 1 + NUM_WORDS)).eval()
    words = table.visual_projection(table.visual_embeddings.weight)
    rows = torch.cat([table.word_embeddings.weight, table.glue_embedding, words]).detach()
    bias = torch.cat([head.bias, torch.tensor([-1e9]), head.visual_bias]).detach()
    own = ours.state_dict()
    shared = {
        name: own[name] for name in model.state_dict() if name in own and own[name].shape != (NUM_TEXT, 32)
    }
    shared.pop("cls.predictions.bias")
    report = model.load_state_dict(shared, strict=False)
    assert not report.unexpected_keys
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight.copy_(rows)
        model.cls.predictions.decoder.bias.copy_(bias)
    return model


def padded(batch):
    def grid(values_S, padding=0):
        return pad_sequence(unpack(values_S, batch), batch_first=True, padding_value=float(padding))

    return {
        "input_ids": grid(batch.input_ids_S),
        "token_type_ids": grid(batch.token_type_ids_S),
        "attention_mask": grid(torch.ones_like(batch.input_ids_S)),
    }, grid(batch.labels_S, NO_LABEL)


def in_parts(monkeypatch):
    monkeypatch.setattr(vocabulary, "_MAX_WHOLE_BYTES", 0)
    monkeypatch.setattr(vocabulary, "_PART_BYTES", 0)
    monkeypatch.setattr(vocabulary, "_LEAST_PART_ROWS", 7)


def total(output):
    """Theirs is one mean over all masked positions."""
    num = output.num_text + output.num_visual
    return (output.text_loss * output.num_text + output.visual_loss * output.num_visual) / num


def test_logits_packed_are_those_of_one_at_a_time(ours, sequences):
    together = pack(sequences)
    logits_SJ = ours.token_logits(together, torch.arange(together.num_tokens))
    alignment_B2 = ours.alignment_logits(together)
    for number, packed_TJ in enumerate(unpack(logits_SJ, together)):
        alone = pack([sequences[number]])
        alone_TJ = ours.token_logits(alone, torch.arange(alone.num_tokens))
        difference = (packed_TJ - alone_TJ).masked_fill(packed_TJ.isneginf(), 0.0)  # the glue's column
        assert float(difference.detach().abs().max()) <= 1e-5
        alignment = ours.alignment_logits(alone)[0] - alignment_B2[number]
        assert float(alignment.detach().abs().max()) <= 1e-5


def test_logits_packed_are_berts_padded(ours, theirs, sequences):
    batch = pack(sequences)
    inputs, _ = padded(batch)
    theirs_SJ = theirs(**inputs).prediction_logits[inputs["attention_mask"].bool()]
    ours_SJ = ours.token_logits(batch, torch.arange(batch.num_tokens))
    columns = [*range(NUM_TEXT), *range(GLUE + 1, GLUE + 1 + NUM_WORDS)]
    scale = max(1.0, float(theirs_SJ[:, columns].detach().abs().max()))
    assert float((ours_SJ - theirs_SJ)[:, columns].detach().abs().max()) <= 1e-5 * scale


@pytest.mark.parametrize("is_in_parts", [False, True])
def test_the_loss_and_its_gradients_are_berts_padded(ours, theirs, sequences, is_in_parts, monkeypatch):
    if is_in_parts:
        in_parts(monkeypatch)
    batch = pack(sequences)
    inputs, labels = padded(batch)
    expected = theirs(**inputs, labels=labels, next_sentence_label=None)
    loss = torch.nn.functional.cross_entropy(
        expected.prediction_logits.flatten(0, 1), labels.flatten(), ignore_index=NO_LABEL
    )
    loss.backward()
    mine = total(ours(batch))
    mine.backward()
    assert float(mine.detach()) == pytest.approx(float(loss.detach()), rel=1e-5)
    their_gradients = {name: p.grad for name, p in theirs.named_parameters() if p.grad is not None}
    own_gradients = {name: p.grad for name, p in ours.named_parameters() if p.grad is not None}
    rows_J32 = their_gradients.pop("bert.embeddings.word_embeddings.weight")
    bias_J = their_gradients.pop("cls.predictions.bias")
    their_gradients |= {
        "bert.embeddings.word_embeddings.weight": rows_J32[:NUM_TEXT],
        "bert.embeddings.glue_embedding": rows_J32[NUM_TEXT : GLUE + 1],
        # Their visual rows are ours projected: the chain rule takes the gradient on to the projection.
        "bert.embeddings.visual_projection.weight": rows_J32[GLUE + 1 :].T
        @ ours.bert.embeddings.visual_embeddings.weight,
        "cls.predictions.bias": bias_J[:NUM_TEXT],
        "cls.predictions.visual_bias": bias_J[GLUE + 1 :],
    }
    assert own_gradients.keys() - {"cls.alignment.weight", "cls.alignment.bias"} == their_gradients.keys()
    # A key's bias adds the same to all scores of a query: its true gradient is zero, what is left is rounding.
    largest = max(float(gradient.abs().max()) for gradient in their_gradients.values())
    for name, gradient in their_gradients.items():
        size = largest if name.endswith("key.bias") else float(gradient.abs().max())
        assert float((own_gradients[name] - gradient).abs().max()) <= 2e-5 * size, name


def test_the_loss_is_ten_lines_of_numpy(ours, sequences):
    batch = pack(sequences)
    logits_SJ = ours.token_logits(batch, torch.arange(batch.num_tokens)).detach().double().numpy()
    losses = {"text": [], "visual": []}
    for row, label in zip(logits_SJ, batch.labels_S.tolist(), strict=True):
        if label != NO_LABEL:
            best = row.max()
            loss = np.log(np.exp(row - best).sum()) + best - row[label]
            losses["visual" if label > GLUE else "text"].append(loss)
    output = ours(batch)
    assert float(output.text_loss.detach()) == pytest.approx(np.mean(losses["text"]), rel=1e-5)
    assert float(output.visual_loss.detach()) == pytest.approx(np.mean(losses["visual"]), rel=1e-5)

"""The pretraining model: packing, seeds, centroids, gradients, determinism."""

import dataclasses
from dataclasses import replace

import pytest
import torch

from videobert_cli.core.model.config import VideoBERTConfig
from videobert_cli.core.model.encoder import VideoBERTModel
from videobert_cli.core.model.init import new_model
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.sequences.packing import pack, unpack
from videobert_cli.errors import CodebookMismatchError


def total_loss(output):
    return output.text_loss + output.visual_loss + output.alignment_loss


def test_packed_equals_one_at_a_time(config, make_sequences):
    sequences = make_sequences(0)
    model = VideoBERTModel(config, seed=1).eval()
    together = pack(sequences)
    output = model(together)
    for index, (sequence, hidden) in enumerate(
        zip(sequences, unpack(output.hidden_SH, together), strict=True)
    ):
        alone = model(pack([sequence]))
        torch.testing.assert_close(hidden, alone.hidden_SH, rtol=0, atol=1e-5)
        torch.testing.assert_close(output.cls_BH[index], alone.hidden_SH[0], rtol=0, atol=1e-5)
        torch.testing.assert_close(output.pooled_BH[index], alone.pooled_BH[0], rtol=0, atol=1e-5)


def test_forward_and_backward_twice_give_the_same_bytes(config, make_sequences):
    batch = pack(make_sequences(4, lengths=tuple(range(1, 39)) * 4))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        runs = []
        for _ in range(2):
            model = VideoBERTForPreTraining(config, seed=5).train()
            torch.manual_seed(11)
            total_loss(model(batch)).backward()
            runs.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    finally:
        torch.set_num_threads(before)
    assert runs[0].keys() == runs[1].keys()
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])


def test_every_parameter_that_is_trained_gets_a_gradient(config, batch):
    model = VideoBERTForPreTraining(config, seed=0)
    total_loss(model(batch)).backward()
    without = {name for name, p in model.named_parameters() if p.grad is None}
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert (
        without
        == frozen
        == {
            "bert.embeddings.visual_embeddings.weight",
            "bert.pooler.dense.weight",
            "bert.pooler.dense.bias",
        }
    )


def test_visual_rows_are_trained_only_when_asked(config, batch):
    model = VideoBERTForPreTraining(replace(config, train_visual_embeddings=True), seed=0)
    total_loss(model(batch)).backward()
    assert float(model.bert.embeddings.visual_embeddings.weight.grad.abs().sum()) > 0


def test_weights_depend_on_the_seed_and_nothing_else(config):
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = VideoBERTForPreTraining(config, seed=7).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    again = VideoBERTForPreTraining(config, seed=7).state_dict()
    other = VideoBERTForPreTraining(config, seed=8).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["bert.pooler.dense.weight"], other["bert.pooler.dense.weight"])
    bare = VideoBERTModel(config, seed=7).state_dict()
    assert all(torch.equal(bare[name], first[f"bert.{name}"]) for name in bare)


def test_initial_scale_is_berts():
    config = VideoBERTConfig(
        vocab_size=500,
        num_visual_words=9,
        visual_embedding_size=4,
        hidden_size=64,
        num_attention_heads=2,
        num_hidden_layers=1,
    )
    model = VideoBERTForPreTraining(config, seed=0)
    assert float(model.bert.embeddings.word_embeddings.weight.detach().std()) == pytest.approx(0.02, rel=0.03)
    assert float(model.bert.encoder.layer[0].attention.self.query.weight.detach().std()) == pytest.approx(
        0.02, rel=0.05
    )
    assert torch.equal(model.bert.embeddings.LayerNorm.weight, torch.ones(64))
    assert not model.cls.predictions.visual_bias.any()


@pytest.mark.parametrize("width", [6, 16, 40])
def test_centroids_start_at_the_scale_of_words_and_keep_their_geometry(config, width):
    generator = torch.Generator().manual_seed(0)
    centroids = 50 + 7 * torch.randn(12, width, generator=generator)
    model = new_model(replace(config, visual_embedding_size=width), seed=0, centroids_KD=centroids)
    embeddings = model.bert.embeddings
    rows = embeddings.visual_projection(embeddings.visual_embeddings.weight).detach()
    assert float(rows.square().mean().sqrt()) == pytest.approx(config.initializer_range, rel=1e-4)
    assert float(rows.mean(0).abs().max()) < 1e-5
    if width <= config.hidden_size:
        ratios = torch.pdist(rows) / torch.pdist(centroids)
        assert float(ratios.std() / ratios.mean()) < 1e-4


def test_equal_centroids_do_not_divide_by_zero(config):
    model = new_model(config, seed=0, centroids_KD=torch.ones(12, 10))
    assert not model.bert.embeddings.visual_embeddings.weight.any()


def test_centroids_of_another_codebook_are_refused(config):
    with pytest.raises(
        CodebookMismatchError, match="12 visual words of width 10, the codebook 11 of width 10"
    ):
        new_model(config, seed=0, centroids_KD=torch.ones(11, 10))
    with pytest.raises(CodebookMismatchError, match="not finite"):
        new_model(config, seed=0, centroids_KD=torch.full((12, 10), torch.nan))


def test_token_logits_of_a_few_positions_are_those_of_all(config, batch):
    model = VideoBERTForPreTraining(config, seed=0).eval()
    everywhere = model.token_logits(batch, torch.arange(batch.num_tokens))
    assert everywhere.shape == (batch.num_tokens, config.joint_vocab_size)
    torch.testing.assert_close(model.token_logits(batch, torch.tensor([9, 2])), everywhere[[9, 2]])


def test_dropout_acts_in_training_only(config, batch):
    model = VideoBERTForPreTraining(config, seed=0)
    with torch.no_grad():
        assert float(total_loss(model.train()(batch))) != float(total_loss(model(batch)))
        assert float(total_loss(model.eval()(batch))) == float(total_loss(model(batch)))


def test_bf16_autocast_stays_close_and_trains_in_float32(config, batch):
    model = VideoBERTForPreTraining(config, seed=0).eval()
    exact = total_loss(model(batch))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = total_loss(model(batch))
    rounded.backward()
    assert float(rounded.detach()) == pytest.approx(float(exact.detach()), rel=0.02)
    assert {p.grad.dtype for p in model.parameters() if p.grad is not None} == {torch.float32}


def test_a_few_steps_learn_the_batch(config, batch):
    model = VideoBERTForPreTraining(
        replace(config, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0), seed=0
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(100):
        loss = total_loss(model(batch))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    output = model(batch)
    assert float(total_loss(output).detach()) < 0.3
    assert int(output.num_text_correct) == int(output.num_text)


def test_an_output_that_is_read_has_the_same_numbers_and_no_graph(config, batch):
    output = VideoBERTForPreTraining(config, seed=0).eval()(batch)
    read = output.read()
    for field in dataclasses.fields(output):
        mine, theirs = getattr(read, field.name), getattr(output, field.name)
        if not isinstance(theirs, torch.Tensor):
            assert mine == theirs == ()  # no heads of labels here
            continue
        assert mine.dtype == theirs.dtype
        assert torch.equal(mine, theirs.detach())
        assert not mine.requires_grad

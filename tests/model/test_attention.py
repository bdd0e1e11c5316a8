"""One function, all bodies: each sequence sees itself and nothing else."""

import pytest
import torch

from videobert_cli.core.model import attention
from videobert_cli.core.model.attention import SequenceLayout, attend, attend_one_by_one
from videobert_cli.core.model.dropout import dropout

LENGTHS = [(5, 1, 9, 3), (4, 4, 4), (1,), (140, 20)]


def layout_and_tokens(lengths, *, seed=0):
    bounds = torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
    layout = SequenceLayout(cu_seqlens=bounds, max_seqlen=max(lengths), num_tokens=sum(lengths))
    generator = torch.Generator().manual_seed(seed)
    tokens = [torch.randn(sum(lengths), 2, 8, generator=generator, requires_grad=True) for _ in range(3)]
    return layout, tokens


@pytest.mark.parametrize("lengths", LENGTHS)
def test_attend_equals_one_sequence_at_a_time(lengths):
    layout, tokens = layout_and_tokens(lengths)
    torch.testing.assert_close(
        attend(*tokens, layout=layout, dropout=0.0),
        attend_one_by_one(*tokens, layout=layout),
        rtol=0,
        atol=2e-6,
    )


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("body", ["_attend_grid_plain", "_attend_grid_fused"])
def test_every_body_has_the_same_gradients(lengths, body, monkeypatch):
    monkeypatch.setattr(attention, "_attend_grid_plain", getattr(attention, body))
    monkeypatch.setattr(attention, "_attend_grid_fused", getattr(attention, body))
    layout, tokens = layout_and_tokens(lengths)
    weights = torch.randn(sum(lengths), 2, 8, generator=torch.Generator().manual_seed(1))
    ours = torch.autograd.grad((attend(*tokens, layout=layout, dropout=0.0) * weights).sum(), tokens)
    theirs = torch.autograd.grad((attend_one_by_one(*tokens, layout=layout) * weights).sum(), tokens)
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, rtol=1e-5, atol=2e-6)


def test_no_token_of_another_sequence_is_seen():
    layout, tokens = layout_and_tokens((5, 1, 9, 3))
    before = attend(*tokens, layout=layout, dropout=0.0)
    changed = [
        tokens[0],
        *(x.detach().clone().index_fill_(0, torch.arange(6, 15), 100.0) for x in tokens[1:]),
    ]
    after = attend(*changed, layout=layout, dropout=0.0)
    kept = [*range(6), *range(15, 18)]
    assert torch.equal(before[kept], after[kept])
    assert not torch.equal(before[6:15], after[6:15])


def test_pad_and_unpad_are_inverse():
    layout, (tokens, *_) = layout_and_tokens((5, 1, 9, 3))
    grid = layout.pad(tokens)
    assert grid.shape == (4, 9, 2, 8)
    assert torch.equal(layout.unpad(grid), tokens)
    assert int((grid.abs().sum((2, 3)) > 0).sum()) == 18 == int(layout.is_token.sum())


def test_on_a_cpu_the_cuda_kernel_is_never_chosen():
    _, (tokens, *_) = layout_and_tokens((5, 1))
    assert not attention._has_varlen_kernel(tokens)
    assert not attention._has_varlen_kernel(tokens.to(torch.bfloat16))


def test_a_kernel_that_does_not_run_here_is_found_out_by_the_probe():
    assert attention._probe_varlen(torch.device("cpu"), dtype=torch.bfloat16, head_size=8) is False


def test_attention_dropout_acts_and_keeps_the_mean():
    layout, (query, key, _) = layout_and_tokens((60, 70))
    ones = torch.ones(130, 2, 8)
    torch.manual_seed(0)
    dropped = attend(query, key, ones, layout=layout, dropout=0.25).detach()
    assert dropped.std() > 0.01
    assert abs(float(dropped.mean()) - 1) < 0.02


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_dropout_drops_its_share_and_keeps_the_mean(probability):
    torch.manual_seed(0)
    dropped = dropout(torch.ones(1000, 1001), probability=probability)
    assert abs(float((dropped == 0).float().mean()) - probability) < 3e-3
    assert abs(float(dropped.mean()) - 1) < 3e-2
    assert dropped.unique().tolist() == pytest.approx([0.0, 1 / (1 - probability)])


def test_dropout_of_zero_changes_nothing_and_draws_nothing():
    state = torch.get_rng_state()
    values = torch.randn(3, generator=torch.Generator().manual_seed(0))
    assert dropout(values, probability=0.0) is values
    assert torch.equal(torch.get_rng_state(), state)


def test_dropout_drops_neighbours_independently():
    torch.manual_seed(0)
    kept = (dropout(torch.ones(400_000), probability=0.5) > 0).float().view(-1, 4) - 0.5
    correlations = (kept.T @ kept / len(kept) * 4).fill_diagonal_(0)
    assert float(correlations.abs().max()) < 0.02

"""Scores made part by part: the numbers and gradients of all scores at once, and never all of them."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from videobert_cli.core.model import vocabulary
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.model.vocabulary import VocabularyBlock, scores_in_parts, whole_scores
from videobert_cli.core.sequences.packing import pack


def random_block(seed, *, num_positions, num_rows, width=7):
    generator = torch.Generator().manual_seed(seed)
    states, rows, bias = (
        torch.randn(shape, generator=generator).requires_grad_()
        for shape in ((num_positions, width), (num_rows, width), (num_rows,))
    )
    columns = torch.randint(num_rows + 3, (num_positions,), generator=generator)  # some beyond the last
    return VocabularyBlock(states_PX=states, rows_CX=rows, bias_C=bias), columns


def gradients(block, scores, *, seed):
    generator = torch.Generator().manual_seed(seed)
    sides = (scores.normalizer_P, scores.target_P)
    total = sum((side * torch.randn(side.shape, generator=generator)).sum() for side in sides)
    return torch.autograd.grad(total, (block.states_PX, block.rows_CX, block.bias_C))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 40), st.integers(1, 45))
def test_parts_of_any_size_give_the_numbers_and_gradients_of_the_whole(seed, num_positions, num_rows, part):
    block, columns = random_block(seed, num_positions=num_positions, num_rows=num_rows)
    whole = whole_scores(block.logits(), columns)
    parts = scores_in_parts(block, columns, part_num_rows=part)
    for name in ("normalizer_P", "target_P", "best_P"):
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name), rtol=1e-5, atol=1e-5)
    assert torch.equal(parts.best_column_P, whole.best_column_P)
    for mine, theirs in zip(
        gradients(block, parts, seed=seed), gradients(block, whole, seed=seed), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)


def test_large_scores_do_not_overflow():
    block, columns = random_block(0, num_positions=4, num_rows=30)
    block = replace(block, bias_C=torch.linspace(-1e4, 1e4, 30))
    parts = scores_in_parts(block, columns, part_num_rows=8)
    torch.testing.assert_close(parts.normalizer_P, whole_scores(block.logits(), columns).normalizer_P)
    assert bool(torch.autograd.grad(parts.normalizer_P.sum(), block.states_PX)[0].isfinite().all())


def test_frozen_rows_get_no_gradient():
    block, columns = random_block(0, num_positions=4, num_rows=30)
    block.rows_CX.requires_grad_(False)
    parts = scores_in_parts(block, columns, part_num_rows=8)
    (parts.normalizer_P - parts.target_P).sum().backward()
    assert block.rows_CX.grad is None
    assert float(block.states_PX.grad.abs().sum()) > 0


def test_under_autocast_products_are_rounded_and_sums_are_not():
    block, columns = random_block(0, num_positions=50, num_rows=300)
    exact = whole_scores(block.logits(), columns).normalizer_P
    with torch.autocast("cpu", dtype=torch.bfloat16):
        whole = whole_scores(block.logits(), columns)
        parts = scores_in_parts(block, columns, part_num_rows=64)
    assert parts.normalizer_P.dtype == torch.float32
    torch.testing.assert_close(parts.normalizer_P, whole.normalizer_P, rtol=0, atol=1e-5)
    assert float((parts.normalizer_P - exact).detach().abs().max()) > 1e-4  # bfloat16 really was used
    found = torch.autograd.grad(parts.normalizer_P.sum(), (block.states_PX, block.rows_CX))
    expected = torch.autograd.grad(whole.normalizer_P.sum(), (block.states_PX, block.rows_CX))
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.dtype == torch.float32
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0.02 * float(theirs.abs().max()))


class LargestArray(TorchDispatchMode):
    """Notes the largest number of elements of anything an operator returns."""

    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        for value in found if isinstance(found, tuple | list) else (found,):
            if isinstance(value, torch.Tensor):
                self.largest = max(self.largest, value.numel())
        return found


def test_all_scores_never_exist_at_once():
    block, columns = random_block(0, num_positions=200, num_rows=1000)
    with LargestArray() as seen:
        whole = whole_scores(block.logits(), columns)
        (whole.normalizer_P - whole.target_P).sum().backward()
    assert seen.largest == 200 * 1000
    with LargestArray() as seen:
        parts = scores_in_parts(block, columns, part_num_rows=100)
        (parts.normalizer_P - parts.target_P).sum().backward()
    assert seen.largest == 200 * 100


def test_a_part_is_chosen_by_the_number_of_positions():
    assert vocabulary._part_num_rows(0) >= 1024
    assert vocabulary._part_num_rows(100_000) == 1024
    size = vocabulary._part_num_rows(2_600)
    assert size % 128 == 0
    assert 4 * 2_600 * size <= vocabulary._PART_BYTES


@pytest.mark.parametrize(("softmax", "num_visual_words"), [("joint", 12), ("joint", 0), ("per_modality", 12)])
def test_a_models_losses_and_gradients_are_the_same_in_parts(
    config, make_sequences, softmax, num_visual_words, monkeypatch
):
    sequences = make_sequences(2)
    if not num_visual_words:
        for sequence in sequences:
            sequence.input_ids[:] %= 30
            sequence.labels[sequence.labels > 0] %= 30
    batch = pack(sequences)

    def outcome():
        model = VideoBERTForPreTraining(
            replace(config, softmax=softmax, num_visual_words=num_visual_words), seed=3
        ).eval()
        output = model(batch)
        (output.text_loss + 0.5 * output.visual_loss + output.alignment_loss).backward()
        return output, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}

    whole, whole_gradients = outcome()
    monkeypatch.setattr(vocabulary, "_MAX_WHOLE_BYTES", 0)
    monkeypatch.setattr(vocabulary, "_PART_BYTES", 0)
    monkeypatch.setattr(vocabulary, "_LEAST_PART_ROWS", 5)
    made, part_logits = [], vocabulary._part_logits
    monkeypatch.setattr(
        vocabulary,
        "_part_logits",
        lambda states, rows, bias: made.append(len(rows)) or part_logits(states, rows, bias),
    )
    parts, part_gradients = outcome()
    assert sum(made) == 2 * (30 + num_visual_words)  # forward and backward
    assert max(made) == 5
    for name in ("text_loss", "visual_loss", "alignment_loss"):
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name), rtol=1e-5, atol=1e-6)
    for name in ("num_text", "num_visual", "num_text_correct", "num_visual_correct"):
        assert int(getattr(parts, name)) == int(getattr(whole, name))
    assert part_gradients.keys() == whole_gradients.keys()
    for name, gradient in whole_gradients.items():
        torch.testing.assert_close(part_gradients[name], gradient, rtol=1e-4, atol=1e-6, msg=name)

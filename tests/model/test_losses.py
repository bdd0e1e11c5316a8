"""The losses against ten plain lines of numpy."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from videobert_cli.core.model.losses import class_score, joint_scores
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.sequences.packing import NO_LABEL, pack

NUM_TEXT, NUM_WORDS = 5, 4


def numpy_loss(logits_PJ, labels_P, *, columns, chosen):
    """Mean over the `chosen` labels of -log softmax over `columns`, and the number of best scores at the label."""
    losses, correct = [], 0
    for row, label in zip(logits_PJ[chosen], labels_P[chosen], strict=True):
        scores = row[columns].astype(np.float64)
        losses.append(np.log(np.exp(scores - scores.max()).sum()) + scores.max() - row[label])
        correct += int(row[label] == scores.max())
    return (float(np.mean(losses)) if losses else 0.0), len(losses), correct


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 12))
def test_joint_softmax_equals_numpy(seed, num_positions):
    generator = np.random.default_rng(seed)
    labels = generator.choice([0, 1, 2, 3, 4, 6, 7, 8, 9], num_positions)
    logits = generator.normal(0, 3, (num_positions, 10)).astype(np.float32)
    columns = [0, 1, 2, 3, 4, 6, 7, 8, 9]
    text, visual = joint_scores(
        torch.from_numpy(logits[:, :NUM_TEXT]),
        torch.from_numpy(logits[:, NUM_TEXT + 1 :]),
        torch.from_numpy(labels),
    )
    for score, chosen in ((text, labels < NUM_TEXT), (visual, labels > NUM_TEXT)):
        loss, num, correct = numpy_loss(logits, labels, columns=columns, chosen=chosen)
        assert float(score.loss) == pytest.approx(loss, abs=1e-5)
        assert (int(score.num), int(score.num_correct)) == (num, correct)


@pytest.mark.parametrize("softmax", ["joint", "per_modality"])
def test_a_models_losses_equal_numpy_on_its_logits(config, batch, softmax):
    model = VideoBERTForPreTraining(replace_softmax(config, softmax), seed=3).eval()
    output = model(batch)
    logits = model.token_logits(batch, batch.masked_positions_P).detach().numpy()
    labels = batch.labels_S[batch.masked_positions_P].numpy()
    text, words = list(range(30)), list(range(31, 43))
    for name, own, chosen in (("text", text, labels < 30), ("visual", words, labels > 30)):
        columns = text + words if softmax == "joint" else own
        loss, num, correct = numpy_loss(logits, labels, columns=columns, chosen=chosen)
        assert num > 0
        assert float(getattr(output, f"{name}_loss").detach()) == pytest.approx(loss, abs=1e-5)
        assert int(getattr(output, f"num_{name}")) == num
        assert int(getattr(output, f"num_{name}_correct")) == correct
    assert np.isneginf(logits[:, 30]).all()


def test_alignment_counts_only_sequences_that_are_asked(config, batch):
    model = VideoBERTForPreTraining(config, seed=3).eval()
    output, logits = model(batch), model.alignment_logits(batch).detach().numpy()
    asked = np.array([0, 1, 3, 4])  # of the five, the third has no alignment
    loss, num, correct = numpy_loss(logits, batch.alignment_B.numpy(), columns=[0, 1], chosen=asked)
    assert float(output.alignment_loss.detach()) == pytest.approx(loss, abs=1e-5)
    assert (int(output.num_alignment), int(output.num_alignment_correct)) == (num, correct)


@pytest.mark.parametrize("softmax", ["joint", "per_modality"])
def test_a_batch_without_labels_has_zero_loss_and_gradients_that_are_numbers(config, make_sequences, softmax):
    sequences = make_sequences(1)
    for sequence in sequences:
        sequence.labels[:] = NO_LABEL
    batch = pack([s for s in sequences if s.alignment == NO_LABEL])
    model = VideoBERTForPreTraining(replace_softmax(config, softmax), seed=0)
    output = model(batch)
    (output.text_loss + output.visual_loss + output.alignment_loss).backward()
    assert [float(x.detach()) for x in (output.text_loss, output.visual_loss, output.alignment_loss)] == [
        0.0
    ] * 3
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in model.parameters())


def test_a_model_without_visual_words_is_a_bert(config, make_sequences):
    sequences = make_sequences(2)
    for sequence in sequences:
        sequence.input_ids[:] %= 30
        np.copyto(sequence.labels, sequence.labels % 30, where=sequence.labels != NO_LABEL)
    output = VideoBERTForPreTraining(replace(config, num_visual_words=0), seed=0)(pack(sequences))
    assert int(output.num_visual) == 0
    assert float(output.text_loss.detach()) > 0


def test_class_score_of_nothing_is_zero():
    score = class_score(
        torch.randn(3, 2, generator=torch.Generator().manual_seed(0)), torch.full((3,), NO_LABEL)
    )
    assert (float(score.loss), int(score.num), int(score.num_correct)) == (0.0, 0, 0)


def replace_softmax(config, softmax):
    return replace(config, softmax=softmax)

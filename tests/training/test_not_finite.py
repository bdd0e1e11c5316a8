"""Where a number that is none comes from: the loss, the sequences, the module, the weight, the gradient."""

import json

import pytest
import torch
from training_samples import make_loop, pretraining_job

from videobert_cli.core.training.options import OptimizerOptions
from videobert_cli.errors import NonFiniteLossError


def fail(job, directory, **options):
    with pytest.raises(NonFiniteLossError) as caught:
        make_loop(job, directory, **options).run()
    return caught.value.what.splitlines(), json.loads((directory / "not_finite.json").read_text())


def test_a_word_that_spoils_the_loss_is_traced_to_its_sequences_and_module(tmp_path):
    """Token 7 has an infinite embedding: only sequences that hold it are named."""
    job = pretraining_job()
    with torch.no_grad():
        job.model.bert.embeddings.word_embeddings.weight[7] = torch.inf
    batch = job.batch(0, first_sequence=0)
    names = job.sample_ids(0, first_sequence=0, num_sequences=4)
    holding = [
        name
        for name, part in zip(names, batch.split(4), strict=True)
        if (part.stream.input_ids_S == 7).any() or (part.stream.labels_S != -100).any()
    ]
    lines, found = fail(job, tmp_path)
    assert lines[0].startswith("the loss of step 1 is ")
    assert lines[0].endswith("no checkpoint had been made")
    assert "text_loss" in found["losses"]
    assert "bert.embeddings.word_embeddings" in found["weight"]
    assert set(found["sample_ids"]) <= set(holding)
    assert found["batch_sample_ids"] == list(names)
    assert found["learning_rate"] > 0
    assert any(line.startswith("the weights held it before the step") for line in lines)
    assert lines[-1] == f"all that was found: {tmp_path / 'not_finite.json'}"


def test_a_learning_rate_that_is_too_high_is_named(tmp_path):
    optimizer = OptimizerOptions(learning_rate=1.0, schedule="constant")
    job = pretraining_job()

    class Exploding(torch.optim.AdamW):
        def step(self, closure=None):
            for group in self.param_groups:
                for weight in group["params"]:
                    weight.data.mul_(1e30)

    loop = make_loop(job, tmp_path, optimizer=optimizer)
    loop._optimizer.__class__ = Exploding
    with pytest.raises(NonFiniteLossError) as caught:
        loop.run()
    assert "learning rate 1\n" in caught.value.what
    assert "sequences give it: v1-" in caught.value.what
    assert "the first module that returned it: bert." in caught.value.what


def test_a_gradient_is_traced_to_the_parameter_that_got_it_first(tmp_path):
    """The root of zero in one layer norm's output: the loss is fine, what lies before that layer gets no numbers."""
    job = pretraining_job()
    layer = job.model.bert.encoder.layer[0].output.LayerNorm

    def spoil(_module, _given, returned):
        return returned + torch.sqrt(returned * 0)

    layer.register_forward_hook(spoil)
    lines, found = fail(job, tmp_path)
    assert lines[0].startswith("the gradient of step 1 is nan")
    assert found["losses"] == []
    assert found["module"] is None
    assert found["gradient"].startswith("bert.encoder.layer.0.output.LayerNorm")
    assert not found["gradient"].startswith("cls.")
    assert any("none of the batch's 4 sequences gives it by itself" in line for line in lines)


def test_the_weights_of_the_last_checkpoint_are_as_they_were(tmp_path):
    make_loop(pretraining_job(), tmp_path, num_steps=4).run()
    before = (tmp_path / "checkpoints" / "step-000004" / "model.safetensors").read_bytes()
    job = pretraining_job()
    forward = job.forward
    job.forward = lambda batch, **more: _spoilt(forward(batch, **more))
    lines, _ = fail(job, tmp_path)
    assert lines[0] == "the loss of step 5 is nan; the last good checkpoint is kept: step-000004"
    assert (tmp_path / "checkpoints" / "step-000004" / "model.safetensors").read_bytes() == before


def _spoilt(report):
    return type(report)(loss=report.loss * float("nan"), metrics=report.metrics)

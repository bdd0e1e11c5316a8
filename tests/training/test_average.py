"""The weights' average: its formula, what validation and the model get, and that no kill changes it."""

import pytest
import torch
from executable import lasting_metrics
from training_samples import Interrupting, KilledError, ScriptedJob, make_loop, pretraining_job, weights

from videobert_cli.core.training.average import WeightAverage
from videobert_cli.core.training.options import OptimizerOptions

CONSTANT = OptimizerOptions(learning_rate=1e-2, schedule="constant", weight_decay=0)


def test_frozen_parameters_have_no_average():
    model = torch.nn.Linear(2, 1)
    model.bias.requires_grad = False
    assert set(WeightAverage(model, decay=0.9).tensors()) == {"weight"}


def test_the_average_follows_its_formula_and_leaves_the_training_alone(tmp_path):
    plain, averaged = ScriptedJob([1.0] * 12), ScriptedJob([1.0] * 12)
    rhythm = {"validate_every_steps": 1, "optimizer": CONSTANT}
    make_loop(plain, tmp_path / "plain", **rhythm).run()
    make_loop(averaged, tmp_path / "averaged", ema_decay=0.4, **rhythm).run()
    expected, average = [], 1.0
    for step, weight in enumerate(plain.weights_at_validation, start=1):
        decay = min(0.4, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * weight
        expected.append(average)
    assert averaged.weights_at_validation == pytest.approx(expected, rel=1e-6)
    assert averaged.model.weight.item() == averaged.weights_at_validation[-1]
    assert plain.weights_at_validation[-1] != averaged.weights_at_validation[-1]


def test_the_best_average_becomes_the_model(tmp_path):
    job = ScriptedJob([3.0, 1.0, 2.0])
    result = make_loop(job, tmp_path, final_weights="best", ema_decay=0.5, optimizer=CONSTANT).run()
    assert result.weights_step == 8
    assert job.model.weight.item() == job.weights_at_validation[1]
    again = ScriptedJob()
    make_loop(again, tmp_path, final_weights="best", ema_decay=0.5, optimizer=CONSTANT).run()
    assert again.model.weight.item() == job.weights_at_validation[1]


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_a_killed_run_with_everything_on_ends_at_the_same_bytes(tmp_path, name):
    options = {
        "ema_decay": 0.9,
        "num_micro_batches": 2,
        "optimizer": OptimizerOptions(name=name, learning_rate=1e-2, layer_decay=0.7, warmup_fraction=0.2),
    }
    make_loop(whole := pretraining_job(), tmp_path / "whole", **options).run()
    for step in (3, 7, 10):
        with pytest.raises(KilledError):
            make_loop(Interrupting(pretraining_job(), kill_at=step), tmp_path / "broken", **options).run()
    make_loop(rest := pretraining_job(), tmp_path / "broken", **options).run()
    assert weights(rest.model) == weights(whole.model)
    texts = [lasting_metrics(tmp_path / kind / "metrics.jsonl") for kind in ("whole", "broken")]
    assert texts[0] == texts[1]

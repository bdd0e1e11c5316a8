"""The loop: exact resume whatever happens to the process or its newest checkpoint, the best weights, early stops."""

import json
import shutil

import numpy as np
import pytest
import torch
from executable import lasting_metrics
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from training_samples import (
    CONFIG,
    LOOP,
    Interrupting,
    KilledError,
    ScriptedJob,
    make_loop,
    pretraining_job,
    weights,
)

from videobert_cli.core.training.optimizer import learning_rate
from videobert_cli.core.training.options import LoopOptions, OptimizerOptions
from videobert_cli.errors import InterruptedRunError, NonFiniteLossError
from videobert_cli.runtime import StopRequest

CONSTANT = OptimizerOptions(learning_rate=1e-2, schedule="constant", weight_decay=0)


def metrics_text(directory):
    return lasting_metrics(directory / "metrics.jsonl")


def run(directory, **options):
    job = pretraining_job()
    result = make_loop(job, directory, **options).run()
    return weights(job.model), metrics_text(directory), result


@pytest.fixture(scope="module", params=["last", "best"])
def unbroken(request, tmp_path_factory):
    return request.param, run(tmp_path_factory.mktemp("unbroken"), final_weights=request.param)


@pytest.fixture(scope="module")
def unbroken_last(tmp_path_factory):
    return run(tmp_path_factory.mktemp("unbroken_last"))


def run_broken(directory, plan, **options):
    """Run with an interruption after another, each in a new process as far as the loop can tell; then to the end."""
    for kind, step in plan:
        stop = StopRequest()
        arguments = {kind: step} | ({"stop": stop} if kind == "stop_at" else {})
        job = Interrupting(pretraining_job(), **arguments)
        expected = InterruptedRunError if kind == "stop_at" else KilledError
        try:
            make_loop(job, directory, stop=stop, **options).run()
        except expected:
            continue
        except InterruptedRunError:
            pytest.fail("stopped without being asked")
    return run(directory, **options)


@pytest.mark.parametrize(
    "plan",
    [
        [("stop_at", 0)],
        [("stop_at", 4), ("stop_at", 5), ("stop_at", 11)],
        [("kill_at", 2)],
        [("kill_at", 6), ("kill_at", 11)],
        [("kill_in_validation", 1), ("kill_in_validation", 1)],
        [("stop_at", 1), ("kill_at", 3), ("stop_at", 9), ("kill_in_validation", 0)],
    ],
    ids=str,
)
def test_a_broken_run_ends_as_the_unbroken_one(unbroken, plan, tmp_path):
    final_weights, (expected_weights, expected_metrics, expected_result) = unbroken
    found_weights, found_metrics, found_result = run_broken(tmp_path, plan, final_weights=final_weights)
    assert found_weights == expected_weights
    assert found_metrics == expected_metrics
    assert found_result == expected_result


@pytest.mark.slow
def test_any_sequence_of_stops_and_kills_ends_as_the_unbroken_run(unbroken, tmp_path_factory):
    final_weights, expected = unbroken

    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        plan=st.lists(
            st.tuples(st.sampled_from(["stop_at", "kill_at", "kill_in_validation"]), st.integers(0, 11)),
            min_size=1,
            max_size=4,
        )
    )
    def check(plan):
        assert run_broken(tmp_path_factory.mktemp("broken"), plan, final_weights=final_weights) == expected

    check()


def test_every_step_is_logged_once_and_the_log_is_plain_numbers(unbroken):
    lines = [json.loads(line) for line in unbroken[1][1].splitlines()]
    assert [line["step"] for line in lines if "learning_rate" in line] == [3, 6, 9, 12]
    assert [line["step"] for line in lines if "validation" in line] == [4, 8, 12]
    logged = lines[0]
    assert {"loss", "text_loss", "visual_loss", "text_accuracy"} <= set(logged)
    assert all(np.isfinite(value) for value in logged.values())
    assert {"loss", "text_loss", "visual_loss", "alignment_loss"} <= set(lines[1]["validation"])


def test_the_logged_rate_is_the_schedules(unbroken):
    options = OptimizerOptions(learning_rate=1e-2, warmup_fraction=0.2, schedule="cosine")
    for line in map(json.loads, unbroken[1][1].splitlines()):
        if "learning_rate" in line:
            expected = learning_rate(line["step"] - 1, num_steps=12, options=options)
            assert line["learning_rate"] == expected


def test_a_finished_run_does_nothing_more(tmp_path, unbroken):
    final_weights, expected = unbroken
    run(tmp_path, final_weights=final_weights)
    job = Interrupting(pretraining_job(), kill_at=0, kill_in_validation=0)
    result = make_loop(job, tmp_path, final_weights=final_weights).run()
    assert (weights(job.model), metrics_text(tmp_path), result) == expected
    assert not job.model.training


def test_another_seed_is_another_run(tmp_path, unbroken):
    loop = make_loop(job := pretraining_job(), tmp_path, final_weights=unbroken[0])
    loop._step._seed = 8
    loop.run()
    assert weights(job.model) != unbroken[1][0]


# --- damaged checkpoints ---


@pytest.fixture(scope="module")
def killed_in_step_9(tmp_path_factory):
    directory = tmp_path_factory.mktemp("killed")
    with pytest.raises(KilledError):
        make_loop(Interrupting(pretraining_job(), kill_at=9), directory).run()
    names = sorted(path.name for path in (directory / "checkpoints").iterdir())
    assert names == ["step-000004", "step-000008"]
    return directory


def delete(path):
    path.unlink()


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    "name", ["model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"]
)
@pytest.mark.parametrize("damage", [delete, cut, flip_a_bit])
def test_a_damaged_newest_checkpoint_is_skipped_with_one_message(
    killed_in_step_9, unbroken_last, name, damage, tmp_path
):
    directory = tmp_path / "run"
    shutil.copytree(killed_in_step_9, directory)
    damage(directory / "checkpoints" / "step-000008" / name)
    messages, job = [], pretraining_job()
    result = make_loop(job, directory, messages=messages).run()
    assert len(messages) == 2
    assert messages[0].startswith("skipping checkpoint ")
    assert "step-000008: " in messages[0]
    assert messages[1] == "going on at step 4 of 12"
    assert (weights(job.model), metrics_text(directory), result) == unbroken_last


def test_with_all_checkpoints_damaged_the_run_begins_again(killed_in_step_9, unbroken_last, tmp_path):
    directory = tmp_path / "run"
    shutil.copytree(killed_in_step_9, directory)
    for path in (directory / "checkpoints").glob("*/model.safetensors"):
        flip_a_bit(path)
    messages, job = [], pretraining_job()
    result = make_loop(job, directory, messages=messages).run()
    assert [message.split()[0] for message in messages] == ["skipping", "skipping"]
    assert (weights(job.model), metrics_text(directory), result) == unbroken_last


def test_a_half_written_checkpoint_is_not_seen(killed_in_step_9, tmp_path):
    directory = tmp_path / "run"
    shutil.copytree(killed_in_step_9, directory)
    (directory / "checkpoints" / "step-000008").rename(
        directory / "checkpoints" / ".tmp-0123456789ab-step-000008"
    )
    messages = []
    make_loop(pretraining_job(), directory, messages=messages).run()
    assert messages == ["going on at step 4 of 12"]
    assert not list((directory / "checkpoints").glob(".*"))


def test_a_torn_last_line_of_the_log_is_dropped(killed_in_step_9, unbroken_last, tmp_path):
    directory = tmp_path / "run"
    shutil.copytree(killed_in_step_9, directory)
    with (directory / "metrics.jsonl").open("ab") as stream:
        stream.write(b'{"step": 10, "loss": 0.\xc3')
    make_loop(pretraining_job(), directory).run()
    assert metrics_text(directory) == unbroken_last[1]


# --- validation, best weights, early stops ---


def test_the_best_weights_are_left_in_the_model(tmp_path):
    job = ScriptedJob([3.0, 1.0, 2.0])
    result = make_loop(job, tmp_path, final_weights="best", keep_num_checkpoints=1).run()
    assert (result.best_step, result.best_loss, result.weights_step, result.num_steps) == (8, 1.0, 8, 12)
    assert job.model.weight.item() == job.weights_at_validation[1]
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "step-000008",
        "step-000012",
    ]


def test_with_nothing_held_out_the_last_weights_are_left_and_it_is_said(tmp_path):
    messages = []
    result = make_loop(ScriptedJob(), tmp_path, messages=messages, final_weights="best").run()
    assert (result.best_step, result.weights_step) == (None, 12)
    assert messages == ["keeping the last weights: nothing was held out that could tell the best"]


def test_the_last_weights_are_left_in_the_model(tmp_path):
    job = ScriptedJob([3.0, 1.0, 2.0])
    result = make_loop(job, tmp_path, keep_num_checkpoints=1).run()
    assert (result.best_step, result.weights_step) == (8, 12)
    assert job.model.weight.item() == job.weights_at_validation[2]
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-000012"]


def test_the_first_of_equal_losses_is_the_best(tmp_path):
    assert make_loop(ScriptedJob([2.0, 1.0, 1.0]), tmp_path).run().best_step == 8


@pytest.mark.parametrize("damage", [flip_a_bit, delete])
def test_a_damaged_best_checkpoint_leaves_the_last_weights_and_says_so(tmp_path, damage):
    make_loop(ScriptedJob([3.0, 1.0, 2.0]), tmp_path, final_weights="best").run()
    damage(tmp_path / "checkpoints" / "step-000008" / "model.safetensors")
    messages, job = [], ScriptedJob()
    result = make_loop(job, tmp_path, final_weights="best", messages=messages).run()
    assert result.weights_step == 12
    assert messages[-1].startswith("keeping the last weights: the best checkpoint ")


def test_patience_ends_the_run_and_stays_ended(tmp_path):
    messages, job = [], ScriptedJob([3.0, 1.0, 2.0, 1.0, 0.5])
    options = {"num_steps": 100, "early_stopping_patience": 2, "final_weights": "best"}
    result = make_loop(job, tmp_path, messages=messages, **options).run()
    assert (result.num_steps, result.best_step, result.weights_step) == (16, 8, 8)
    assert messages == ["stopped early at step 16: 2 validations without a better loss"]
    again = ScriptedJob([0.1] * 9)
    assert make_loop(again, tmp_path, **options).run() == result
    assert again.model.weight.item() == job.model.weight.item()


def test_patience_counts_over_an_interruption(tmp_path):
    options = {"num_steps": 100, "early_stopping_patience": 2}
    stop = StopRequest()
    with pytest.raises(InterruptedRunError, match="saved step 10 of 100"):
        make_loop(
            Interrupting(ScriptedJob([1.0, 2.0]), stop=stop, stop_at=9), tmp_path, stop=stop, **options
        ).run()
    assert make_loop(ScriptedJob([2.0]), tmp_path, **options).run().num_steps == 12


def test_without_held_out_videos_there_is_no_best(tmp_path):
    result = make_loop(ScriptedJob(), tmp_path, final_weights="best", early_stopping_patience=1).run()
    assert (result.best_step, result.best_loss, result.weights_step) == (None, None, 12)


def test_validation_runs_in_evaluation_mode_and_training_goes_on_after_it(tmp_path):
    job, modes = pretraining_job(), []
    validate, forward = job.validate, job.forward
    job.validate = lambda **more: modes.append(("validate", job.model.training)) or validate(**more)
    job.forward = lambda batch, **more: modes.append(("step", job.model.training)) or forward(batch, **more)
    make_loop(job, tmp_path).run()
    assert set(modes) == {("validate", False), ("step", True)}


# --- numbers that are none ---


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_good_checkpoint(tmp_path):
    with pytest.raises(NonFiniteLossError, match="loss of step 7 is nan") as caught:
        make_loop(ScriptedJob(losses={6: float("nan")}), tmp_path, optimizer=CONSTANT).run()
    assert caught.value.at == str(tmp_path)
    assert "the last good checkpoint is kept: step-000004" in caught.value.what
    assert "--set finetune.optimizer.learning_rate=" in caught.value.fix
    messages = []
    make_loop(ScriptedJob(), tmp_path, messages=messages, optimizer=CONSTANT).run()
    assert messages == ["going on at step 4 of 12"]


def test_a_gradient_that_is_no_number_never_reaches_the_weights(tmp_path):
    """The loss is still fine in that step: without the check its checkpoint would hold nothing but NaN."""

    class InfiniteGradient(ScriptedJob):
        def forward(self, batch, *, counts):
            report = super().forward(batch, counts=counts)
            return (
                report
                if batch.step != 7
                else type(report)(loss=torch.sqrt(self.model.weight.sum() * 0), metrics={})
            )

    with pytest.raises(NonFiniteLossError, match="gradient of step 8 is nan"):
        make_loop(InfiniteGradient(), tmp_path).run()
    job = ScriptedJob()
    make_loop(job, tmp_path).run()
    assert np.isfinite(job.model.weight.item())


def test_a_held_out_loss_that_is_no_number_is_not_the_best(tmp_path):
    with pytest.raises(NonFiniteLossError, match="held-out loss of step 4 is nan"):
        make_loop(ScriptedJob([float("nan"), 1.0, 1.0]), tmp_path).run()


# --- steps ---


def test_gradients_are_clipped(tmp_path):
    job = ScriptedJob(losses=dict.fromkeys(range(12), 1000.0))
    seen = []
    plain = torch.optim.AdamW.step

    class Looking(torch.optim.AdamW):
        def step(self, closure=None):
            seen.append(float(job.model.weight.grad.norm()))
            return plain(self, closure)

    loop = make_loop(job, tmp_path, optimizer=OptimizerOptions(learning_rate=1e-2, max_gradient_norm=0.25))
    loop._optimizer.__class__ = Looking
    loop.run()
    assert seen == pytest.approx([0.25] * 12)


def test_progress_is_reported_with_every_logged_line(tmp_path):
    progress = []
    make_loop(ScriptedJob(), tmp_path, progress=progress).run()
    assert [(news.step, news.num_steps) for news in progress] == [(3, 12), (6, 12), (9, 12), (12, 12)]
    assert all(news.steps_per_second > 0 for news in progress)


def test_training_lowers_the_loss(tmp_path):
    job = pretraining_job()
    make_loop(job, tmp_path, num_steps=40, validate_every_steps=20).run()
    found = [
        json.loads(line)["validation"]["loss"]
        for line in metrics_text(tmp_path).splitlines()
        if "validation" in line
    ]
    assert found[-1] < found[0]


def test_training_in_bfloat16_lowers_the_loss_and_float16_is_refused(tmp_path):
    """A score's gradient is its share over the number of positions: 1 / (51,000 * 1,000) is zero in float16."""
    assert torch.tensor(1 / 51e6).half() == 0
    job = pretraining_job()
    make_loop(job, tmp_path, num_steps=40, validate_every_steps=20, precision="bfloat16").run()
    found = [json.loads(line) for line in metrics_text(tmp_path).splitlines() if "validation" in line]
    assert found[-1]["validation"]["loss"] < found[0]["validation"]["loss"]
    assert {tensor.dtype for tensor in job.model.state_dict().values()} == {torch.float32}
    with pytest.raises(ValidationError, match="'auto', 'float32' or 'bfloat16'"):
        LoopOptions(precision="float16")


def test_the_frozen_rows_do_not_move(tmp_path):
    assert not CONFIG.train_visual_embeddings
    job = pretraining_job()
    before = weights(job.model)
    make_loop(job, tmp_path).run()
    after = weights(job.model)
    same = {name for name in before if before[name] == after[name]}
    assert same == {
        "bert.embeddings.visual_embeddings.weight",
        "bert.pooler.dense.weight",
        "bert.pooler.dense.bias",
    }
    assert LOOP["num_steps"] == 12

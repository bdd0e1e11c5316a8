"""Two ranks train the model of one: the same batches, losses and weights, within rounding, however they share it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from executable import environment
from hypothesis import given, settings
from hypothesis import strategies as st
from rank_jobs import NO_DROPOUT, PLANS, job_of, train
from training_samples import make_loop, pretraining_job

from videobert_cli.core.training.job import merged
from videobert_cli.core.training.ranks import TrainingRanks
from videobert_cli.ranks import Ranks

RELATIVE = 1e-5


def losses(folder, *, key="loss"):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line[key] for line in lines if key in line}


# --- without processes ---


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 20), st.integers(1, 9), st.integers(1, 5), st.integers(1, 4))
def test_the_losses_and_gradients_of_all_shares_sum_to_the_batchs(step, num_sequences, num_ranks, num_parts):
    job = pretraining_job(batch_num_sequences=num_sequences, config=NO_DROPOUT)
    batch = job.batch(step, first_sequence=0)
    counts = job.counts(batch)
    whole = job.forward(batch, counts=counts)
    whole.loss.backward()
    expected = {name: p.grad.clone() for name, p in job.model.named_parameters() if p.grad is not None}
    job.model.zero_grad()
    loss, tallies = 0.0, []
    for index in range(num_ranks):
        rank = Ranks()
        rank.index, rank.num = index, num_ranks
        for part in TrainingRanks(rank).parts(batch, num_parts=num_parts):
            report = job.forward(part, counts=counts)
            report.loss.backward()
            loss += float(report.loss.detach())
            tallies.append(report.metrics)
    assert loss == pytest.approx(float(whole.loss.detach()), rel=RELATIVE)
    for name, tally in merged(tallies).items():
        assert tally.count == whole.metrics[name].count
        assert tally.mean == pytest.approx(whole.metrics[name].mean, rel=RELATIVE)
    for name, parameter in job.model.named_parameters():
        if name in expected:
            torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-4, atol=1e-6, msg=name)


def test_all_ranks_run_the_model_equally_often():
    job = pretraining_job(batch_num_sequences=3)
    batch = job.batch(0, first_sequence=0)
    for num_parts in range(1, 8):
        numbers = []
        for index in range(4):
            rank = Ranks()
            rank.index, rank.num = index, 4
            numbers.append(len(TrainingRanks(rank).parts(batch, num_parts=num_parts)))
        assert set(numbers) == {-(-num_parts // 4)}


# --- two processes ---


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory):
    """A folder in which two ranks have trained every plan."""
    folder = tmp_path_factory.mktemp("ranks")
    script = Path(__file__).with_name("rank_jobs.py")
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", script, folder],
        env=environment(PYTHONPATH=paths), capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("plan", PLANS)
def test_two_ranks_end_where_one_does(two_ranks, tmp_path, plan):
    model = train(plan, tmp_path, ranks=Ranks())
    ours, theirs = losses(two_ranks / plan), losses(tmp_path)
    assert list(ours) == list(theirs) == list(range(1, 13))
    assert list(ours.values()) == pytest.approx(list(theirs.values()), rel=RELATIVE)
    ours, theirs = (losses(folder, key="validation") for folder in (two_ranks / plan, tmp_path))
    assert list(ours) == [4, 8, 12]
    for step, metrics in ours.items():
        assert metrics == pytest.approx(theirs[step], rel=RELATIVE)
    saved = torch.load(two_ranks / f"{plan}.pt")
    for name, tensor in model.state_dict().items():
        # A key's bias changes no attention: its gradient is rounding alone, and AdamW makes whole steps of it.
        if name.endswith("attention.self.key.bias"):
            continue
        torch.testing.assert_close(saved[name], tensor, rtol=1e-3, atol=2e-5, msg=name)
    found = {path.name for path in (two_ranks / plan / "checkpoints").iterdir()}
    assert found == {path.name for path in (tmp_path / "checkpoints").iterdir()}


@pytest.mark.slow
def test_a_stop_of_one_rank_stops_all_after_the_same_step_and_one_process_goes_on(two_ranks, tmp_path):
    assert json.loads((two_ranks / "found.json").read_text())["stopped"] == [7, 7]
    messages = []
    job, options, _ = job_of("in_parts", ranks=Ranks())
    make_loop(job, two_ranks / "stopped", messages=messages, **options).run()
    assert messages[0] == "going on at step 7 of 12"
    whole = losses(two_ranks / "in_parts")
    assert losses(two_ranks / "stopped") == pytest.approx(whole, rel=RELATIVE)


@pytest.mark.slow
def test_a_loss_that_is_no_number_on_one_rank_stops_all(two_ranks):
    found = json.loads((two_ranks / "found.json").read_text())["blown_up"]
    assert [what.partition(";")[0] for what in found] == ["the loss of step 4 is nan"] * 2
    names = sorted(path.name for path in (two_ranks / "blown_up" / "checkpoints").glob("step-*"))
    assert not names
    assert np.isfinite(list(losses(two_ranks / "blown_up").values())).all()

"""A batch in parts: the same gradients, the same log and the same held-out numbers, and where memory runs out, more parts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from executable import lasting_metrics
from test_caption_job import caption_job
from test_objectives import classification_job
from test_retrieval_job import retrieval_job
from training_samples import (
    Interrupting,
    KilledError,
    make_loop,
    pretraining_job,
    weights,
)

JOBS = {
    "pretrain": pretraining_job,
    "finetune": classification_job,
    "retrieval": retrieval_job,
    "caption": caption_job,
}


def gradients(job, *, num_parts, step=3):
    job.model.eval()
    batch = job.batch(step, first_sequence=0)
    counts = job.counts(batch)
    parts = batch.split(num_parts)
    assert sum(part.num_sequences for part in parts) == batch.num_sequences
    loss = 0.0
    for part in parts:
        report = job.forward(part, counts=counts)
        loss += float(report.loss.detach())
        report.loss.backward()
    return loss, {name: p.grad for name, p in job.model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("kind", JOBS)
@pytest.mark.parametrize("num_parts", [2, 3, 4])
def test_the_parts_gradients_sum_to_those_of_the_batch(kind, num_parts):
    loss, whole = gradients(JOBS[kind](), num_parts=1)
    loss_of_parts, summed = gradients(JOBS[kind](), num_parts=num_parts)
    assert loss_of_parts == pytest.approx(loss, rel=1e-5)
    assert summed.keys() == whole.keys()
    for name, gradient in whole.items():
        torch.testing.assert_close(summed[name], gradient, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("kind", JOBS)
def test_held_out_numbers_do_not_depend_on_the_parts(kind):
    job = JOBS[kind]()
    job.model.eval()
    with torch.no_grad():
        whole, parts = job.validate(num_parts=1), job.validate(num_parts=3)
    assert parts == pytest.approx(whole, rel=1e-5)


def logged(directory):
    return [json.loads(line) for line in lasting_metrics(directory / "metrics.jsonl").splitlines()]


def test_a_run_in_micro_batches_resumes_exactly_and_logs_what_one_batch_would(tmp_path):
    run = {"num_micro_batches": 3}
    make_loop(whole := pretraining_job(), tmp_path / "whole", **run).run()
    with pytest.raises(KilledError):
        make_loop(Interrupting(pretraining_job(), kill_at=7), tmp_path / "broken", **run).run()
    make_loop(rest := pretraining_job(), tmp_path / "broken", **run).run()
    assert weights(rest.model) == weights(whole.model)
    assert logged(tmp_path / "whole") == logged(tmp_path / "broken")
    make_loop(pretraining_job(), tmp_path / "at once").run()
    # Dropout draws differ, so only what is counted is the same.
    assert [line.keys() for line in logged(tmp_path / "whole")] == [
        line.keys() for line in logged(tmp_path / "at once")
    ]


# --- memory that runs out: in a child, under a real limit ---

UNDER_A_LIMIT = """
import json, resource, sys
from dataclasses import replace
from pathlib import Path
import torch
import training_samples
from training_samples import CONFIG, LOOP, Interrupting, KilledError, make_loop, pretraining_job, sequences
from videobert_cli.errors import ResourceError

directory, (room, batch_size, kill_at, width) = Path(sys.argv[1]), map(int, sys.argv[2:])
training_samples.CONFIG = replace(
    CONFIG, hidden_size=width, intermediate_size=4 * width, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
)
make_loop(pretraining_job(), directory / "warm", num_steps=1).run()  # libraries and thread pools are there now
job = pretraining_job(batch_num_sequences=batch_size, held_out=None, samples=sequences(40, seed=1))
if room:
    used = int(next(l for l in open("/proc/self/status") if l.startswith("VmSize")).split()[1]) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (used + room, used + room))
messages = []
loop = {"num_steps": 2, "save_every_steps": 1, "log_every_steps": 1, "batch_num_sequences": batch_size}
try:
    make_loop(Interrupting(job, kill_at=kill_at), directory / "run", messages=messages, **loop).run()
    error = None
except KilledError:
    error = "killed"
except ResourceError as caught:
    error = [caught.what, caught.fix]
torch.save({k: v for k, v in job.model.state_dict().items()}, directory / "weights.pt")
print(json.dumps({"messages": messages, "error": error}))
"""


def under_a_limit(directory, *, room, batch_size=1500, kill_at=-1, width=128):
    """Two steps in a process that may take `room` bytes more than it has; 0 is no limit."""
    directory.mkdir(exist_ok=True)
    tests = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", UNDER_A_LIMIT, str(directory), *map(str, (room, batch_size, kill_at, width))],
        env={**os.environ, "PYTHONPATH": f"{tests.parent}:{tests}:{tests / 'training'}", "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), torch.load(directory / "weights.pt", weights_only=True)


needs_a_limit = pytest.mark.skipif(
    not Path("/proc/self/status").is_file(), reason="needs a limit on the address space"
)


@pytest.mark.slow
@needs_a_limit
def test_a_step_that_memory_cannot_hold_is_done_again_in_parts(tmp_path):
    told, free = under_a_limit(tmp_path / "free", room=0)
    assert told == {"messages": [], "error": None}
    told, _ = under_a_limit(tmp_path / "tight", room=170 << 20, kill_at=1)
    assert told["error"] == "killed"
    assert told["messages"]
    assert all("memory ran out in step 1: it is done again in " in message for message in told["messages"])
    assert "--set finetune.loop.num_micro_batches=2" in told["messages"][0]
    told, tight = under_a_limit(tmp_path / "tight", room=170 << 20)
    assert told == {"messages": ["going on at step 1 of 2"], "error": None}, "the checkpoint has forgotten it"
    for name, tensor in free.items():
        torch.testing.assert_close(tight[name], tensor, rtol=0, atol=2e-3, msg=name)


@pytest.mark.slow
@needs_a_limit
def test_where_one_sequence_is_too_much_it_says_what_would_help(tmp_path):
    told, _ = under_a_limit(tmp_path, room=12 << 20, batch_size=4, width=768)
    assert told["error"][0].startswith("memory ran out in step 1 with one sequence at a time (")
    assert "a larger machine" in told["error"][1]
    assert [message.split(" micro-batches")[0][-1] for message in told["messages"]] == ["2", "4"]

"""What test_ranks.py runs on two ranks, and alone: a script for `torchrun`, its argument the folder to write in."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
from training_samples import CONFIG, Interrupting, make_loop, pretraining_job, sequences

from videobert_cli.core.training.ranks import TrainingRanks
from videobert_cli.errors import InterruptedRunError, NonFiniteLossError
from videobert_cli.ranks import launched_ranks
from videobert_cli.runtime import StopRequest

# Each rank draws a dropout of its own: without it the number of ranks is no part of the result.
NO_DROPOUT = replace(CONFIG, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
STEPS = {"log_every_steps": 1}
# By name: what is trained, how, and how its ranks share the model.
PLANS = {
    "sequences": ({"batch_num_sequences": 5}, STEPS, "none"),
    "tokens": ({"max_num_tokens": 90}, {**STEPS, "num_micro_batches": 4}, "none"),
    "per_modality": ({"config": replace(NO_DROPOUT, softmax="per_modality")}, STEPS, "none"),
    # One sequence a batch: a rank has none of its own.
    "fewer_than_ranks": ({"batch_num_sequences": 1}, STEPS, "none"),
    "in_parts": ({"batch_num_sequences": 5}, {**STEPS, "num_micro_batches": 4, "final_weights": "best", "ema_decay": 0.9}, "full"),
}  # fmt: skip


def job_of(plan, *, ranks):
    changes, options, sharding = PLANS[plan]
    together = TrainingRanks(ranks, sharding=sharding)
    given = {"config": NO_DROPOUT, "held_out": sequences(3, seed=2), "samples": sequences(6, seed=1)}
    return pretraining_job(**{**given, **changes}, ranks=together), options, together


def train(plan, folder, *, ranks):
    """Train a plan to its end in `folder` and return the model with all its weights."""
    job, options, together = job_of(plan, ranks=ranks)
    make_loop(job, folder, ranks=together, **options).run()
    return together.whole(job.model)


def stopped(folder, *, ranks):
    """Train until rank 1 alone is asked to stop in step 6 (from 0); return the steps done on every rank."""
    job, options, together = job_of("in_parts", ranks=ranks)
    stop = StopRequest()
    asked = Interrupting(job, stop=stop, stop_at=6 if ranks.index else None)
    loop = make_loop(asked, folder, stop=stop, ranks=together, **options)
    try:
        loop.run()
    except InterruptedRunError:
        return ranks.gather(loop._state.step)
    raise AssertionError("nobody stopped")


def blown_up(folder, *, ranks):
    """Train with a loss that is no number on rank 1 alone in step 3; return what every rank says."""
    job, options, together = job_of("sequences", ranks=ranks)
    forward = job.forward

    def bad(batch, *, counts):
        report = forward(batch, counts=counts)
        return replace(report, loss=report.loss * float("nan")) if bad.step == 3 and ranks.index else report

    batch = job.batch
    job.batch = lambda step, **more: setattr(bad, "step", step) or batch(step, **more)
    job.forward = bad
    try:
        make_loop(job, folder, ranks=together, **options).run()
    except NonFiniteLossError as error:
        return ranks.gather(error.what)
    raise AssertionError("nobody noticed")


def main(folder):
    with launched_ranks() as ranks:
        found = {}
        for plan in PLANS:
            model = train(plan, folder / plan, ranks=ranks)
            if ranks.is_first:
                torch.save(model.state_dict(), folder / f"{plan}.pt")
        found["stopped"] = stopped(folder / "stopped", ranks=ranks)
        found["blown_up"] = blown_up(folder / "blown_up", ranks=ranks)
        if ranks.is_first:
            (folder / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

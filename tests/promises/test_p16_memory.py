"""P16, P31: memory that runs out and numbers that are none end with a reason and a way on, never with a traceback."""

from pathlib import Path

import pytest
from executable import FinishedRun, shell

pytestmark = pytest.mark.slow
NO_PRETRAINING = ("pretrain", "finetune", "evaluate*")
# As `prlimit --as=3000000000` does it, in the shell's own words.
LIMITED = ("bash", "-c", 'ulimit -v 2929687; exec "$@"', "-")


def test_p16_a_step_beyond_all_memory_is_refused_with_a_smaller_one(
    finished_run: FinishedRun, tmp_path: Path
) -> None:
    finished_run.copy(tmp_path, without=NO_PRETRAINING)
    greedy = ("--set", "pretrain.batch_num_tokens=99999999")
    outcome = shell("pretrain", "tiny.yaml", *greedy, folder=tmp_path, through=LIMITED)
    assert outcome.exit_code == 5, outcome.err
    assert outcome.error_lines[0].startswith("error: a step of 99,999,999 tokens takes at least 6.4 GB, ")
    assert outcome.error_lines[2] == "  fix: take fewer at once: --set pretrain.batch_num_tokens=8192"
    assert "Traceback" not in outcome.err


def test_p16_a_step_that_does_not_fit_is_done_in_parts_and_says_so(
    finished_run: FinishedRun, tmp_path: Path
) -> None:
    finished_run.copy(tmp_path, without=NO_PRETRAINING)
    flags = [
        part
        for setting in ("loop.num_steps=1", "loop.batch_num_sequences=3000", "model.hidden_size=256",
                        "model.intermediate_size=1024", "model.num_layers=2")
        for part in ("--set", f"pretrain.{setting}")
    ]  # fmt: skip
    outcome = shell("pretrain", "tiny.yaml", *flags, folder=tmp_path, through=LIMITED)
    assert outcome.exit_code == 0, outcome.err
    assert "pretrain: memory ran out in step 1: it is done again in 2 micro-batches" in outcome.err
    assert "--set pretrain.loop.num_micro_batches=2" in outcome.err
    assert "Traceback" not in outcome.err


def test_p31_a_loss_that_is_no_number_stops_and_the_last_good_checkpoint_goes_on(
    finished_run: FinishedRun, tmp_path: Path
) -> None:
    finished_run.copy(tmp_path, without=NO_PRETRAINING)
    wild = [
        part
        for setting in ("optimizer.name=sgd", "optimizer.learning_rate=1.0", "optimizer.schedule=constant",
                        "optimizer.max_gradient_norm=1e30", "loop.num_steps=3000", "loop.save_every_steps=1")
        for part in ("--set", f"pretrain.{setting}")
    ]  # fmt: skip
    outcome = shell("pretrain", "tiny.yaml", *wild, folder=tmp_path)
    assert outcome.exit_code == 3, outcome.err
    assert " of step " in outcome.error_lines[0]
    assert " kept" in outcome.error_lines[0]
    assert "--set pretrain.optimizer.learning_rate=" in outcome.error_lines[-1]
    assert "Traceback" not in outcome.err
    run = tmp_path / "runs" / "tiny"
    assert shell("verify", "runs/tiny", folder=tmp_path).exit_code == 0
    kept = max(int(path.name.removeprefix("step-")) for path in run.glob("pretrain/checkpoints/step-*"))
    again = shell("pretrain", "tiny.yaml", *wild, folder=tmp_path)
    assert f"going on at step {kept:,} of 3,000" in again.err
    assert again.error_lines == outcome.error_lines

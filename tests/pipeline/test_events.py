"""What is told of a training: one line for a pipe, rows for a screen, and the best of all processes that worked on it."""

import pytest
from tiny_stages import make_run

from videobert_cli.artifacts import append_line
from videobert_cli.core.training.loop import LoopProgress
from videobert_cli.pipeline.events import loop_events

METRICS = {
    "loss": 3.5,
    "text_loss": 1.25,
    "visual_loss": 2.0,
    "alignment_loss": 0.25,
    "text_accuracy": 0.5,
    "alignment_accuracy": 0.75,
    "alignment_accuracy_same_video": 0.6,
    "alignment_accuracy_aligned": 0.9,
}


@pytest.fixture
def run(tmp_path):
    run = make_run(tmp_path)
    run.told = []
    run.reporter.progress = lambda stage, **news: run.told.append((stage, news))
    return run


def progress(step):
    return LoopProgress(step=step, num_steps=100, metrics=METRICS, steps_per_second=2.5)


def test_a_training_is_told_in_a_line_and_in_rows(run):
    events = loop_events(run, "pretrain")
    events.on_start(0)
    events.on_record({"step": 10, "learning_rate": 1e-5, **METRICS})
    speed = {
        "tokens_per_second": 24310.4,
        "mfu": 0.31,
        "peak_flops_per_second": 989e12,
        "memory_bytes": 2_100_000_000,
    }
    events.on_record({"step": 10, "speed": speed})
    events.on_record(
        {
            "step": 10,
            "validation": {"loss": 4.0, "zero_shot.verb.top1": 0.5, "zero_shot.verb.top1.chance": 0.1},
        }
    )
    events.on_record({"step": 20, "validation": {"loss": 4.5}})
    events.on_progress(progress(20))
    ((stage, news),) = run.told
    assert (stage, news["done"], news["total"]) == ("pretrain", 20, 100)
    assert news["detail"] == (
        "24,310 tokens/s  2.5 steps/s  MFU 31.0% of 989 TFLOP/s  loss 3.500  text 1.250  visual 2.000  alignment 0.250"
        "  accuracy text 0.500  alignment 0.750  held out 4.500 at step 20, best 4.000 at step 10"
    )
    assert news["rows"] == [
        ("loss", "3.500  text 1.250  visual 2.000  alignment 0.250"),
        ("accuracy", "text 0.500  alignment 0.750"),
        ("alignment", "aligned 0.900  same video 0.600"),
        ("held out", "4.500 at step 20, best 4.000 at step 10"),
        ("zero-shot", "verb.top1 0.500"),
        ("speed", "24,310 tokens/s  2.5 steps/s  MFU 31.0% of 989 TFLOP/s  memory 2.1 GB  rate 1.00e-05"),
    ]


def test_a_training_that_goes_on_knows_the_best_of_before_and_not_its_speed(run):
    metrics = run.directory("pretrain") / "metrics.jsonl"
    append_line(metrics, {"step": 10, "speed": {"tokens_per_second": 5.0}})
    append_line(metrics, {"step": 10, "validation": {"loss": 1.5}})
    append_line(metrics, {"step": 30, "validation": {"loss": 0.5}})
    events = loop_events(run, "pretrain")
    events.on_start(20)
    events.on_progress(progress(25))
    rows = dict(run.told[0][1]["rows"])
    assert rows["held out"] == "1.500 at step 10, the best"
    assert rows["speed"] == "2.5 steps/s"


def test_a_training_without_validation_says_nothing_of_it(run):
    events = loop_events(run, "pretrain")
    events.on_progress(progress(1))
    assert "held out" not in run.told[0][1]["detail"]
    assert "held out" not in dict(run.told[0][1]["rows"])

"""The sinks: TensorBoard read back by its own reader, a kill and a resume, W&B offline, and packages that are missing."""

import importlib.util
import json
import sqlite3

import pytest
from training_samples import Interrupting, KilledError, make_loop, pretraining_job

from videobert_cli.core.training import sinks as sinks_module
from videobert_cli.core.training.finetune_options import FinetuneOptions
from videobert_cli.core.training.history import curves, read_records
from videobert_cli.core.training.options import LoopOptions, PretrainOptions
from videobert_cli.core.training.records import LoopEvents
from videobert_cli.core.training.sinks import Sinks, require_sinks
from videobert_cli.errors import UsageError

RECORDS = [
    {"step": 2, "learning_rate": 0.1, "loss": 3.0},
    {"step": 2, "speed": {"tokens_per_second": 100.0}},
    {"step": 4, "validation": {"loss": 2.5}},
]


def opened(directory, *names, problems=None):
    return Sinks(
        names,
        directory=directory,
        title="run pretrain",
        settings={"pretrain": {"loop": {"num_steps": 4}}},
        on_problem=(problems if problems is not None else []).append,
    )


def scalars(directory):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(directory), size_guidance={"scalars": 0})
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]
    }


def with_sinks(loop, sinks):
    """The loop with a sink in place of its events, as the pipeline gives it one."""
    loop._events = LoopEvents(
        on_progress=lambda _news: None,
        on_message=lambda _text: None,
        on_start=sinks.start,
        on_record=sinks.record,
        on_end=sinks.close,
    )
    loop._log._on_record = sinks.record
    return loop


@pytest.mark.slow
def test_tensorboard_shows_what_metrics_hold_also_after_a_kill(tmp_path):
    pytest.importorskip("tensorboard")
    broken = Interrupting(pretraining_job(), kill_at=7)
    with pytest.raises(KilledError):
        with_sinks(make_loop(broken, tmp_path), opened(tmp_path, "tensorboard")).run()
    with_sinks(make_loop(pretraining_job(), tmp_path), opened(tmp_path, "tensorboard")).run()
    found = scalars(tmp_path / "tensorboard")
    records = read_records(tmp_path / "metrics.jsonl")
    for part in ("training", "validation"):
        for name, points in curves(records, part).items():
            steps, values = zip(*points, strict=True)
            assert [step for step, _ in found[f"{part}/{name}"]] == list(steps), name
            assert [value for _, value in found[f"{part}/{name}"]] == pytest.approx(values, rel=1e-5)
    assert [step for step, _ in found["speed/tokens_per_second"]] == [3, 6, 9, 12]


def test_a_missing_package_is_told_with_what_installs_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name != "wandb" else object())
    with pytest.raises(
        UsageError, match="tensorboard and trackio cannot be logged to: not installed"
    ) as caught:
        require_sinks(("tensorboard", "trackio", "wandb"), key="pretrain.loop.log_to")
    assert caught.value.at == "pretrain.loop.log_to"
    assert "pip install 'videobert-cli[tensorboard,trackio]'" in caught.value.fix
    require_sinks(("wandb",), key="pretrain.loop.log_to")
    require_sinks((), key="pretrain.loop.log_to")


class Failing:
    """A sink whose service goes away, at the start or later."""

    fails_at = "write"

    def __init__(self, _directory, *, step):
        self._fail("open")

    def _fail(self, at):
        if at == self.fails_at:
            raise ConnectionError("the network is gone")

    def write(self, numbers, *, step):
        self._fail("write")

    def close(self):
        self._fail("close")


def test_a_sink_that_fails_later_is_told_once_and_the_training_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(sinks_module, "TensorBoardSink", Failing)
    problems = []
    sinks = opened(tmp_path, "tensorboard", problems=problems)
    loop = with_sinks(make_loop(pretraining_job(), tmp_path), sinks)
    assert loop.run().num_steps == 12
    assert problems == ["tensorboard takes no more numbers, the training goes on: the network is gone"]


def test_a_sink_that_cannot_be_opened_ends_it_at_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr(sinks_module, "TensorBoardSink", Failing)
    monkeypatch.setattr(Failing, "fails_at", "open")
    with pytest.raises(UsageError, match="tensorboard cannot be logged to: the network is gone"):
        opened(tmp_path, "tensorboard").start(0)


def log_all(directory, name):
    """What two processes log, one after the other, of one training."""
    problems = []
    for _ in range(2):
        sinks = opened(directory, name, problems=problems)
        sinks.start(0)
        for record in RECORDS:
            sinks.record(record)
        sinks.close()
    assert problems == []


@pytest.mark.full
def test_trackio_keeps_each_line_in_its_own_database_and_standard_output_stays_clean(
    tmp_path, monkeypatch, capfd
):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip("trackio", minversion="0.20")
    log_all(tmp_path, "trackio")
    assert capfd.readouterr().out == ""
    with sqlite3.connect(tmp_path / "trackio" / "videobert.db") as database:
        rows = database.execute("select run_name, step, metrics from metrics order by id").fetchall()
        runs = database.execute("select run_name from configs").fetchall()
    assert [(step, json.loads(numbers)) for _, step, numbers in rows[:3]] == [
        (2, {"training/learning_rate": 0.1, "training/loss": 3.0}),
        (2, {"speed/tokens_per_second": 100.0}),
        (4, {"validation/loss": 2.5}),
    ]
    # The second process goes on with the first one's run.
    assert len(set(runs)) == len({name for name, _, _ in rows}) == 1


@pytest.mark.full
def test_wandb_keeps_an_offline_run(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    log_all(tmp_path, "wandb")
    assert list(tmp_path.glob("wandb/offline-run-*/run-*.wandb"))


def test_where_it_is_logged_to_is_no_setting_of_the_model():
    logged = LoopOptions(log_to=("tensorboard",))
    for options in (PretrainOptions, FinetuneOptions):
        default = options().loop
        given = options(loop=default.model_copy(update={"log_to": logged.log_to}))
        assert given.remembered() == options().remembered()
        assert "log_to" not in given.remembered()["loop"]
        assert given.settings()["loop"]["log_to"] == ["tensorboard"]
    assert sinks_module.PROJECT == "videobert"

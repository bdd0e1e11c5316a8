"""The page of a stage's training: when it is due, of what it tells, and that it never costs a model."""

import json

import pytest
from tiny_stages import make_run

from videobert_cli.artifacts import append_line, publish_json, verify
from videobert_cli.errors import MissingInputError
from videobert_cli.pipeline import training_report
from videobert_cli.pipeline.training_report import is_report_due, look, make_report


@pytest.fixture
def run(tmp_path):
    run = make_run(tmp_path)
    directory = run.directory("pretrain")
    append_line(directory / "metrics.jsonl", {"step": 5, "loss": 2.0, "learning_rate": 0.1})
    settings = {"seed": 7, "pretrain": {"loop": {"num_steps": 40}}}
    record = {"settings": settings, "inputs": {}, "state": "started", "started_at": "2026-01-02 03:04:05 UTC"}
    publish_json(directory / "stage.json", record)
    publish_json(run.paths.root / "environment.json", {"gpu": "NVIDIA H100", "device": "cuda"})
    return run


def test_a_page_is_due_until_it_shows_all_that_was_logged(run):
    assert is_report_due(run, "pretrain")
    assert not is_report_due(run, "finetune")
    page = make_report(run, "pretrain")
    assert page == run.directory("pretrain") / "report" / "index.html"
    assert verify(page.parent) == []
    assert not is_report_due(run, "pretrain")
    append_line(run.directory("pretrain") / "metrics.jsonl", {"step": 10, "loss": 1.0})
    assert is_report_due(run, "pretrain")
    look(run, "pretrain")
    assert not is_report_due(run, "pretrain")


def test_a_page_is_of_what_the_stage_was_made_with(run):
    html = make_report(run, "pretrain").read_text()
    for text in ("NVIDIA H100", "2026-01-02 03:04:05 UTC", "num_steps: 40", ">7<"):
        assert text in html
    assert "This training of 40 steps was not finished when the page was made." in html
    path = run.directory("pretrain") / "stage.json"
    publish_json(path, {**json.loads(path.read_text()), "state": "finished"})
    assert "was not finished" not in make_report(run, "pretrain").read_text()


def test_nothing_logged_is_told(run):
    with pytest.raises(MissingInputError, match="finetune has not logged anything yet") as caught:
        make_report(run, "finetune")
    assert caught.value.fix.startswith("videobert finetune ")


def test_a_page_that_cannot_be_made_is_a_warning(run, monkeypatch):
    def fails(*_given, **_more):
        raise OSError("no room")

    monkeypatch.setattr(training_report, "training_page", fails)
    look(run, "pretrain")
    assert run.reporter.warnings == [
        "the report of pretrain could not be made, the model is not touched: OSError: no room"
    ]

"""A training watched from the command line: its page, at the end and at any time, and clean text in a pipe."""

import json
from pathlib import Path

from executable import FinishedRun, shell

NO_PRETRAINING = ("pretrain", "finetune", "evaluate*")


def test_each_training_has_its_page_and_a_second_command_nothing_to_do(finished_run: FinishedRun) -> None:
    for stage in ("pretrain", "finetune"):
        page = finished_run.root / stage / "report" / "index.html"
        assert "last held-out loss" in page.read_text()
        again = shell(stage, "tiny.yaml", "--json", folder=finished_run.folder)
        assert json.loads(again.out)["status"] == "nothing-to-do", again.err


def test_the_page_is_made_again_when_asked_for_and_when_it_is_gone(
    finished_run: FinishedRun, tmp_path: Path
) -> None:
    folder = finished_run.copy(tmp_path)
    page = folder / "runs/tiny/pretrain/report/index.html"
    page.unlink()
    asked = shell("pretrain", "tiny.yaml", "--report", folder=folder)
    assert asked.out == "report: runs/tiny/pretrain/report/index.html\n", asked.err
    assert page.is_file()
    none = shell("pretrain", "tiny.yaml", "--report", "--set", "run=runs/none", folder=folder)
    assert none.exit_code == 3
    assert none.error_lines[0] == "error: pretrain has not logged anything yet, so there is nothing to report"


def test_p49_a_training_in_a_pipe_is_plain_text(finished_run: FinishedRun, tmp_path: Path) -> None:
    folder = finished_run.copy(tmp_path, without=NO_PRETRAINING)
    outcome = shell("pretrain", "tiny.yaml", "-v", folder=folder)
    assert outcome.exit_code == 0, outcome.err
    assert all(char == "\n" or char.isprintable() for char in outcome.out + outcome.err)
    lines = [line for line in outcome.err.splitlines() if line.startswith("pretrain: ")]
    assert any("tokens/s" in line and "loss " in line and "held out " in line for line in lines), outcome.err
    quiet = shell("pretrain", "tiny.yaml", "-q", "--overwrite", "--seed", "3", folder=folder)
    assert quiet.err == ""


def test_a_package_that_is_missing_is_told_before_anything_is_made(
    finished_run: FinishedRun, tmp_path: Path, invoke, monkeypatch
) -> None:
    folder = finished_run.copy(tmp_path, without=("quantize", *NO_PRETRAINING))
    monkeypatch.chdir(folder)
    monkeypatch.setattr("videobert_cli.core.training.sinks.importlib.util.find_spec", lambda _name: None)
    outcome = invoke("pretrain", "tiny.yaml", "--set", "pretrain.loop.log_to=[tensorboard]")
    assert outcome.exit_code == 2
    assert outcome.error_lines[0] == "error: tensorboard cannot be logged to: not installed"
    assert "pip install 'videobert-cli[tensorboard]'" in outcome.err
    assert not (folder / "runs/tiny/quantize").exists()

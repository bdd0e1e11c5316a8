"""Heads of labels and the zero-shot probe, from the recipe to the answers, through the command line."""

import json
from pathlib import Path

import pytest
from executable import FinishedRun

HEADS = "[{column: verb, weight: 0.5}, {column: label, kind: multi, separator: ' '}]"
FLAGS = ("--set", f"pretrain.labels.heads={HEADS}", "--set", "evaluate.tasks=[zero_shot, labels]")


@pytest.fixture
def folder(finished_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like the finished run's, its models gone; the working directory."""
    monkeypatch.chdir(finished_run.copy(tmp_path, without=("pretrain", "finetune", "evaluate*")))
    return tmp_path


def validations(folder: Path) -> list[dict[str, float]]:
    lines = (folder / "runs/tiny/pretrain/metrics.jsonl").read_text().splitlines()
    return [line["validation"] for line in map(json.loads, lines) if "validation" in line]


def test_heads_are_trained_measured_and_asked(invoke, folder: Path) -> None:
    document = json.loads(invoke("evaluate", "tiny.yaml", *FLAGS, "--json").out)
    assert document["status"] == "done"
    metrics = document["metrics"]
    assert {"labels.verb.accuracy", "labels.label.micro_f1", "zero_shot.verb.top1"} <= set(metrics)
    assert not any(name.startswith("classify") for name in metrics)
    assert {"labels.verb.loss", "labels.verb.accuracy", "labels.label.micro_f1"} <= set(
        validations(folder)[-1]
    )
    model = "runs/tiny/pretrain/model"
    answer = json.loads(
        invoke("predict", "demo/videos/test-000.mp4", "--model", model, "--jsonl", "--top", "2").out
    )
    answers = answer["segments"][0]["answers"]
    assert list(answers) == ["verb", "object", "verb (head)", "label (head)"]
    assert len(answers["verb (head)"]) == 2
    elsewhere = invoke("evaluate", "tiny.yaml", *FLAGS, "--model", model)
    assert "verb.accuracy" in elsewhere.out
    # The heads stay behind when the model is fine-tuned.
    assert invoke("finetune", "tiny.yaml", *FLAGS).exit_code == 0
    stale = invoke("pretrain", "tiny.yaml", "--set", "pretrain.labels.heads=[{column: verb}]")
    assert stale.exit_code == 2
    assert 'pretrain.labels.heads: [{column: verb, kind: single, separator: "|", weight: 0.5},' in stale.err


def test_a_mistyped_column_is_found_before_anything_is_thrown_away(invoke, folder: Path) -> None:
    outcome = invoke(
        "pretrain", "tiny.yaml", "--set", "pretrain.labels.heads=[{column: verbs}]", "--overwrite"
    )
    assert outcome.exit_code == 3
    assert outcome.error_lines == [
        "error: no segment of the videos has a label in a column 'verbs'",
        "  at: pretrain.labels.heads",
        "  fix: the columns are: label, object, verb",
    ]


def test_the_last_probe_is_what_evaluate_finds_on_the_validation_videos(invoke, folder: Path) -> None:
    assert invoke("pretrain", "tiny.yaml").exit_code == 0
    probed = {name: value for name, value in validations(folder)[-1].items() if name.startswith("zero_shot")}
    flags = ("--set", "evaluate.split=validation", "--set", "evaluate.tasks=[zero_shot]", "--json")
    metrics = json.loads(invoke("evaluate", "tiny.yaml", *flags).out)["metrics"]
    assert probed == pytest.approx(metrics, rel=1e-5)
    assert probed["zero_shot.num_segments"] > 0


def test_the_probe_is_asked_as_often_as_the_recipe_says_and_is_no_setting_of_the_model(
    invoke, folder: Path
) -> None:
    each = ("--set", "pretrain.loop.validate_every_steps=3")
    assert (
        invoke("pretrain", "tiny.yaml", *each, "--set", "pretrain.probe.every_num_validations=2").exit_code
        == 0
    )
    assert ["zero_shot.verb.top1" in found for found in validations(folder)] == [False, True, False, True]
    again = invoke(
        "pretrain", "tiny.yaml", *each, "--set", "pretrain.probe.every_num_validations=0", "--json"
    )
    assert json.loads(again.out)["status"] == "nothing-to-do"


def test_without_labels_to_ask_about_the_probe_says_so(invoke, folder: Path) -> None:
    flags = ("--set", "evaluate.verb=nothing", "--set", "pretrain.loop.num_steps=2")
    outcome = invoke("pretrain", "tiny.yaml", *flags)
    assert outcome.exit_code == 0
    line = "pretrain: no zero-shot probe, as no validation segment has labels in nothing and object"
    assert line in outcome.err.splitlines()

"""Classifiers of several classes and of whole videos, from the recipe to the answers, through the command line."""

import json
from pathlib import Path

import pytest
from executable import FinishedRun

BASELINES = (
    "--set",
    "evaluate.tasks=[classify]",
    "--set",
    "evaluate.classify.baselines=[word_histogram, linear_probe]",
)
WHOLE = ("--set", "finetune.unit=video", "--set", "finetune.labels=multi")
MODEL = "runs/tiny/finetune/model"


@pytest.fixture
def folder(finished_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like the finished run's, its classifier gone; the working directory."""
    monkeypatch.chdir(finished_run.copy(tmp_path, without=("finetune", "evaluate*")))
    return tmp_path


def test_whole_videos_of_several_classes_are_learned_measured_and_asked(invoke, folder: Path) -> None:
    document = json.loads(invoke("evaluate", "tiny.yaml", *WHOLE, *BASELINES, "--json").out)
    metrics = document["metrics"]
    assert metrics["classify.num_videos"] == 2
    names = {f"classify.{name}" for name in ("micro_f1", "macro_f1", "mean_average_precision")}
    assert names | {f"{name}.{end}" for name in names for end in ("word_histogram", "linear_probe")} <= set(
        metrics
    )
    assert not (folder / "runs/tiny/evaluate/confusion_classify.png").exists()
    lines = (folder / "runs/tiny/finetune/metrics.jsonl").read_text().splitlines()
    held_out = [line["validation"] for line in map(json.loads, lines) if "validation" in line]
    assert set(held_out[-1]) == {"loss", "micro_f1"}
    config = json.loads((folder / MODEL / "config.json").read_text())
    assert config["problem_type"] == "multi_label_classification"
    shown = invoke("evaluate", "tiny.yaml", *WHOLE, *BASELINES).out.splitlines()
    assert shown[0] == "classification, 2 videos"
    assert "word histogram    raw features" in shown[1]
    video = ("predict", "demo/videos/test-000.mp4", "--model", MODEL)
    answer = json.loads(invoke(*video, "--jsonl", "--top", "8", "--explain", "occlusion").out)
    confidences = [each["confidence"] for each in answer["answers"]["verb (classified)"]]
    # Each class is for itself: they do not sum to one.
    assert sum(confidences) > 1.5
    assert {"answer", "clips"} <= answer["segments"][0]["explanations"]["verb (classified)"].keys()
    assert "  whole video, verb (classified) " in invoke(*video).out


def test_a_classifier_and_a_recipe_that_do_not_fit_are_told_apart(invoke, folder: Path) -> None:
    assert invoke("finetune", "tiny.yaml").exit_code == 0
    outcome = invoke("evaluate", "tiny.yaml", "--set", "finetune.labels=multi", "--model", MODEL)
    assert outcome.exit_code == 3
    assert outcome.error_lines == [
        "error: this model answers one class of each segment, and finetune.labels is multi",
        f"  at: {MODEL}",
        "  fix: --set finetune.labels=single",
    ]
    mixed = invoke("finetune", "tiny.yaml", "--set", "finetune.unit=video", "--overwrite")
    assert mixed.exit_code == 3
    assert mixed.error_lines[0].startswith("error: column 'verb' has several classes in one video, in ")
    # What was not asked for before is no other setting now.
    again = invoke("finetune", "tiny.yaml", "--set", "finetune.labels=single", "--json")
    assert json.loads(again.out)["status"] == "nothing-to-do"


def test_few_labels_ask_for_one_class(invoke, folder: Path) -> None:
    outcome = invoke("evaluate", "tiny.yaml", *WHOLE, "--set", "evaluate.tasks=[few_shot]")
    assert outcome.exit_code == 3
    assert (
        outcome.error_lines[0]
        == "error: few_shot learns one class of each segment, and finetune.labels is multi"
    )

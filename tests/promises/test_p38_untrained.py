"""P38: an untrained model scores at chance, in every task that asks a pretrained one."""

import json

import pytest

TASKS = "[zero_shot, forecast, text_to_video]"
CHOICES = ("zero_shot.verb.top1", "zero_shot.object.top1")
# It always says the same word, which is rarer than most or commoner: below chance is chance, too.
WORDS = (
    "forecast.horizon1.top1",
    "forecast.horizon2.top1",
    "text_to_video.top1",
)


@pytest.mark.slow
def test_p38_chance_lies_inside_the_reported_interval(invoke, finished_run, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(finished_run.copy(tmp_path, without=("evaluate", "finetune")))
    overrides = ("--set", f"evaluate.tasks={TASKS}", "--set", "evaluate.split=train")
    outcome = invoke("evaluate", "tiny.yaml", *overrides, "--init", "random", "--json")
    assert outcome.exit_code == 0, outcome.err
    document = json.loads(outcome.out)
    metrics = document["metrics"]
    for name in (*CHOICES, *WORDS):
        assert metrics[f"{name}.low"] <= metrics[f"{name}.chance"], (name, metrics[name])
    for name in CHOICES:
        assert metrics[f"{name}.chance"] <= metrics[f"{name}.high"], (name, metrics[name])
    # It is not the trained model that was measured, and that one is as it was.
    [evaluated] = tmp_path.glob("runs/tiny/evaluate-*")
    assert document["outputs"]["evaluate"] == str(evaluated.relative_to(tmp_path))
    again = invoke("evaluate", "tiny.yaml", *overrides, "--init", "random", "--json")
    assert json.loads(again.out)["status"] == "nothing-to-do"
    assert json.loads(again.out)["metrics"] == metrics

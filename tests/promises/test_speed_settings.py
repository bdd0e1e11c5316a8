"""What only changes how fast a model is made is no setting of it: the same run, whichever way."""

import json
from pathlib import Path

import pytest
from executable import FinishedRun, lasting_metrics, shell

NO_PRETRAINING = ("pretrain", "finetune", "evaluate*")
NAMES = ("pretrain/model/model.safetensors", "pretrain/model/manifest.json", "pretrain/metrics.jsonl")


@pytest.mark.slow
def test_recomputed_activations_give_the_same_bytes(finished_run: FinishedRun, tmp_path: Path) -> None:
    folder = finished_run.copy(tmp_path, without=NO_PRETRAINING)
    outcome = shell("pretrain", "tiny.yaml", "--set", "pretrain.activation_checkpointing=true", folder=folder)
    assert outcome.exit_code == 0, outcome.err
    for name in NAMES:
        made = folder / "runs" / "tiny" / name
        read = lasting_metrics if name.endswith("metrics.jsonl") else Path.read_bytes
        assert read(made) == read(finished_run.root / name), name
    again = shell("pretrain", "tiny.yaml", "--json", folder=folder)
    assert json.loads(again.out)["status"] == "nothing-to-do", again.err


@pytest.mark.slow
def test_compiled_layers_learn_the_same_to_rounding(finished_run: FinishedRun, tmp_path: Path) -> None:
    folder = finished_run.copy(tmp_path, without=NO_PRETRAINING)
    outcome = shell("pretrain", "tiny.yaml", "--set", "pretrain.compile=on", folder=folder)
    if "torch.compile does not work here" in outcome.err:
        pytest.skip(outcome.err)
    assert outcome.exit_code == 0, outcome.err
    first, compiled = (
        json.loads((root / "pretrain" / "metrics.jsonl").read_text().splitlines()[0])
        for root in (finished_run.root, folder / "runs" / "tiny")
    )
    assert compiled["step"] == first["step"]
    assert compiled["loss"] == pytest.approx(first["loss"], rel=0.05)
    again = shell("pretrain", "tiny.yaml", "--set", "pretrain.compile=off", "--json", folder=folder)
    assert json.loads(again.out)["status"] == "nothing-to-do", again.err


def test_a_word_that_is_no_choice_is_named(finished_run: FinishedRun) -> None:
    outcome = shell(
        "pretrain", "tiny.yaml", "--set", "pretrain.compile=yes", "--dry-run", folder=finished_run.folder
    )
    assert outcome.exit_code == 2
    assert "pretrain.compile" in outcome.err

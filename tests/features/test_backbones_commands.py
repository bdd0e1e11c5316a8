"""A model of transformers through the command line: extracted, trained on, carried along, asked without its source."""

import json
import shutil
from pathlib import Path

import pytest
from transformers_samples import NUM_FRAMES, make_model


@pytest.mark.slow
@pytest.mark.parametrize("name", ["videomae", "dinov2"])
def test_predict_needs_nothing_but_the_model_directory(
    finished_run, tmp_path, monkeypatch, invoke, name
) -> None:
    folder = finished_run.copy(
        tmp_path / "run", without=("extract", "quantize", "pretrain", "finetune", "evaluate")
    )
    monkeypatch.chdir(folder)
    source = make_model(tmp_path / "model", name)
    settings = (
        "run=runs/other",
        f"extract.backbone=transformers:{source}",
        f"extract.clip_num_frames={NUM_FRAMES - 1}",
    )
    short = invoke("pretrain", "tiny.yaml", *(part for setting in settings for part in ("--set", setting)))
    if name == "videomae":
        assert short.exit_code == 2
        assert short.error_lines[1] == "at: extract.clip_num_frames"
        assert f"--set extract.clip_num_frames={NUM_FRAMES}" in short.error_lines[2]
    trained = invoke(
        "pretrain",
        "tiny.yaml",
        *(part for setting in settings[:2] for part in ("--set", setting)),
        "--set",
        "run=runs/whole",
    )
    assert trained.exit_code == 0, trained.err
    shutil.rmtree(source)
    [config] = Path("runs/whole").rglob("backbone/config.json")
    predicted = invoke("predict", finished_run.video, "--model", config.parents[1], "--json")
    assert predicted.exit_code == 0, predicted.err
    assert json.loads(predicted.out)["status"] == "done"

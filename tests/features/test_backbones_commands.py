"""A model of transformers through the command line: extracted, trained on, carried along, asked without its source."""

import json
import shutil
from pathlib import Path

import pytest
from transformers_samples import make_model

STAGES = ("extract", "quantize", "pretrain", "finetune", "evaluate")


@pytest.fixture
def folder(finished_run, tmp_path, monkeypatch) -> Path:
    """A recipe and its corpus, nothing made yet."""
    folder = finished_run.copy(tmp_path / "run", without=STAGES)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", ["videomae", "dinov2"])
def test_predict_needs_nothing_but_the_model_directory(finished_run, folder, tmp_path, invoke, name) -> None:
    source = make_model(tmp_path / "model", name)
    settings = ("--set", "run=runs/whole", "--set", f"extract.backbone=transformers:{source}")
    trained = invoke("pretrain", "tiny.yaml", *settings)
    assert trained.exit_code == 0, trained.err
    shutil.rmtree(source)
    [config] = (folder / "runs" / "whole").rglob("backbone/config.json")
    predicted = invoke("predict", finished_run.video, "--model", config.parents[1], "--json")
    assert predicted.exit_code == 0, predicted.err
    assert json.loads(predicted.out)["status"] == "done"


@pytest.mark.slow
def test_clips_that_do_not_fit_are_refused_before_anything_is_written(folder, tmp_path, invoke) -> None:
    source = make_model(tmp_path / "model", "videomae")
    settings = ("run=runs/other", f"extract.backbone=transformers:{source}", "extract.clip_num_frames=3")
    refused = invoke("extract", "tiny.yaml", *(part for setting in settings for part in ("--set", setting)))
    assert refused.exit_code == 2
    what, at, fix = refused.error_lines
    assert what == "error: videomae takes 4 frames of a clip, and the recipe's clips have 3"
    assert at.strip() == "at: extract.clip_num_frames"
    assert fix.strip() == "fix: --set extract.clip_num_frames=4"
    assert not list((folder / "runs").rglob("store.json"))


@pytest.mark.slow
def test_named_videos_take_the_same_names_and_settings(short_clip, tmp_path, invoke) -> None:
    source = make_model(tmp_path / "model", "videomae", num_frames=32)
    flags = ("--out", tmp_path / "features", "--backbone", f"transformers:{source}")
    refused = invoke("extract", short_clip, *flags)
    assert refused.exit_code == 2
    assert refused.error_lines[2].strip() == (
        "fix: --set extract.clip_num_frames=32 --set extract.clip_stride_frames=32"
    )
    done = invoke(
        "extract", short_clip, *flags, *refused.error_lines[2].strip().removeprefix("fix: ").split()
    )
    assert done.exit_code == 0, done.err

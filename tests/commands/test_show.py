"""`videobert pretrain --show N`: sequences are printed and drawn, nothing is trained, no stage is changed."""

import json
import shutil

import pytest
from executable import snapshot
from pages import require_self_contained


@pytest.fixture
def folder(finished_run, tmp_path, monkeypatch):
    folder = finished_run.copy(tmp_path / "copy")
    monkeypatch.chdir(folder)
    return folder


def test_sequences_are_printed_and_drawn_and_no_stage_is_changed(folder, invoke):
    stages = folder / "runs" / "tiny"
    before = snapshot(stages)
    outcome = invoke("pretrain", "tiny.yaml", "--show", "3")
    assert outcome.exit_code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert [line.split(":")[0] for line in lines if line.startswith("sequence ")] == [
        "sequence 1",
        "sequence 2",
        "sequence 3",
    ]
    assert sum(line.startswith("  [CLS] ") for line in lines) == 3
    assert lines[-2].startswith("marks: [MASK=x] masked")
    assert lines[-1] == "page: runs/tiny/sequences.html"
    after = snapshot(stages)
    assert set(after) - set(before) == {"sequences.html"}
    assert {name: after[name] for name in before} == before
    parsed = require_self_contained((stages / "sequences.html").read_text())
    assert len(parsed.having("section")) == 3
    first = (stages / "sequences.html").read_bytes()
    assert invoke("pretrain", "tiny.yaml", "--show", "3").out == outcome.out
    assert (stages / "sequences.html").read_bytes() == first


def test_as_data_the_first_sequences_are_those_that_training_gets(folder, invoke):
    document = json.loads(invoke("pretrain", "tiny.yaml", "--show", "5", "--json").out)
    assert document["status"] == "done"
    assert document["outputs"]["page"] == "runs/tiny/sequences.html"
    sequences = document["outputs"]["sequences"]
    assert [sequence["number"] for sequence in sequences] == [1, 2, 3, 4, 5]
    for sequence in sequences:
        tokens = sequence["tokens"]
        assert (tokens[0]["token"], tokens[-1]["token"]) == ("[CLS]", "[SEP]")
        assert sequence["regime"] in {"text", "video", "video_text"}
        assert all((token["word"] is None) == (token["video"] is None) for token in tokens)
    few = json.loads(invoke("pretrain", "tiny.yaml", "--show", "2", "--json").out)
    assert few["outputs"]["sequences"] == sequences[:2]


def test_stages_before_are_made_or_refused_and_pretrain_never(folder, invoke):
    run = folder / "runs" / "tiny"
    shutil.rmtree(run / "quantize")
    shutil.rmtree(run / "pretrain")
    refused = invoke("pretrain", "tiny.yaml", "--show", "2", "--no-upstream")
    assert refused.exit_code == 3
    assert refused.error_lines[0] == "error: quantize is not finished, and --no-upstream forbids making it"
    assert not (run / "quantize").exists()
    made = invoke("pretrain", "tiny.yaml", "--show", "2")
    assert made.exit_code == 0, made.err
    assert (run / "quantize" / "words" / "manifest.json").is_file()
    assert not (run / "pretrain").exists()
    assert invoke("pretrain", "tiny.yaml", "--show", "2", "--no-upstream").exit_code == 0


def test_a_run_whose_survey_is_missing_gets_one(folder, invoke):
    shutil.rmtree(folder / "runs" / "tiny" / "quantize" / "survey")
    assert invoke("pretrain", "tiny.yaml", "--show", "1").exit_code == 0
    assert (folder / "runs" / "tiny" / "quantize" / "survey" / "manifest.json").is_file()


def test_flags_that_contradict_it_are_refused(invoke):
    for arguments in (("--show", "0"), ("--show", "x"), ("--show", "3", "--dry-run")):
        outcome = invoke("pretrain", "demo", *arguments)
        assert (outcome.exit_code, outcome.out) == (2, "")
        assert "--show" in outcome.err

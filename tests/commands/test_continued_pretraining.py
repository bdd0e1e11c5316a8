"""`pretrain.model.init: runs/old`: from the command line, with what it says of the words; refused with other words."""

import json
import shutil
from pathlib import Path

import pytest
from executable import FinishedRun

OLD = (
    "--set",
    "run=runs/new",
    "--set",
    "extract.codebook=runs/tiny",
    "--set",
    "pretrain.text.vocabulary=runs/tiny",
)
INIT = ("--set", "pretrain.model.init=runs/tiny")


@pytest.fixture(scope="module")
def folder(finished_run: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run.copy(tmp_path_factory.mktemp("continued"))


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def test_a_run_is_continued_and_the_words_are_compared(invoke, folder: Path) -> None:
    outcome = invoke("pretrain", "tiny.yaml", *OLD, *INIT, "--set", "extract.keep=both", "--json")
    assert outcome.exit_code == 0, outcome.err
    metrics = json.loads(outcome.out)["metrics"]
    # The same videos: the same usage.
    assert metrics["pretrain.word_shift.js_divergence"] == 0
    assert metrics["pretrain.word_shift.unused_share"] == 0
    # One held-out video fits less well than what was trained on; on some machines' last bits, not at all.
    explained_old = metrics["pretrain.word_shift.variance_explained_old"]
    assert explained_old < metrics["pretrain.word_shift.variance_explained_new"] < 1
    verdict, start = {
        True: ("codebook fits", "pretrain: the codebook fits the new data: "),
        False: (
            "unknown",
            "pretrain: whether the codebook still fits is not known: the words do not tell even",
        ),
    }[explained_old > 0]
    assert metrics["pretrain.word_shift.verdict"] == verdict
    report = json.loads((folder / "runs/new/pretrain/word_shift.json").read_text())
    old = json.loads((folder / "runs/tiny/pretrain/model/manifest.json").read_text())
    assert report["model"] == old["content_hash"]
    assert report["js_divergence"] == 0
    lines = [line for line in outcome.err.splitlines() if line.startswith("pretrain: ")]
    assert any(line.startswith("pretrain: word usage, new against old: 0.000 bits") for line in lines)
    assert any(line.startswith(start) for line in lines)
    usage = json.loads((folder / "runs/new/pretrain/model/word_usage.json").read_text())
    assert usage == json.loads((folder / "runs/tiny/pretrain/model/word_usage.json").read_text())


def test_with_words_alone_the_usage_is_told_and_the_rest_is_not_known(invoke, folder: Path) -> None:
    flags = (*OLD[2:], "--set", "run=runs/words", "--set", "extract.keep=words", *INIT, "--json")
    document = json.loads(invoke("pretrain", "tiny.yaml", *flags).out)
    assert document["metrics"]["pretrain.word_shift.verdict"] == "unknown"
    assert document["metrics"]["pretrain.word_shift.js_divergence"] == 0
    assert "pretrain.word_shift.explained_ratio" not in document["metrics"]


def test_an_earlier_model_that_does_not_tell_its_words_is_compared_by_its_codebook(
    invoke, folder: Path
) -> None:
    shutil.copytree("runs/tiny/pretrain/model", "plain")
    Path("plain/word_usage.json").unlink()
    flags = (
        *OLD[2:],
        "--set",
        "run=runs/plain",
        "--set",
        "extract.keep=words",
        "--set",
        "pretrain.model.init=plain",
    )
    document = json.loads(invoke("pretrain", "tiny.yaml", *flags, "--json").out)
    assert document["metrics"]["pretrain.word_shift.js_divergence"] == 0


def test_another_vocabulary_is_refused_with_the_way_to_the_old_one(invoke, folder: Path) -> None:
    flags = (
        "--set",
        "run=runs/other",
        "--set",
        "extract.keep=words",
        "--set",
        "extract.codebook=runs/tiny",
        *INIT,
    )
    outcome = invoke("pretrain", "tiny.yaml", *flags, "--set", "pretrain.text.corpus_min_count=5")
    assert outcome.exit_code == 3
    assert "--set pretrain.text.vocabulary=runs/tiny/pretrain/model" in outcome.error_lines[-1]


def test_from_scratch_nothing_is_compared(finished_run: FinishedRun) -> None:
    assert not (finished_run.root / "pretrain" / "word_shift.json").exists()
    assert (finished_run.root / "pretrain" / "model" / "word_usage.json").is_file()

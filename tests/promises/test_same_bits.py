"""The same seed gives the same bits, whatever the hash seed, the order of the inputs, the folder and the run's name."""

import csv
import json
import os
import random
import shutil
from pathlib import Path

from executable import FinishedRun, Outcome, lasting_metrics, shell

ARTIFACTS = ("extract/features", "quantize/codebook", "quantize/words", "pretrain/model", "finetune/model")


def _hashes(run: Path) -> dict[str, str]:
    return {
        name: json.loads((run / name / "manifest.json").read_text())["content_hash"] for name in ARTIFACTS
    }


def _shuffled_corpus(corpus: Path, target: Path, *, seed: int) -> None:
    """Copy the corpus in another order: the lines of its table, and the files as they come to the disk."""
    dice = random.Random(seed)
    files = sorted(path for path in corpus.rglob("*") if path.is_file() and path.name != "videos.csv")
    dice.shuffle(files)
    for path in files:
        copy = target / path.relative_to(corpus)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    with (corpus / "videos.csv").open(newline="") as file:
        header, *rows = list(csv.reader(file))
    dice.shuffle(rows)
    with (target / "videos.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def _answers(outcome: Outcome) -> object:
    """What `predict --json` says of the video, without where the model lies."""
    assert outcome.exit_code == 0, outcome.err
    document = json.loads(outcome.out)
    return document["outputs"]["timelines"], document["metrics"]


def test_p35_the_same_seed_gives_the_same_bits(finished_run: FinishedRun, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "elsewhere").mkdir()
    recipe = shutil.copy(finished_run.recipe, tmp_path / "project" / "tiny.yaml")
    _shuffled_corpus(finished_run.folder / "demo", tmp_path / "project" / "demo", seed=1)
    run = tmp_path / "of another name"
    settings = ["--set", f"run={run}", "--set", f"data.videos={tmp_path / 'project/demo/videos.csv'}"]
    for number, command in enumerate(("extract", "quantize", "pretrain", "finetune", "evaluate")):
        outcome = shell(
            command,
            os.fspath(recipe),
            *settings,
            folder=tmp_path / "elsewhere",
            PYTHONHASHSEED=str(number + 1),
        )
        assert outcome.exit_code == 0, outcome.err
    assert _hashes(run) == _hashes(finished_run.root)
    reports = [json.loads((root / "evaluate/report.json").read_text()) for root in (run, finished_run.root)]
    assert reports[0]["metrics"] == reports[1]["metrics"]
    for name in ("pretrain/metrics.jsonl", "finetune/metrics.jsonl"):
        assert lasting_metrics(run / name) == lasting_metrics(finished_run.root / name)
    asked = [
        shell("predict", str(finished_run.video), "--model", str(root), "--json", folder=tmp_path, PYTHONHASHSEED=seed)
        for root, seed in ((run, "7"), (finished_run.root, "8"))
    ]  # fmt: skip
    assert _answers(asked[0]) == _answers(asked[1])


def test_p35_another_seed_gives_other_bits(finished_run: FinishedRun, tmp_path: Path) -> None:
    finished_run.copy(tmp_path, without=("quantize", "pretrain", "finetune", "evaluate*"))
    outcome = shell("pretrain", "tiny.yaml", "--seed", "1", folder=tmp_path)
    assert outcome.exit_code == 0, outcome.err
    run = tmp_path / "runs" / "tiny"
    for name in ("quantize/codebook/manifest.json", "pretrain/model/manifest.json"):
        ours, theirs = (
            json.loads((root / name).read_text())["content_hash"] for root in (run, finished_run.root)
        )
        assert ours != theirs, name

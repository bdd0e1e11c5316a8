"""What has changed since is never silently used: settings, videos, bits on the disk."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from executable import FinishedRun

FEATURES = "extract/features/"


@pytest.fixture
def folder(finished_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like the finished run's, to be changed; the working directory."""
    monkeypatch.chdir(finished_run.copy(tmp_path))
    return tmp_path


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_stage_of_other_settings_is_refused_with_the_difference(invoke, finished_run, folder: Path) -> None:
    recipe = folder / "tiny.yaml"
    recipe.write_text(recipe.read_text().replace("num_levels: 2", "num_levels: 1"))
    outcome = invoke("evaluate", "tiny.yaml")
    ways_out = (
        "keep both: videobert evaluate tiny.yaml --set run=OTHER_DIR; "
        "or make quantize and what follows anew: the same command with --overwrite"
    )
    assert outcome.exit_code == 2
    assert outcome.error_lines == [
        "error: quantize was made from other settings or inputs than the recipe now asks for",
        "       quantize.num_levels: 2 (this run) -> 1 (tiny.yaml:8)",
        "  at: runs/tiny/quantize",
        f"  fix: {ways_out}",
    ]


def test_overwrite_makes_it_and_what_follows_anew(invoke, finished_run, folder: Path) -> None:
    arguments = ("pretrain", "tiny.yaml", "--set", "quantize.num_levels=1")
    assert invoke(*arguments).exit_code == 2
    outcome = invoke(*arguments, "--overwrite")
    assert outcome.exit_code == 0
    assert "extract   done before" in outcome.err
    assert "quantize: made from other settings or inputs; making it anew (--overwrite)" in outcome.err
    assert "pretrain: made from other settings or inputs; making it anew (--overwrite)" in outcome.err
    assert invoke(*arguments).exit_code == 0
    assert invoke("verify", "runs/tiny").exit_code == 0


def test_settings_of_later_stages_do_not_matter(invoke, finished_run, folder: Path) -> None:
    outcome = invoke("pretrain", "tiny.yaml", "--set", "finetune.loop.num_steps=99")
    assert (outcome.exit_code, "nothing to do" in outcome.out) == (0, True)


def test_no_upstream_refuses_to_make_what_is_missing(invoke, finished_run, folder: Path) -> None:
    shutil.rmtree(folder / "runs/tiny/quantize")
    outcome = invoke("pretrain", "tiny.yaml", "--no-upstream")
    assert outcome.exit_code == 3
    assert outcome.error_lines == [
        "error: quantize is not finished, and --no-upstream forbids making it",
        "  at: runs/tiny/quantize",
        "  fix: videobert quantize tiny.yaml",
    ]
    assert not (folder / "runs/tiny/quantize").exists()


def test_a_new_video_is_extracted_and_what_follows_is_stale(
    invoke, finished_run, folder: Path, short_clip
) -> None:
    (folder / "demo").unlink()
    shutil.copytree(finished_run.folder / "demo", folder / "demo")
    shutil.copy(short_clip, folder / "demo/videos/new.mp4")
    with (folder / "demo/videos.csv").open("a") as stream:
        stream.write("videos/new.mp4,,train,0,3,cut,egg,cut\n")
    outcome = invoke("quantize", "tiny.yaml")
    assert outcome.exit_code == 2
    assert "extract   8 videos, " in outcome.err
    assert outcome.error_lines[0].startswith("error: quantize was made from other settings or inputs")
    assert outcome.error_lines[1].startswith("       input features: ")
    assert invoke("quantize", "tiny.yaml", "--overwrite").exit_code == 0


DAMAGES = [
    ("pretrain/model/model.safetensors", "finetune", "finetune"),
    ("pretrain/model/codebook/centroids.safetensors", "finetune", "finetune"),
    ("quantize/words/words.safetensors", "pretrain", "pretrain"),
    ("quantize/codebook/centroids.safetensors", "pretrain", "pretrain"),
    (FEATURES, "quantize", "quantize"),
]


@pytest.mark.parametrize(("name", "removed", "command"), DAMAGES, ids=[row[0] for row in DAMAGES])
def test_p32_a_flipped_bit_is_found_and_not_used(
    invoke, finished_run, folder, name, removed, command
) -> None:
    run = folder / "runs/tiny"
    victim = next((run / FEATURES).rglob("*.safetensors")) if name == FEATURES else run / name
    _flip(victim)
    verified = invoke("verify", "runs/tiny")
    assert verified.exit_code == 3
    assert victim.name in verified.error_lines[0]
    shutil.rmtree(run / removed)
    used = invoke(command, "tiny.yaml")
    assert used.exit_code == 3
    assert victim.name in " ".join(used.error_lines)
    assert not (run / removed / "model").exists()


def test_a_vocabulary_that_was_changed_in_its_directory_makes_it_stale(
    invoke, finished_run: FinishedRun, folder: Path
) -> None:
    Path("words").mkdir()
    shutil.copy(finished_run.root / "pretrain/model/vocab.txt", "words/vocab.txt")
    flags = ("pretrain", "tiny.yaml", "--set", "pretrain.text.vocabulary=words")
    assert invoke(*flags, "--overwrite").exit_code == 0
    assert "nothing to do" in invoke(*flags).out
    with Path("words/vocab.txt").open("a") as stream:
        stream.write("brandnewword\n")
    outcome = invoke(*flags)
    assert outcome.exit_code == 2
    assert outcome.error_lines[1].startswith("       input vocabulary: ")


def test_p32_scores_that_were_changed_are_found(invoke, finished_run: FinishedRun, folder: Path) -> None:
    assert invoke("verify", "runs/tiny").exit_code == 0
    report = Path("runs/tiny/evaluate/report.json")
    report.write_text(report.read_text().replace("0.", "1."))
    outcome = invoke("verify", "runs/tiny")
    assert outcome.exit_code == 3
    assert str(report) in outcome.error_lines[0]
    shutil.rmtree(report.parent)
    assert invoke("evaluate", "tiny.yaml").exit_code == 0
    sealed = json.loads((report.parent / "manifest.json").read_text())
    ours = json.loads((finished_run.root / "evaluate" / "manifest.json").read_text())
    assert sealed["content_hash"] == ours["content_hash"]


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", [_flip, _cut, Path.unlink])
@pytest.mark.parametrize(
    "name", ["model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"]
)
def test_p4_a_torn_newest_checkpoint_is_skipped(
    invoke, finished_run: FinishedRun, folder: Path, name: str, damage: Callable[[Path], object]
) -> None:
    run = folder / "runs/tiny"
    shutil.rmtree(run / "pretrain/model")
    newest = sorted((run / "pretrain/checkpoints").glob("step-*"))[-1]
    damage(newest / name)
    outcome = invoke("pretrain", "tiny.yaml")
    assert outcome.exit_code == 0
    warnings = [line for line in outcome.err.splitlines() if "skipping checkpoint" in line]
    assert len(warnings) == 1
    assert f"/{newest.name}: " in warnings[0]
    assert name.removesuffix(".json") in warnings[0]
    assert "going on at step 10 of 12" in outcome.err
    ours, theirs = (root / "pretrain/model/model.safetensors" for root in (run, finished_run.root))
    assert ours.read_bytes() == theirs.read_bytes()


def test_p33_a_model_of_another_codebook_is_refused(invoke, finished_run: FinishedRun, folder: Path) -> None:
    arguments = ("tiny.yaml", "--set", "run=runs/other", "--set", "quantize.num_levels=1")
    (folder / "runs/other").mkdir()
    shutil.copytree(folder / "runs/tiny/extract", folder / "runs/other/extract")
    model = os.fspath(folder / "runs/tiny/pretrain/model")
    outcome = invoke("finetune", *arguments, "--model", model)
    assert outcome.exit_code == 3
    assert "the model was trained with codebook " in outcome.error_lines[0]
    assert outcome.error_lines[1] == f"  at: {model}"


def test_a_video_replaced_by_another_of_its_name_is_refused(invoke, finished_run, folder: Path) -> None:
    (folder / "demo").unlink()
    shutil.copytree(finished_run.folder / "demo", folder / "demo")
    victim = Path("demo/videos/train-001.mp4")
    os.utime(victim)
    assert "nothing to do" in invoke("pretrain", "tiny.yaml").out
    shutil.copy2("demo/videos/train-000.mp4", victim)
    line = f"video {victim}: another file than its features were made from"
    for command in ("extract", "evaluate"):
        outcome = invoke(command, "tiny.yaml")
        assert outcome.exit_code == 2
        assert outcome.error_lines[1] == f"       {line}"
        assert outcome.error_lines[2] == "  at: runs/tiny/extract"
    assert (
        f"stale: made from other settings or inputs ({line})" in invoke(command, "tiny.yaml", "--dry-run").out
    )
    victim.unlink()
    assert invoke("evaluate", "tiny.yaml").exit_code == 0

"""What is said of a known dataset: in the plan, at the start of a command, and where its sentences become text."""

import json
import re
from pathlib import Path

import pytest
from dataset_files import write, youcook2

RECIPE = "run: run\ndata:\n  videos: yc.json\n  root: videos\n"


@pytest.fixture
def corpus(tmp_path: Path, short_clip: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, {"yc.json": youcook2(segment=[0, 2]), "recipe.yaml": RECIPE})
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "GLd3aX16zBg.mp4").write_bytes(short_clip.read_bytes())
    return tmp_path


def test_the_plan_says_what_is_annotated_and_what_is_there(invoke, corpus: Path) -> None:
    outcome = invoke("extract", "recipe.yaml", "--dry-run", "--json")
    metrics = json.loads(outcome.out)["metrics"]
    expected = {
        "plan.dataset": "YouCook2",
        "plan.annotated.num_videos": 2,
        "plan.annotated.num_segments": 3,
        "plan.annotated.num_sentences": 3,
        "plan.annotated.num_missing": 1,
        "plan.annotated.num_values.sentence": 2,
        "plan.num_videos": 1,
        "plan.num_sentences": 2,
        "plan.num_captions": 0,
        "plan.num_leaks": 0,
        "plan.extract.num_clips": 2,
    }
    assert {key: metrics[key] for key in expected} == expected
    lines = invoke("extract", "recipe.yaml", "--dry-run").out.splitlines()
    assert "dataset: YouCook2 (yc.json)" in lines
    assert "on disk: 1 of them under videos, 1 missing (xHr8X2Wpmno)" in lines
    assert "labels: recipe_type (1 values), sentence (2 values)" in lines
    assert sorted(path.name for path in corpus.iterdir()) == ["recipe.yaml", "videos", "yc.json"]


def test_with_no_video_there_the_plan_still_counts_and_a_run_ends_with_3(invoke, corpus: Path) -> None:
    (corpus / "videos" / "GLd3aX16zBg.mp4").unlink()
    document = json.loads(invoke("pretrain", "recipe.yaml", "--dry-run", "--json").out)
    assert document["metrics"]["plan.annotated.num_segments"] == 3
    assert document["outputs"]["needs"] == [
        "data.root: none of the videos is under videos, for example GLd3aX16zBg.mp4"
    ]
    refused = invoke("pretrain", "recipe.yaml")
    assert refused.exit_code == 3
    assert (
        refused.error_lines[0]
        == "error: none of the 2 videos of YouCook2 is here, for example GLd3aX16zBg.mp4"
    )


def test_subtitles_are_the_text_unless_annotations_are_asked_for(invoke, corpus: Path) -> None:
    (corpus / "videos" / "GLd3aX16zBg.srt").write_text("1\n00:00:00,000 --> 00:00:02,000\nHello there.\n")

    def planned(*flags: str) -> tuple[int, str]:
        outcome = invoke("extract", "recipe.yaml", "--dry-run", *flags)
        [line] = [line for line in outcome.out.splitlines() if line.startswith("text: ")]
        [num_sentences] = re.findall(r"^data: .*\), (\d+) sentences,", outcome.out, re.M)
        return int(num_sentences), line.split(" (")[0]

    assert planned() == (1, "text: what is said")
    assert planned("--set", "data.sentences=annotations") == (2, "text: the annotated sentences")
    (corpus / "videos" / "GLd3aX16zBg.srt").unlink()
    assert planned() == (2, "text: the annotated sentences")
    assert planned("--set", "data.sentences=captions") == (0, "text: what is said")


def test_a_command_says_which_dataset_it_took_and_keeps_videos_that_go(invoke, corpus: Path) -> None:
    outcome = invoke("extract", "recipe.yaml")
    assert outcome.exit_code == 0, outcome.err
    assert "data: YouCook2, 1 of 2 videos are under videos" in outcome.err.splitlines()
    assert "data: not there: 1 (xHr8X2Wpmno)" in outcome.err.splitlines()
    (corpus / "videos" / "GLd3aX16zBg.mp4").unlink()
    again = invoke("extract", "recipe.yaml")
    assert again.exit_code == 0, again.err
    assert "nothing to do" in again.out

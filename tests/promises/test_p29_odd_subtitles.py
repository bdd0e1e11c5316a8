"""P29: odd subtitles crash nothing; the cues counted are those of the golden corpus, each drop is in the summary."""

import json
import re
import tarfile
from collections import Counter
from pathlib import Path

import pytest
from executable import shell, write_clip

GOLDEN = Path(__file__).parents[1] / "text" / "golden"
ARCHIVE = Path(__file__).parents[2] / "../shared/data/annotations/mining_youtube/annotations.tar.gz"
RECIPE = """\
run: run
data: {videos: videos.csv, validation_fraction: 0, test_fraction: 0}
extract: {image_num_frames: 1}
quantize: {branching: 2, num_levels: 1, scaling: standardize_parts, num_components: 2}
pretrain:
  text: {corpus_max_size: 400}
  model: {num_layers: 1, hidden_size: 32, num_attention_heads: 2, intermediate_size: 64}
  loop: {num_steps: 2, batch_num_sequences: 4}
"""


def corpus(folder: Path, captions: list[Path]) -> None:
    """A recipe, one short video without subtitles, and each of the files as a text."""
    write_clip(folder / "clip.mp4")
    rows = [",".join(("", f'"{path}"')) for path in captions]
    (folder / "videos.csv").write_text("\n".join(["video,captions", "clip.mp4,", *rows]) + "\n")
    (folder / "recipe.yaml").write_text(RECIPE)


def expected_facts() -> dict[str, int]:
    """The counts that the golden corpus foretells, and what 20 MB in one line add to them."""
    golden = json.loads((GOLDEN / "golden.json").read_text(encoding="utf-8"))
    readable = [entry for entry in golden.values() if "error" not in entry]
    dropped = sum((Counter(entry["dropped"]) for entry in readable), Counter())
    return {
        "num_cues": sum(len(entry["cues"]) for entry in readable),
        **{f"num_cues_dropped.{reason}": count for reason, count in dropped.items()},
        "num_captions_without_cues": sum(not entry["cues"] and not entry["dropped"] for entry in readable),
        "num_captions_unreadable": len(golden) - len(readable) + 1,
    }


def named(metrics: dict[str, int], *, stage: str) -> dict[str, int]:
    """What a command's metrics say of cues and of caption files."""
    prefixes = (f"{stage}.num_cues", f"{stage}.num_captions_")
    found = {name: value for name, value in metrics.items() if name.startswith(prefixes)}
    return {name.removeprefix(f"{stage}."): value for name, value in found.items()}


def hostile_corpus(folder: Path) -> None:
    (folder / "line.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\n" + "x" * (20 << 20))
    files = [path for path in sorted(GOLDEN.iterdir()) if path.name != "golden.json"]
    corpus(folder, [*files, folder / "line.srt"])


def test_p29_a_plan_counts_odd_subtitles_as_the_golden_file_does(invoke, tmp_path, monkeypatch) -> None:
    hostile_corpus(tmp_path)
    monkeypatch.chdir(tmp_path)
    outcome = invoke("pretrain", "recipe.yaml", "--dry-run", "--json")
    assert outcome.exit_code == 0
    assert named(json.loads(outcome.out)["metrics"], stage="plan") == expected_facts()
    warnings = [line for line in outcome.err.splitlines() if "no text from" in line]
    assert len(warnings) == expected_facts()["num_captions_unreadable"]
    assert "entities.ttml" in outcome.err
    assert "line.srt: the subtitle file is larger than 10 MB" in outcome.err


@pytest.mark.slow
def test_p29_pretraining_names_the_drops_in_its_summary(tmp_path) -> None:
    hostile_corpus(tmp_path)
    outcome = shell("pretrain", "recipe.yaml", "--json", folder=tmp_path)
    assert outcome.exit_code == 0, outcome.err
    assert named(json.loads(outcome.out)["metrics"], stage="pretrain") == expected_facts()
    [summary] = [line for line in outcome.err.splitlines() if "steps" in line and "text: " in line]
    facts = expected_facts()
    reasons = ", ".join(
        f"{count} {name.partition('.')[2]}" for name, count in sorted(facts.items()) if "dropped" in name
    )
    num_dropped = sum(count for name, count in facts.items() if "dropped" in name)
    assert f"text: {num_dropped} of {num_dropped + facts['num_cues']} cues dropped ({reasons})" in summary
    assert f"{facts['num_captions_unreadable']} caption files not readable" in summary


@pytest.mark.slow
def test_p29_the_cues_of_250_real_files_are_those_that_another_way_counts(tmp_path) -> None:
    if not ARCHIVE.is_file():
        pytest.skip("shared data not here")
    with tarfile.open(ARCHIVE) as files:
        files.extractall(tmp_path / "real", filter="data")
    paths = sorted((tmp_path / "real").rglob("*.srt"))
    assert len(paths) == 250
    corpus(tmp_path, paths)
    outcome = shell("pretrain", "recipe.yaml", "--dry-run", "--json", folder=tmp_path)
    assert outcome.exit_code == 0, outcome.err
    metrics = json.loads(outcome.out)["metrics"]
    # Blocks between blank lines whose second line is a timing line, and among them those with a word under it.
    blocks = [block for path in paths for block in re.split(r"\n\s*\n", path.read_text(encoding="utf-8-sig"))]
    cues = [block.strip().split("\n") for block in blocks if "-->" in block]
    assert all("-->" in lines[1] for lines in cues)
    num_spoken = sum(any(line.strip() for line in lines[2:]) for lines in cues)
    dropped = {name: value for name, value in metrics.items() if "num_cues_dropped" in name}
    assert metrics["plan.num_cues"] + sum(dropped.values()) == len(cues)
    assert dropped.get("plan.num_cues_dropped.empty", 0) == len(cues) - num_spoken

"""Captions without punctuation get it before pretraining, once, from a model whose answers are known."""

import json
from pathlib import Path

import pytest
from executable import shell, write_clip
from punctuation_samples import write_punctuator

RECIPE = """\
run: run
data: {videos: videos.csv, validation_fraction: 0, test_fraction: 0}
extract: {image_num_frames: 1}
quantize: {branching: 2, num_levels: 1, scaling: standardize_parts, num_components: 2}
pretrain:
  text: {corpus_max_size: 400, punctuation: punctuator}
  model: {num_layers: 1, hidden_size: 32, num_attention_heads: 2, intermediate_size: 64}
  loop: {num_steps: 2, batch_num_sequences: 4}
"""


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    write_clip(tmp_path / "clip.mp4")
    write_punctuator(tmp_path / "punctuator")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "videos.csv").write_text("video,captions\nclip.mp4,\n,bare.srt\n,marked.srt\n")
    (tmp_path / "bare.srt").write_text(
        "00:01 --> 00:04\ncut the onion done now fry\n\n00:04 --> 00:05\nit done\n"
    )
    (tmp_path / "marked.srt").write_text("00:01 --> 00:04\ncut it done now. fry it\n")
    return tmp_path


@pytest.mark.slow
def test_sentences_end_where_the_model_says(corpus: Path) -> None:
    plan = json.loads(shell("pretrain", "recipe.yaml", "--dry-run", "--json", folder=corpus).out)
    assert plan["metrics"]["plan.num_sentences"] == 3
    outcome = shell("pretrain", "recipe.yaml", "--json", folder=corpus)
    assert outcome.exit_code == 0, outcome.err
    assert "punctuation restored in 1 transcripts" in outcome.err
    assert json.loads(outcome.out)["metrics"]["pretrain.num_sentences"] == 4
    [kept] = (corpus / "run/pretrain/punctuation").glob("*.json")
    assert json.loads(kept.read_text()) == ["", "", "", ".", "", "", "", "."]
    assert "nothing to do" in shell("pretrain", "recipe.yaml", folder=corpus).out
    write_punctuator(corpus / "punctuator", sentence_ends=("now",))
    changed = shell("pretrain", "recipe.yaml", folder=corpus)
    assert changed.exit_code == 2
    assert "input punctuation: " in changed.err
    wrong = shell(
        "pretrain",
        "recipe.yaml",
        "--set",
        "pretrain.text.punctuation=./gone",
        "--set",
        "run=r2",
        folder=corpus,
    )
    assert wrong.exit_code == 3
    assert wrong.error_lines[0] == "error: there is no such directory"
    assert wrong.error_lines[1].endswith("pretrain.text.punctuation: ./gone")
    assert not (corpus / "r2").exists()

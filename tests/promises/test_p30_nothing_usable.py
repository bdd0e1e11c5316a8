"""P30: data with little or nothing in it ends with the reason, or in the mode that docs/formats.md describes."""

import json
from pathlib import Path

import pytest
from executable import shell
from zoo import make_clip

pytestmark = pytest.mark.slow
DOCUMENT = Path(__file__).parents[2] / "docs" / "formats.md"
RECIPE = """\
run: run
data:
  videos: videos
extract:
  image_num_frames: 2
quantize:
  branching: 4
  num_levels: 2
  scaling: standardize_parts
  num_components: 4
pretrain:
  text: {corpus_max_size: 400}
  model: {num_layers: 1, hidden_size: 32, num_attention_heads: 2, intermediate_size: 64}
  loop: {num_steps: 2, batch_num_sequences: 4, log_every_steps: 1, validate_every_steps: 2, save_every_steps: 2}
"""


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "videos").mkdir()
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path


def test_p30_sound_alone_is_exit_3_with_the_reason(corpus: Path) -> None:
    make_clip(corpus / "videos/a.mp4", seconds=-2)
    for arguments in (
        ("extract", "recipe.yaml"),
        ("pretrain", "recipe.yaml"),
        ("extract", "videos", "--out", "o"),
    ):
        outcome = shell(*arguments, folder=corpus)
        assert outcome.exit_code == 3, arguments
        assert outcome.error_lines[0] == "error: no video could be read: 1 no-video-stream"
        assert "quarantine.jsonl" in outcome.error_lines[1]
        assert outcome.error_lines[2].startswith("  fix: ")


def test_p30_a_folder_without_a_video_is_exit_3(corpus: Path) -> None:
    (corpus / "videos/notes.txt").write_text("none here")
    for arguments in (("extract", "recipe.yaml"), ("extract", "videos", "--out", "o")):
        outcome = shell(*arguments, folder=corpus)
        assert outcome.exit_code == 3, arguments
        assert "no video" in outcome.error_lines[0]
        assert len(outcome.error_lines) == 3


def test_p30_a_video_shorter_than_a_clip_gives_one(corpus: Path) -> None:
    make_clip(corpus / "videos/short.mp4", seconds=0.4)
    outcome = shell("extract", "videos", "--out", "features", "--json", folder=corpus)
    assert outcome.exit_code == 0, outcome.err
    metrics = json.loads(outcome.out)["metrics"]
    assert (metrics["extract.num_videos"], metrics["extract.num_clips"]) == (1, 1)
    assert "a video shorter than one clip gives one, its last sample repeated" in words(DOCUMENT)


def test_p30_one_video_without_subtitles_is_learned_from_its_words_alone(corpus: Path) -> None:
    make_clip(corpus / "videos/only.mp4", seconds=7)
    everything = ("--set", "data.validation_fraction=0", "--set", "data.test_fraction=0")
    outcome = shell("pretrain", "recipe.yaml", *everything, folder=corpus)
    assert outcome.exit_code == 0, outcome.err
    assert (corpus / "run/pretrain/model/model.safetensors").is_file()
    logged = [json.loads(line) for line in (corpus / "run/pretrain/metrics.jsonl").read_text().splitlines()]
    assert logged
    assert "Without any subtitles, pretraining learns from visual words alone" in words(DOCUMENT)
    assert "With one video nothing is held out" in words(DOCUMENT)


def test_p30_one_video_that_was_drawn_for_testing_is_exit_3(corpus: Path) -> None:
    make_clip(corpus / "videos/only.mp4", seconds=2)
    outcome = shell("pretrain", "recipe.yaml", "--set", "data.test_fraction=0.89", folder=corpus)
    assert outcome.exit_code == 3
    assert outcome.error_lines[0] == "error: there is not one feature to fit the codebook on"
    assert outcome.error_lines[1] == "  at: the videos of the train split"
    assert "data.test_fraction" in outcome.error_lines[2]


def words(document: Path) -> str:
    """The document's text, its line ends undone."""
    return " ".join(document.read_text().split())

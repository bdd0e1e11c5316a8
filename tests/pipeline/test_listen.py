"""Speech in place of subtitles, through the command line: heard once, kept, gone on with, made anew when asked."""

import json
import shutil
from pathlib import Path

import pytest
from speech_samples import write_whisper
from test_audio import write_sound

RECIPE = """\
run: run
data: {videos: videos, validation_fraction: 0, test_fraction: 0}
pretrain:
  text:
    asr: {engine: transformers, model: whisper}
"""


@pytest.fixture(scope="module")
def corpus_source(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("spoken")
    (folder / "videos").mkdir()
    write_sound(folder / "videos/loud.mp4", tones=[(0, 2)], seconds=2)
    write_sound(folder / "videos/mute.mp4", tones=[], seconds=1, has_sound=False)
    write_sound(folder / "videos/written.mp4", tones=[(0, 1)], seconds=1)
    (folder / "videos/written.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nCut the onion.\n")
    write_whisper(folder / "whisper")
    (folder / "recipe.yaml").write_text(RECIPE)
    return folder


@pytest.fixture
def corpus(corpus_source, tmp_path, monkeypatch) -> Path:
    shutil.copytree(corpus_source, tmp_path / "c")
    monkeypatch.chdir(tmp_path / "c")
    return tmp_path / "c"


def transcripts(folder: Path) -> dict[str, dict]:
    files = [p for p in (folder / "run/listen/transcripts").glob("*.json") if p.name != "manifest.json"]
    return {json.loads(path.read_text())["video"]: json.loads(path.read_text()) for path in files}


def test_videos_without_subtitles_are_heard_once(invoke, corpus: Path) -> None:
    plan = invoke("pretrain", "recipe.yaml", "--dry-run")
    assert "listen    missing: would be made, 2 videos without subtitles" in plan.out
    assert not (corpus / "run").exists()
    outcome = invoke("listen", "recipe.yaml", "--json")
    assert outcome.exit_code == 0, outcome.err
    metrics = json.loads(outcome.out)["metrics"]
    assert (metrics["listen.num_videos"], metrics["listen.num_spoken"]) == (2, 1)
    assert metrics["listen.num_silent"] == 1
    heard = transcripts(corpus)
    assert set(heard) == {"loud", "mute"}
    assert heard["loud"]["segments"]
    assert heard["mute"] == {"video": "mute", "segments": [], "sound": "none"}
    plan = json.loads(invoke("pretrain", "recipe.yaml", "--dry-run", "--json").out)
    assert plan["outputs"]["stages"]["listen"] == "finished"
    assert plan["metrics"]["plan.num_sentences"] == 1 + metrics["listen.num_sentences"]
    assert invoke("verify", "run/listen/transcripts").exit_code == 0
    again = invoke("listen", "recipe.yaml")
    assert "nothing to do" in again.out


@pytest.mark.slow
def test_a_new_video_is_heard_and_a_broken_one_told(invoke, corpus: Path) -> None:
    assert invoke("listen", "recipe.yaml").exit_code == 0
    before = {path: path.stat().st_mtime_ns for path in (corpus / "run/listen/transcripts").glob("*.json")}
    (corpus / "videos/broken.mp4").write_text("no video")
    shutil.copy(corpus / "videos/loud.mp4", corpus / "videos/more.mp4")
    outcome = invoke("listen", "recipe.yaml")
    assert outcome.exit_code == 4
    assert "1 of 4 videos could not be listened to -> run/listen/quarantine.jsonl" in outcome.err
    [failed] = map(json.loads, (corpus / "run/listen/quarantine.jsonl").read_text().splitlines())
    assert (failed["id"], failed["reason"], failed["stage"]) == ("broken", "not-media", "listen")
    assert set(transcripts(corpus)) == {"loud", "more", "mute"}
    after = {path: path.stat().st_mtime_ns for path in before if path.name != "manifest.json"}
    assert all(before[path] == changed for path, changed in after.items())
    shutil.copy(corpus / "videos/loud.mp4", corpus / "videos/broken.mp4")
    assert invoke("listen", "recipe.yaml", "--retry-failed").exit_code == 0
    assert set(transcripts(corpus)) == {"broken", "loud", "more", "mute"}


@pytest.mark.slow
def test_another_model_or_setting_is_refused_then_made_anew(invoke, corpus: Path) -> None:
    assert invoke("listen", "recipe.yaml").exit_code == 0
    first = transcripts(corpus)["loud"]
    config = json.loads((corpus / "whisper/generation_config.json").read_text())
    (corpus / "whisper/generation_config.json").write_text(json.dumps({**config, "max_length": 8}))
    outcome = invoke("listen", "recipe.yaml")
    assert outcome.exit_code == 2
    assert "input model: " in outcome.err
    outcome = invoke("listen", "recipe.yaml", "--set", "pretrain.text.asr.language=en")
    assert "pretrain.text.asr.language: null (this run) -> " in outcome.err
    assert invoke("listen", "recipe.yaml", "--overwrite").exit_code == 0
    assert transcripts(corpus)["loud"] != first


def test_mistakes_are_three_lines(invoke, corpus: Path, monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for override, code, what, fix in (
        ("pretrain.text.asr.engine=none", 2, "names nothing that listens", "--set pretrain.text.asr.engine="),
        ("pretrain.text.asr.model=./gone", 3, "there is no such directory", "correct the path"),
        ("pretrain.text.asr.model=whisperr", 3, "cannot load this speech model", "give the directory"),
    ):
        outcome = invoke("listen", "recipe.yaml", "--set", override)
        assert outcome.exit_code == code, outcome.err
        assert what in outcome.error_lines[0]
        assert len(outcome.error_lines) == 3
        assert fix in outcome.error_lines[2]
        assert not (corpus / "run/listen").exists()
    outcome = invoke("listen", "recipe.yaml", "--set", "pretrain.text.asr.model=null")
    assert outcome.exit_code == 2
    assert "`model` must name the speech model" in outcome.err
    outcome = invoke("listen", "recipe.yaml", "--set", "pretrain.text.asr.engine=faster_whisper")
    assert "faster-whisper" in outcome.error_lines[0] + outcome.err

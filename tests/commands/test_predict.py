"""`videobert predict` with a real (tiny) model: its forms of output, names, failures, which model."""

import json
import os
import shutil
from pathlib import Path

import pytest
from executable import FinishedRun, shell

NAMES = [b"new\nline.mp4", b"-rf q.mp4", b"\xff\xfe.mp4", b"esc\x1b[2J.mp4"]


@pytest.fixture
def clips(tmp_path: Path, short_clip: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("b.mp4", "a.mp4"):
        shutil.copy(short_clip, folder / name)
    return folder


def test_a_table_for_people(invoke, finished_run: FinishedRun, short_clip: Path) -> None:
    outcome = invoke("predict", short_clip, "--model", finished_run.root)
    assert outcome.exit_code == 0
    lines = outcome.out.splitlines()
    assert lines[0] == f"{short_clip}  2 clips of 1.5 s"
    assert [line.split()[0] for line in lines[2:5]] == ["verb", "object", "verb"]
    models = f"{finished_run.root}/pretrain/model, {finished_run.root}/finetune/model"
    assert outcome.err.splitlines()[0] == f"model: {models}"


def test_json_is_one_document_jsonl_a_line_a_video(invoke, finished_run: FinishedRun, clips: Path) -> None:
    document = json.loads(invoke("predict", clips, "--model", finished_run.root, "--json").out)
    lines = invoke("predict", clips, "--model", finished_run.root, "--jsonl", "-q").out.splitlines()
    timelines = [json.loads(line) for line in lines]
    assert document["metrics"] == {"predict.num_videos": 2, "predict.num_failed": 0}
    assert timelines == document["outputs"]["timelines"]
    assert [Path(timeline["video"]).name for timeline in timelines] == ["a.mp4", "b.mp4"]
    answers = timelines[0]["segments"][0]["answers"]["verb"]
    assert len(answers) == 3
    assert answers == sorted(answers, key=lambda answer: -answer["confidence"])


def test_top_and_segment_seconds(invoke, finished_run: FinishedRun, short_clip: Path) -> None:
    flags = ("--model", finished_run.root / "pretrain" / "model", "--jsonl", "--top", "1")
    segments = json.loads(invoke("predict", short_clip, *flags, "--segment-seconds", "1.5").out)["segments"]
    assert [segment["start_seconds"] for segment in segments] == [0.0, 1.5]
    assert all(len(segment["answers"]["verb"]) == 1 for segment in segments)
    [whole] = json.loads(invoke("predict", short_clip, *flags).out)["segments"]
    assert len(whole["words"]) == 2


def test_p23_a_bad_video_alone_is_exit_3_among_good_ones_exit_4(invoke, finished_run, clips: Path) -> None:
    bad = clips.parent / "bad.mp4"
    bad.write_bytes(b"no video at all")
    alone = invoke("predict", bad, "--model", finished_run.root)
    assert alone.exit_code == 3
    assert alone.out == ""
    assert alone.error_lines[0].startswith("error: no video could be read: ")
    assert alone.error_lines[1] == f"  at: {bad}"
    document = json.loads(invoke("predict", bad, clips, "--model", finished_run.root, "--json").out)
    assert (document["status"], document["exit_code"]) == ("partial", 4)
    assert document["metrics"] == {"predict.num_videos": 2, "predict.num_failed": 1}
    [failure] = document["outputs"]["failures"]
    assert failure["video"] == str(bad)
    assert failure["reason"] == "not-media"


def test_p27_strange_names_are_just_names(
    finished_run: FinishedRun, tmp_path: Path, short_clip: Path
) -> None:
    for name in NAMES:
        shutil.copy(os.fsencode(short_clip), os.fsencode(tmp_path) + b"/" + name)
    listed = b"\0".join(NAMES[:3]) + b"\0" + NAMES[3]
    shared = ("predict", "-", "--null", "--model", str(finished_run.root))
    plain = shell(*shared, folder=tmp_path, stdin=listed)
    assert plain.exit_code == 0, plain.err
    assert [line for line in plain.out.splitlines() if not line.startswith(" ")] == [
        f"{shown}  2 clips of 1.5 s"
        for shown in (r"new\nline.mp4", "-rf q.mp4", r"\udcff\udcfe.mp4", r"esc\x1b[2J.mp4")
    ]
    as_json = shell(*shared, "--jsonl", folder=tmp_path, stdin=listed)
    names = [json.loads(line)["video"] for line in as_json.out.splitlines()]
    assert [os.fsencode(name) for name in names] == NAMES
    for text in (plain.out, plain.err, as_json.out, as_json.err):
        assert "\x1b" not in text
        assert "\r" not in text


def test_p49_off_a_terminal_nothing_is_coloured_or_wrapped(finished_run: FinishedRun, clips: Path) -> None:
    long = clips / ("x" * 200 + ".mp4")
    shutil.copy(clips / "a.mp4", long)
    for more in ({"NO_COLOR": "1", "TERM": "dumb"}, {"FORCE_COLOR": "1", "COLUMNS": "40"}):
        outcome = shell("predict", str(long), "-v", "--model", str(finished_run.root), folder=clips, **more)
        assert outcome.exit_code == 0
        assert str(long) in outcome.out
        assert not {"\x1b", "\r"} & set(outcome.out + outcome.err)


def test_the_environment_names_the_model(finished_run: FinishedRun, short_clip: Path, tmp_path: Path) -> None:
    model = finished_run.root / "finetune" / "model"
    outcome = shell("predict", str(short_clip), folder=tmp_path, VIDEOBERT_MODEL=str(model))
    assert outcome.exit_code == 0
    assert outcome.err.splitlines()[0] == f"model: {model}"


def test_the_newest_run_is_found(
    invoke, finished_run, short_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished_run.folder)
    monkeypatch.delenv("VIDEOBERT_MODEL", raising=False)
    outcome = invoke("predict", short_clip)
    assert outcome.exit_code == 0
    assert outcome.err.splitlines()[0] == "model: runs/tiny/pretrain/model, runs/tiny/finetune/model"


@pytest.mark.parametrize("file", ["model.safetensors", "codebook/centroids.safetensors", "config.json"])
def test_p32_a_damaged_model_is_refused(
    invoke, finished_run, short_clip: Path, tmp_path: Path, file: str
) -> None:
    model = tmp_path / "model"
    shutil.copytree(finished_run.root / "pretrain" / "model", model)
    data = bytearray((model / file).read_bytes())
    data[len(data) // 2] ^= 1
    (model / file).write_bytes(data)
    outcome = invoke("predict", short_clip, "--model", model)
    assert outcome.exit_code == 3
    assert Path(file).name in outcome.error_lines[0]
    assert outcome.out == ""


def test_captions_make_the_segments_and_are_refused_where_they_cannot_be_read(
    invoke, finished_run: FinishedRun, short_clip: Path, tmp_path: Path
) -> None:
    captions = tmp_path / "said.srt"
    captions.write_text(
        "1\n00:00:00,200 --> 00:00:01,000\nCut the onion.\n\n2\n00:01:30,000 --> 00:01:31,000\nlate\n"
    )
    flags = ("--model", finished_run.root / "pretrain" / "model", "--jsonl", "--captions")
    [said] = json.loads(invoke("predict", short_clip, *flags, captions).out)["segments"]
    assert (said["start_seconds"], said["end_seconds"], said["text"]) == (0.2, 1.0, "Cut the onion.")
    missing = invoke("predict", short_clip, *flags, tmp_path / "missing.srt")
    assert missing.exit_code == 3
    assert "there is no such file" in missing.error_lines[0]
    captions.rename(tmp_path / "said.txt")
    unknown = invoke("predict", short_clip, *flags, tmp_path / "said.txt")
    assert unknown.exit_code == 3
    assert "subtitles ending in '.txt' are not supported" in unknown.error_lines[0]


def test_a_file_beside_a_video_that_is_no_captions_costs_no_answer(
    invoke, finished_run: FinishedRun, short_clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "clip.mp4").symlink_to(short_clip)
    (tmp_path / "clip.json").write_text('{"title": "how to fry"}')
    flags = ("--model", finished_run.root / "pretrain" / "model", "--jsonl")
    outcome = invoke("predict", tmp_path / "clip.mp4", *flags)
    assert outcome.exit_code == 0
    assert "no text from" in outcome.err
    assert "this JSON holds no captions" in outcome.err
    assert {segment["text"] for segment in json.loads(outcome.out)["segments"]} == {""}
    (tmp_path / "clip.json").write_text('[{"start": 0, "end": 3, "text": "fry it"}]')
    [said] = json.loads(invoke("predict", tmp_path / "clip.mp4", *flags).out)["segments"]
    assert said["text"] == "fry it"


def test_captions_are_for_one_video(invoke, finished_run: FinishedRun, clips: Path) -> None:
    outcome = invoke("predict", clips, "--captions", "x.srt", "--model", finished_run.root)
    assert outcome.exit_code == 2
    assert outcome.error_lines[0] == "error: --captions is for one video, 2 were given"


def test_captions_that_are_not_there_are_not_passed_over(invoke, finished_run, short_clip: Path) -> None:
    outcome = invoke("predict", short_clip, "--captions", "none.srt", "--model", finished_run.root)
    assert outcome.exit_code == 3
    assert outcome.error_lines == [
        "error: there is no such file",
        "  at: --captions none.srt",
        "  fix: check the name",
    ]


def test_a_recipe_gives_its_model_and_its_section(
    invoke, finished_run, short_clip, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIDEOBERT_MODEL", "nowhere")
    text = finished_run.recipe.read_text().replace("run: runs/tiny", f"run: {finished_run.root}")
    Path("mine.yaml").write_text(f"{text}predict: {{inputs: [{short_clip}], top: 1, segment_seconds: 1.5}}\n")
    for arguments in (("mine.yaml",), ("mine.yaml", short_clip)):
        outcome = invoke("predict", *arguments, "--json")
        assert outcome.exit_code == 0, outcome.err
        outputs = json.loads(outcome.out)["outputs"]
        assert outputs["models"] == [
            str(finished_run.root / stage / "model") for stage in ("pretrain", "finetune")
        ]
        [timeline] = outputs["timelines"]
        assert timeline["video"] == str(short_clip)
        assert [segment["start_seconds"] for segment in timeline["segments"]] == [0.0, 1.5]
        assert {len(segment["answers"]["verb"]) for segment in timeline["segments"]} == {1}
    [timeline] = json.loads(invoke("predict", "mine.yaml", "--top", "2", "--json").out)["outputs"][
        "timelines"
    ]
    assert len(timeline["segments"][0]["answers"]["verb"]) == 2


def test_a_recipe_without_a_model_or_videos_says_what_to_do(invoke, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("run: runs/x\ndata: {videos: v}\n")
    outcome = invoke("predict", "mine.yaml")
    assert outcome.exit_code == 3
    assert outcome.error_lines == [
        "error: there is no finished model in this run",
        "  at: runs/x",
        "  fix: videobert pretrain mine.yaml",
    ]
    assert invoke("predict", "mine.yaml", "other.yaml").error_lines[0] == "error: predict takes one recipe"
    assert "there is no recipe 'none.yaml'" in invoke("predict", "none.yaml").error_lines[0]

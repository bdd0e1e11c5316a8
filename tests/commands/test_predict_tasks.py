"""`videobert predict --task`: what else can be asked about a raw video than its timeline."""

import json
import shutil
from pathlib import Path
from typing import get_args

import av
import pytest
from executable import FinishedRun

from videobert_cli.core.tasks.options import PredictTask


def test_forecast_says_which_words_come_next(invoke, finished_run: FinishedRun, short_clip) -> None:
    flags = ("--model", finished_run.root, "--task", "forecast")
    document = json.loads(invoke("predict", short_clip, *flags, "--top", "2", "--jsonl").out)
    assert "segments" not in document
    assert [clip["horizon"] for clip in document["forecast"]] == [1, 2, 4]
    end = document["num_clips"] * document["clip_seconds"]
    assert [clip["start_seconds"] for clip in document["forecast"]] == [end, end + 1.5, end + 4.5]
    for clip in document["forecast"]:
        assert len(clip["words"]) == 2
        assert 1 > clip["probabilities"][0] >= clip["probabilities"][1] > 0
    lines = invoke("predict", short_clip, *flags).out.splitlines()
    assert lines[0] == f"{short_clip}  2 clips of 1.5 s"
    assert lines[1].startswith("  00:03.0  1 clip on")
    assert len(lines) == 4


def test_several_tasks_are_answered_in_one_document(invoke, finished_run: FinishedRun, short_clip) -> None:
    flags = ("--model", finished_run.root, "--task", "forecast", "--task", "timeline", "--jsonl")
    document = json.loads(invoke("predict", short_clip, *flags).out)
    assert list(document) == ["video", "num_clips", "clip_seconds", "seen", "forecast", "segments"]


def test_a_task_that_does_not_exist_and_a_model_that_cannot(invoke, finished_run, short_clip) -> None:
    wrong = invoke("predict", short_clip, "--model", finished_run.root, "--task", "forecasts")
    assert wrong.exit_code == 2
    assert wrong.error_lines == [
        "error: there is no task 'forecasts' of predict",
        "  at: --task forecasts",
        f"  fix: --task {' or --task '.join(get_args(PredictTask))}",
    ]
    classifier = finished_run.root / "finetune" / "model"
    unable = invoke("predict", short_clip, "--model", classifier, "--task", "forecast")
    assert unable.exit_code == 3
    assert unable.error_lines[0] == "error: forecast needs a pretrained model; none of those given is one"


def test_a_summary_as_lines_picture_and_list_of_cuts(invoke, finished_run, short_clip, tmp_path) -> None:
    flags = ("--model", finished_run.root, "--task", "summarize", "--task", "forecast")
    picture, cuts = tmp_path / "keys.png", tmp_path / "keys.csv"
    outcome = invoke("predict", short_clip, *flags, "--picture", picture, "--cuts", cuts)
    assert outcome.exit_code == 0
    assert "  00:00.0 - 00:01.5  key clip  stands for 1 clip" in outcome.out
    assert outcome.err.splitlines()[-2:] == [f"written: {picture}", f"written: {cuts}"]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert [line.split(",")[1] for line in cuts.read_text().splitlines()] == ["start_seconds", "0.0", "1.5"]
    page = tmp_path / "keys.html"
    document = json.loads(invoke("predict", short_clip, *flags, "--picture", page, "--json").out)
    assert document["outputs"]["files"] == [str(page)]
    assert page.read_text().count('<img class="picture" src="data:image/jpeg') >= 4


def test_the_key_clips_as_a_video(invoke, finished_run, short_clip, tmp_path) -> None:
    cuts = tmp_path / "keys.mp4"
    assert (
        invoke(
            "predict", short_clip, "--model", finished_run.root, "--task", "summarize", "--cuts", cuts
        ).exit_code
        == 0
    )
    with av.open(str(cuts)) as container:
        assert len(list(container.decode(video=0))) == 2 * round(1.5 * 25)


def test_a_text_in_place_of_videos(invoke, finished_run, tmp_path) -> None:
    flags = ("--model", finished_run.root, "--text", "cut the onion", "--top", "2")
    outcome = invoke("predict", *flags, "--picture", tmp_path / "t.html")
    head, clip = outcome.out.splitlines()
    assert head == '"cut the onion"'
    assert clip.startswith("  clip 1   word ")
    document = json.loads(invoke("predict", *flags, "--json").out)
    [clip] = document["outputs"]["text"]["clips"]
    assert len(clip["words"]) == 2
    assert 1 > clip["probabilities"][0] >= clip["probabilities"][1] > 0
    assert (tmp_path / "t.html").is_file()


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("clip.mp4", "--text", "a"), "--text asks about a sentence, this about videos"),
        (("--text", "a", "--task", "forecast"), "--text asks about a sentence, this about videos"),
        (("--text", "a", "--picture", "a.gif"), ".gif is no form of --picture"),
        (("clip.mp4", "--explain", "magic"), "there is no way 'magic' to explain"),
        (("clip.mp4", "--cuts", "a.csv"), "--cuts shows summarize, and that is not asked"),
        (("clip.mp4", "--task", "summarize", "--cuts", "a"), "no suffix is no form of --cuts"),
        (
            ("clip.mp4", "other.mp4", "--task", "summarize", "--cuts", "a.csv"),
            "--cuts is for one video, 2 were given",
        ),
        ((), "there is nothing to answer about"),
    ],
)
def test_what_does_not_go_together_is_refused_before_any_work(
    invoke, finished_run, short_clip, tmp_path, monkeypatch, flags, told
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("clip.mp4", "other.mp4"):
        shutil.copy(short_clip, name)
    outcome = invoke("predict", *flags, "--model", finished_run.root)
    assert outcome.exit_code == 2
    assert outcome.error_lines[0] == f"error: {told}"


@pytest.mark.slow
def test_a_sentence_finds_moments_of_a_run_that_learned_retrieval(
    invoke, finished_run, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(finished_run.copy(tmp_path))
    few = [
        word
        for key in ("task=retrieval", "retrieval.loop.num_steps=6", "retrieval.loop.save_every_steps=6")
        for word in ("--set", f"finetune.{key}")
    ]
    early = invoke("predict", "--text", "cut the onion", "--in", "runs/tiny")
    assert early.exit_code == 3
    assert early.error_lines[0] == "error: this run has no model that learned retrieval"
    assert early.error_lines[2] == "  fix: videobert finetune RECIPE --set finetune.task=retrieval"
    trained = invoke("finetune", "tiny.yaml", *few)
    assert trained.exit_code == 0, trained.err
    assert trained.out.startswith("retrieval: ")
    outcome = invoke("predict", "--text", "cut the onion", "--in", "runs/tiny", "--top", "2", "--json")
    document = json.loads(outcome.out)
    moments = document["outputs"]["text"]["moments"]
    assert len(moments) == 2
    assert moments[0]["score"] >= moments[1]["score"]
    assert all(0 <= moment["start_seconds"] < moment["end_seconds"] for moment in moments)
    again = invoke("predict", "--text", "cut the onion", "--in", "runs/tiny", "--top", "2")
    assert [line.split()[-1] for line in again.out.splitlines()[1:]] == [m["video"] for m in moments]
    measured = invoke("evaluate", "tiny.yaml", *few, "--set", "evaluate.tasks=[retrieval]", "--overwrite")
    assert measured.exit_code == 0, measured.err
    assert "  video, R@1 " in measured.out
    timeline = invoke("predict", finished_run.video, "--model", "runs/tiny", "-q")
    assert timeline.exit_code == 0, timeline.err


def test_in_needs_a_sentence_and_has_a_model_of_its_own(invoke, finished_run) -> None:
    for flags, told in (
        (("--in", finished_run.root), "--in finds the moments that a sentence tells of"),
        (
            ("--text", "a", "--in", finished_run.root, "--model", "x"),
            "--in searches with the run's own model",
        ),
        (("--text", "a", "--in", "nowhere"), "there is no run with words"),
    ):
        outcome = invoke("predict", *flags)
        assert outcome.exit_code in {2, 3}
        assert outcome.error_lines[0] == f"error: {told}"


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["cloze", "cloze_and_features"])
def test_a_run_that_learned_captions_says_them_and_measures_them(
    encoder, invoke, finished_run, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(finished_run.copy(tmp_path))
    early = invoke("predict", finished_run.video, "--model", "runs/tiny", "--task", "caption")
    assert early.exit_code == 3
    assert early.error_lines[0] == "error: caption needs a model that learned it; none of those given did"
    few = [
        word
        for key in ("loop.num_steps=6", "loop.save_every_steps=6", f"encoder={encoder}")
        for word in ("--set", f"finetune.caption.{key}")
    ]
    measured = invoke(
        "evaluate", "tiny.yaml", *few, "--set", "evaluate.tasks=[caption]", "--overwrite", "--json"
    )
    assert measured.exit_code == 0, measured.err
    metrics = json.loads(measured.out)["metrics"]
    assert metrics["caption.cider_d.nearest_neighbour"] >= 0
    written = Path("runs/tiny/evaluate/predictions_caption.jsonl").read_text().splitlines()
    assert len(written) == metrics["caption.num_captions"]
    flags = ("--model", "runs/tiny", "--task", "caption")
    document = json.loads(invoke("predict", finished_run.video, *flags, "--top", "2", "--jsonl").out)
    assert all(len(segment["captions"]) == 2 for segment in document["captions"])
    lines = invoke("predict", finished_run.video, *flags).out.splitlines()
    assert len(lines) == 1 + len(document["captions"])


@pytest.mark.parametrize(
    ("method", "unit", "told"),
    [
        ("occlusion", "nats", "carried by 00:0"),
        ("gradients", "nats", "carried by 00:0"),
        ("attention", "share", "looked most at 00:0"),
    ],
)
def test_an_explanation_weighs_every_clip_of_a_segment_and_is_drawn(
    invoke, finished_run, short_clip, tmp_path, method, unit, told
) -> None:
    flags = ("--model", finished_run.root, "--explain", method, "--picture", tmp_path / "why.html")
    outcome = invoke("predict", short_clip, *flags)
    assert outcome.exit_code == 0, outcome.err
    assert outcome.out.count(told) == 3
    document = json.loads(invoke("predict", short_clip, *flags, "--jsonl").out)
    [segment] = document["segments"]
    assert list(segment["explanations"]) == list(segment["answers"])
    for question, explanation in segment["explanations"].items():
        assert explanation["answer"] == segment["answers"][question][0]["answer"]
        assert (explanation["method"], explanation["unit"]) == (method, unit)
        assert [clip["start_seconds"] for clip in explanation["clips"]] == [0.0, 1.5]
    page = (tmp_path / "why.html").read_text()
    assert page.count('class="bar"') == 6
    assert page.count(" of attention</span>" if unit == "share" else " nats</span>") == 6
    assert ("They tell no for from against." in page) == (unit == "share")
    plain = json.loads(invoke("predict", short_clip, "--model", finished_run.root, "--jsonl").out)
    assert "explanations" not in plain["segments"][0]

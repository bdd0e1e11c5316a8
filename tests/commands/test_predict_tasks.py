"""`videobert predict --task`: what else can be asked about a raw video than its timeline."""

import json
from typing import get_args

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
    assert list(document) == ["video", "num_clips", "clip_seconds", "forecast", "segments"]


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

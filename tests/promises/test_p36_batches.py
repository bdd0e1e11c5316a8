"""P36: what stands beside a video changes no answer about it."""

import json

import pytest


@pytest.mark.slow
def test_p36_a_video_alone_and_among_others_has_the_same_answers(invoke, finished_run) -> None:
    videos = sorted((finished_run.folder / "demo" / "videos").glob("t*-00[0-3].mp4"))
    flags = ("--model", finished_run.root, "--jsonl", "-q", "--top", "5")
    flags += ("--task", "timeline", "--task", "forecast", "--task", "summarize")
    together = [json.loads(line) for line in invoke("predict", *videos, *flags).out.splitlines()]
    assert len(together) == len(videos) >= 3
    for video, found in zip(videos, together, strict=True):
        [alone] = [json.loads(line) for line in invoke("predict", video, *flags).out.splitlines()]
        assert_same(alone, found)


def assert_same(alone, found):
    """The same structure and words, numbers within 1e-4."""
    if isinstance(alone, dict):
        assert alone.keys() == found.keys()
        for key, value in alone.items():
            assert_same(value, found[key])
    elif isinstance(alone, list):
        assert len(alone) == len(found)
        for one, other in zip(alone, found, strict=True):
            assert_same(one, other)
    elif isinstance(alone, float):
        assert alone == pytest.approx(found, abs=1e-4)
    else:
        assert alone == found

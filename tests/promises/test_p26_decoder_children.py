"""P26: a decoder that crashes, hangs or asks for too much memory costs its video, not the run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from executable import environment
from process_tree import decoder_children, wait_until_gone
from rendered_videos import render
from zoo import make_clip

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc"),
]
NUM_VIDEOS = 4
RECIPE = """\
run: run
data:
  videos: videos
extract:
  image_num_frames: 2
  reader: {num_workers: 1, timeout_seconds: 3, max_memory_bytes: 268435456}
"""


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "videos").mkdir()
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    for number in range(NUM_VIDEOS):
        make_clip(tmp_path / f"videos/v{number}.mp4", seconds=2)
    return tmp_path


def extract(corpus: Path, *flags: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "videobert_cli", "extract", "recipe.yaml", *flags],
        cwd=corpus, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def quarantine(corpus: Path) -> list[dict]:
    file = corpus / "run/extract/features/quarantine.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()]


def first_decoder(root: int) -> int:
    """Wait for the first decoder child; it needs a tenth of a second before it reads anything."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := decoder_children(root):
            return found[0]
        time.sleep(0.005)
    raise AssertionError("no decoder child in a minute")


@pytest.mark.parametrize(
    ("sign", "reason", "words"),
    [
        (signal.SIGSEGV, "decoder-crashed", "SIGSEGV"),
        (signal.SIGSTOP, "timeout", "timeout_seconds"),
        (signal.SIGABRT, "out-of-memory", "max_memory_bytes"),
    ],
)
def test_p26_a_crashed_or_hanging_decoder_costs_one_video(
    corpus: Path, sign, reason: str, words: str
) -> None:
    with extract(corpus, "--json") as run:
        hit = first_decoder(run.pid)
        os.kill(hit, sign)
        out, err = run.communicate(timeout=120)
    assert run.returncode == 4, err
    metrics = json.loads(out)["metrics"]
    assert metrics["extract.num_videos"] == NUM_VIDEOS - 1
    [line] = quarantine(corpus)
    assert (line["id"], line["reason"]) == ("v0", reason)
    assert words in line["detail"]
    assert "Traceback" not in err
    assert wait_until_gone([hit]) == []


def test_p26_a_video_that_needs_more_memory_than_allowed_is_named(corpus: Path) -> None:
    # 16 frames of reference, each of 12 MB, and as much again in flight: more than 256 MB, and a picture of 8.3 MP.
    render(
        corpus / "videos/large.mp4", times=range(0, 1600, 40), size=(3840, 2160),
        options={"preset": "ultrafast", "refs": "16", "bf": "0", "g": "60"},
    )  # fmt: skip
    with extract(corpus, "--json") as run:
        out, err = run.communicate(timeout=240)
    assert run.returncode == 4, err
    assert json.loads(out)["metrics"]["extract.num_videos"] == NUM_VIDEOS
    [line] = quarantine(corpus)
    assert (line["id"], line["reason"]) == ("large", "out-of-memory")


def test_p26_killed_with_minus_nine_the_command_takes_its_decoders_along(corpus: Path) -> None:
    with extract(corpus) as run:
        child = first_decoder(run.pid)
        run.kill()
        run.communicate(timeout=60)
    assert wait_until_gone([child]) == []

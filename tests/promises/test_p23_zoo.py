"""Forty good clips and the zoo in one `videobert extract`: P23, P24 and P27 of docs/reliability.md."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from executable import environment
from process_tree import MemorySampler, is_alive
from zoo import NUM_GOOD, READABLE, REFUSED, make_clip, make_good, make_zoo

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="pipes, odd names and /proc are Linux's"),
]
MAX_DECODER_BYTES = 2 << 30


@dataclass(frozen=True, kw_only=True)
class ZooRun:
    folder: Path
    exit_code: int
    out: str
    err: str
    seconds: float
    memory: MemorySampler

    @property
    def store(self) -> Path:
        return self.folder / "features"

    @property
    def quarantine(self) -> list[dict]:
        return [json.loads(line) for line in (self.store / "quarantine.jsonl").read_text().splitlines()]


def extract(folder: Path, *names: str, store: str) -> ZooRun:
    """`videobert extract NAMES --out STORE --json` in a process of its own, watched."""
    began = time.monotonic()
    command = [sys.executable, "-m", "videobert_cli", "extract", *names, "--out", store, "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=folder, env=environment(), **pipes) as process:
        memory = MemorySampler(process.pid)
        memory.start()
        out, err = process.communicate(timeout=600)
    memory.join()
    return ZooRun(
        folder=folder, exit_code=process.returncode, out=out.decode(), err=err.decode(),
        seconds=time.monotonic() - began, memory=memory,
    )  # fmt: skip


@pytest.fixture(scope="module")
def zoo_run(tmp_path_factory) -> ZooRun:
    folder = tmp_path_factory.mktemp("zoo")
    make_good(folder / "G")
    secret = make_clip(folder / "secret.ts", seconds=8, fmt="mpegts")
    make_zoo(folder / "Z", secret=secret, address="http://127.0.0.1:8765")
    return extract(folder, "G", "Z", store="features")


def test_p23_one_bad_video_never_stops_a_run(zoo_run: ZooRun) -> None:
    assert zoo_run.exit_code == 4, zoo_run.err
    document = json.loads(zoo_run.out)
    assert (document["status"], document["exit_code"]) == ("partial", 4)
    metrics = document["metrics"]
    assert metrics["extract.num_videos"] == NUM_GOOD + len(READABLE)
    assert metrics["extract.num_failed"] == len(REFUSED)
    found = [(line["id"], line["reason"]) for line in zoo_run.quarantine]
    assert sorted(found) == sorted((name.removesuffix(".mp4"), why) for name, why in REFUSED.items())
    assert all(line["detail"] for line in zoo_run.quarantine)
    assert "Traceback" not in zoo_run.err
    assert zoo_run.seconds < 180


def test_p24_media_cannot_eat_the_machine(zoo_run: ZooRun, tmp_path: Path) -> None:
    make_clip(tmp_path / "one.mp4", seconds=3)
    alone = extract(tmp_path, "one.mp4", store="features")
    assert alone.exit_code == 0, alone.err
    memory = zoo_run.memory
    assert memory.most_decoders >= 1
    assert max(memory.peak_bytes_by_decoder.values()) < MAX_DECODER_BYTES
    room = memory.most_decoders * MAX_DECODER_BYTES
    assert memory.peak_tree_bytes < alone.memory.peak_tree_bytes + room
    assert [pid for pid in memory.peak_bytes_by_decoder if is_alive(pid)] == []


def test_p27_strange_names_are_just_names(zoo_run: ZooRun) -> None:
    ids = stored_ids(zoo_run)
    assert len(ids) == len(set(ids)) == NUM_GOOD + len(READABLE)
    strange = {r"new\nline", '-rf "q"', r"\udcff\udcfe", r"esc\x1b[2J", "a/same", "b/same", "tiny"}
    assert strange <= set(ids)
    assert not set(ids) & {line["id"] for line in zoo_run.quarantine}
    written = [path for path in zoo_run.store.rglob("*") if path.suffix in {".json", ".jsonl"}]
    assert len(written) >= 3
    for text in (zoo_run.out, zoo_run.err, *(path.read_text(encoding="utf-8") for path in written)):
        assert "\x1b" not in text
    for path in written:
        documents = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        assert all(isinstance(json.loads(document), dict) for document in documents)
        path.read_text().encode("utf-8")
    assert all(os.fsencode(path).isascii() for path in zoo_run.store.rglob("*"))


def stored_ids(run: ZooRun) -> list[str]:
    """What the Python API reads in the store, in a process of its own."""
    program = (
        "import json, sys; from pathlib import Path\n"
        "from videobert_cli.core.features.store.reader import FeatureStore\n"
        "print(json.dumps(FeatureStore.open(Path(sys.argv[1])).ids()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, run.store], capture_output=True, text=True, check=True, env=environment()
    )  # fmt: skip
    return json.loads(done.stdout)

"""`videobert extract VIDEO... --out DIR`: features without a recipe."""

import json
import pickle
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from videobert_cli.artifacts import is_finished
from videobert_cli.commands.slurm import emit_slurm
from videobert_cli.core.features import extract
from videobert_cli.core.features.store.format import spool_name
from videobert_cli.core.features.store.reader import FeatureStore
from videobert_cli.core.features.store.writer import FeatureStoreWriter


@pytest.fixture
def clips(tmp_path: Path, short_clip: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(short_clip, folder / name)
    return folder


@pytest.mark.slow
def test_a_folder_becomes_a_store_and_a_second_run_changes_nothing(
    invoke, clips: Path, tmp_path: Path
) -> None:
    store = tmp_path / "features"
    first = invoke("extract", clips, "--out", store, "--json")
    assert json.loads(first.out)["status"] == "done"
    metrics = json.loads(first.out)["metrics"]
    counted = {name: metrics[f"extract.{name}"] for name in ("num_videos", "num_clips", "num_failed")}
    assert counted == {"num_videos": 2, "num_clips": 4, "num_failed": 0}
    assert metrics["extract.clips_per_second"] > 0
    assert metrics["extract.times_real_time"] == pytest.approx(
        1.5 * metrics["extract.clips_per_second"], rel=1e-2
    )
    assert metrics["extract.bottleneck"] in {"decode", "device", "disk"}
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*") if path.is_file()}
    second = invoke("extract", clips, "--out", store, "--json")
    assert json.loads(second.out)["status"] == "nothing-to-do"
    assert "nothing to do, 2 videos, 4 clips" in invoke("extract", clips, "--out", store).out
    after = {path: path.stat().st_mtime_ns for path in store.rglob("*") if path.is_file()}
    assert {path for path in before | after if before.get(path) != after.get(path)} == set()
    assert len(FeatureStore.open(store).ids()) == 2
    assert invoke("verify", store).exit_code == 0


@pytest.mark.slow
def test_a_second_run_leaves_alone_what_another_process_begins_to_add(
    invoke, clips: Path, tmp_path: Path, monkeypatch
) -> None:
    store = tmp_path / "features"
    assert invoke("extract", clips, "--out", store).exit_code == 0

    def load_while_another_adds(*args, **options):
        other = FeatureStoreWriter.open(store)
        rows = np.zeros((1, other.dim), dtype=np.float16)
        other.add("c", features_TD=rows, clip_start_seconds_T=np.zeros(1), facts={})
        return load_backbone(*args, **options)

    load_backbone = extract.load_backbone
    monkeypatch.setattr(extract, "load_backbone", load_while_another_adds)
    assert invoke("extract", clips, "--out", store).exit_code == 0
    assert [path.name for path in (store / "spool/main").iterdir()] == [spool_name("c")]
    assert not is_finished(store)


@pytest.mark.slow
def test_p28_a_bad_video_is_quarantined_and_can_be_tried_again(invoke, clips: Path, short_clip: Path) -> None:
    store, bad = clips.parent / "features", clips / "c.mp4"
    bad.write_bytes(b"no video")
    outcome = invoke("extract", clips, "--out", store, "--json")
    document = json.loads(outcome.out)
    assert (outcome.exit_code, document["status"]) == (4, "partial")
    assert document["metrics"]["extract.failed.not-media"] == 1
    [line] = (store / "quarantine.jsonl").read_text().splitlines()
    assert json.loads(line)["reason"] == "not-media"
    shutil.copy(short_clip, bad)
    again = invoke("extract", clips, "--out", store, "--retry-failed", "--json")
    assert (again.exit_code, json.loads(again.out)["metrics"]["extract.num_videos"]) == (0, 3)


def test_nothing_readable_is_exit_3(invoke, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    outcome = invoke("extract", tmp_path / "empty.mp4", "--out", tmp_path / "features")
    assert outcome.exit_code == 3
    assert outcome.error_lines[0] == "error: no video could be read: 1 empty"


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("PWNED"),))


def test_p41_weights_that_would_run_code_are_refused(invoke, short_clip: Path, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("evil.pth").write_bytes(pickle.dumps(_Evil()))
    flags = ("--backbone", "s3d", "--weights", "evil.pth", "--out", "features")
    outcome = invoke("extract", short_clip, *flags)
    assert outcome.exit_code == 3
    assert "error: the weights file" in outcome.error_lines[0]
    assert not Path("PWNED").exists()


def test_a_number_of_shards_alone_is_refused(invoke, clips: Path, tmp_path: Path) -> None:
    outcome = invoke("extract", str(clips), "--out", str(tmp_path / "store"), "--num-shards", "4")
    assert outcome.exit_code == 2
    assert "there is no --emit-slurm" in outcome.err
    assert "--shard I/N" in outcome.err
    assert not (tmp_path / "store").exists()


def test_a_slurm_job_whose_folder_is_gone_does_not_work_elsewhere(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "srun").write_text("#!/bin/sh\ntouch started\n")
    (tmp_path / "srun").chmod(0o755)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    emit_slurm(tmp_path / "job.sh", arguments=["recipe.yaml"], num_shards=2)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "project").rmdir()
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_ARRAY_TASK_ID": "0"}
    done = subprocess.run(["bash", "job.sh"], env=environment, capture_output=True, check=False)
    assert done.returncode != 0
    assert not (tmp_path / "started").exists()

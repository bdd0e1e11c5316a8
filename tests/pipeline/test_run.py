"""A run's directory: its lock, its owner, what it sweeps, what it remembers, what it asks of the data."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_stages import News, make_run

from videobert_cli.core.words.table import WordTable
from videobert_cli.errors import LockedError, ManifestError, MissingInputError

HOLD = """
import sys, time
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_p19_the_second_process_is_told_who_holds_the_run(tmp_path: Path) -> None:
    first, second = make_run(tmp_path), make_run(tmp_path)
    with first.open(), pytest.raises(LockedError, match=rf"process {os.getpid()} on \S+, since 20") as caught:
        second.open().__enter__()
    assert caught.value.exit_code == 6
    assert caught.value.at == str(tmp_path / "run")
    with second.open():
        pass


def test_p20_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    with run.open():
        pass
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run" / ".lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match="another process works in this run"):
            run.open().__enter__()
        holder.send_signal(signal.SIGKILL)
    with run.open():
        pass


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    leftovers = [
        tmp_path / "run" / ".tmp-0123456789ab-x",
        tmp_path / "run" / "extract" / ".tmp-0123456789ac-stage.json",
    ]
    for path in leftovers:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "run" / ".trash-0123456789ad-pretrain" / "model").mkdir(parents=True)
    with run.open():
        assert sorted(path.name for path in run.paths.root.iterdir()) == [".lock", ".owner.json", "extract"]
        assert list((run.paths.root / "extract").iterdir()) == []


def test_the_run_remembers_the_recipe_the_overrides_and_the_machine(tmp_path: Path) -> None:
    run = make_run(tmp_path, "seed=5")
    with run.open():
        assert not (run.paths.root / "recipe.yaml").exists()
        run.remember()
    assert (run.paths.root / "recipe.yaml").read_bytes() == run.loaded.source_bytes
    assert (run.paths.root / "overrides.txt").read_text() == "--set seed=5\n"
    recorded = json.loads((run.paths.root / "environment.json").read_text())
    assert recorded["seed"] == 5
    assert recorded["time"].endswith(" UTC")
    assert recorded["packages"]["torch"]


def test_missing_data_are_named_with_their_line_and_where_to_get_them(tmp_path: Path) -> None:
    run = make_run(tmp_path, videos=False, text="  source: ask the librarian\n")
    with pytest.raises(MissingInputError, match=r"data\.videos: \S+clips does not exist") as caught:
        run.require_data()
    assert caught.value.at == "recipe.yaml:3"
    assert caught.value.fix == "ask the librarian"
    assert not run.paths.root.exists()


def test_missing_weights_are_missing_data_until_the_features_are_there(tmp_path: Path) -> None:
    run = make_run(tmp_path, "extract.weights=none.pth")
    assert run.missing_data() == ["extract.weights: none.pth does not exist"]
    run.paths.features.mkdir(parents=True)
    (run.paths.features / "manifest.json").write_text("{}")
    assert run.missing_data() == []


def test_a_manifest_that_cannot_be_used_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("file,split\na.mp4,train\n")
    run = make_run(tmp_path, f"data.videos={tmp_path / 'list.csv'}")
    with pytest.raises(ManifestError, match="video"):
        run.require_data()
    assert not run.paths.root.exists()


def test_labels_after_the_end_of_a_video_are_left_out_and_counted(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    listed = tmp_path / "clips" / "list.csv"
    listed.write_text("video,start,end,label\na.mp4,0,1,cut\na.mp4,90,95,stir\n")
    run = make_run(tmp_path, f"data.videos={listed}")
    table = WordTable(num_words=4, clip_seconds=1.5, clip_length_seconds=1.5, codebook_hash="x")
    table.add("a", words_T=np.array([1, 2]), clip_start_seconds_T=np.array([0.0, 1.5]))
    table.save(run.paths.words)
    assert [segment.labels["label"] for segment in run.segments] == ["cut"]
    assert isinstance(run.reporter, News)
    assert run.reporter.warnings == ["labelled segments left out, as they begin after their video ends: 1"]

"""What is published is whole or not there, and every flipped bit is found."""

import errno
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError

from videobert_cli import artifacts
from videobert_cli.errors import ArtifactError, ResourceError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def make_artifact(directory, *, files=None, **about):
    for name, data in (files or {"a.bin": b"some bytes", "sub/b.txt": b"more"}).items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(data)
    return artifacts.seal(directory, kind="words", **about)


# --- publish ---


def test_a_write_that_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    artifacts.publish_text(path, "old")

    def write_half(temporary):
        temporary.write_text("ha")
        assert path.read_text() == "old"
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        artifacts.publish(path, write_half)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_write_that_makes_no_file_is_an_error(tmp_path):
    with pytest.raises(ResourceError, match="cannot write"):
        artifacts.publish(tmp_path / "a.txt", lambda temporary: None)
    assert names(tmp_path) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT])
def test_a_full_disk_is_a_resource_error_with_the_reason(tmp_path, code):
    def write(temporary):
        temporary.write_bytes(b"part")
        raise OSError(code, os.strerror(code))

    with pytest.raises(ResourceError, match=os.strerror(code)) as caught:
        artifacts.publish(tmp_path / "a.bin", write)
    assert caught.value.at == str(tmp_path / "a.bin")
    assert names(tmp_path) == []


def test_a_file_where_a_folder_should_be_is_a_resource_error(tmp_path):
    (tmp_path / "file").write_text("x")
    for write in (artifacts.publish_json, artifacts.append_line):
        with pytest.raises(ResourceError, match="cannot write"):
            write(tmp_path / "file" / "a.json", {})
    with (
        pytest.raises(ResourceError, match="cannot write"),
        artifacts.publish_directory(tmp_path / "file" / "d"),
    ):
        pass


LIMITED = """
import resource, sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from videobert_cli import artifacts
from videobert_cli.errors import ResourceError
from videobert_cli.core.training.checkpoint import TrainingState, save_checkpoint

root = Path(sys.argv[1])
model = torch.nn.Linear(200, 200)
optimizer = torch.optim.AdamW(model.parameters())
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
line = "x" * 600
writes = [
    lambda: artifacts.publish_bytes(root / "a.bin", bytes(5000)),
    lambda: artifacts.publish(root / "b.bin", lambda path: save_file({"x": torch.zeros(5000)}, path)),
    lambda: [artifacts.append_line(root / "c.jsonl", line) for _ in range(2)],
    lambda: save_checkpoint(root, model=model, optimizer=optimizer, state=TrainingState(step=1)),
]
for write in writes:
    try:
        write()
    except ResourceError as error:
        print(error.exit_code, error.what)
"""


@pytest.mark.slow
def test_a_file_size_limit_is_a_resource_error_whoever_writes(tmp_path):
    """A library's own writer (safetensors) and a line of which only a part fits, too."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 4, done.stderr
    assert all(line.startswith("5 cannot write: ") for line in lines), lines
    assert names(tmp_path) == ["c.jsonl", "checkpoints"]
    assert names(tmp_path / "checkpoints") == []


def test_a_tensor_file_that_does_not_fit_is_a_resource_error(tmp_path):
    def write(temporary):
        temporary.write_bytes(b"part")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    with pytest.raises(ResourceError, match="No space left"):
        artifacts.publish(tmp_path / "a.safetensors", write)
    assert names(tmp_path) == []


@given(value=JSON)
@settings(max_examples=50, deadline=None)
def test_json_comes_back_and_its_hash_ignores_the_order_of_keys(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("json") / "a.json"
    artifacts.publish_json(path, value)
    assert json.loads(path.read_text(encoding="utf-8")) == value
    if isinstance(value, dict):
        assert artifacts.hash_json(dict(reversed(value.items()))) == artifacts.hash_json(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [-float("inf")]])
def test_numbers_that_are_none_are_not_written(tmp_path, value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        artifacts.publish_json(tmp_path / "a.json", value)
    with pytest.raises(ValueError, match="not JSON compliant"):
        artifacts.append_line(tmp_path / "a.jsonl", value)
    assert names(tmp_path) == []


# --- append_line ---


def append_many(path, writer):
    for number in range(60):
        artifacts.append_line(path, {"writer": writer, "number": number, "text": "é" * (50 + 40 * writer)})


def test_lines_of_parallel_writers_never_mix(tmp_path):
    path = tmp_path / "lines.jsonl"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=append_many, args=(path, writer)) for writer in range(4)]
    for process in writers:
        process.start()
    for process in writers:
        process.join()
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert sorted((line["writer"], line["number"]) for line in lines) == [
        (writer, number) for writer in range(4) for number in range(60)
    ]


def test_appending_makes_the_folder(tmp_path):
    artifacts.append_line(tmp_path / "new" / "a.jsonl", {"a": "ä"})
    assert (tmp_path / "new" / "a.jsonl").read_bytes() == '{"a": "ä"}\n'.encode()


# --- artifacts ---


def test_a_sealed_artifact_is_intact_and_says_what_it_is(tmp_path):
    sealed = make_artifact(tmp_path, settings={"k": 1}, parents={"features": "ff"}, facts={"n": 2})
    assert artifacts.read_manifest(tmp_path, kind="words") == sealed
    assert artifacts.require_intact(tmp_path, kind="words").facts == {"n": 2}
    assert sorted(sealed.files) == ["a.bin", "sub/b.txt"]
    assert sealed.files["a.bin"].num_bytes == 10


def test_a_flipped_bit_in_any_file_is_found(tmp_path):
    make_artifact(
        tmp_path, settings={"k": [1, "x"]}, parents={"features": "0f"}, facts={"num": 12, "true": True}
    )
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 3
    for path in files:
        data = path.read_bytes()
        for position in range(0, 8 * len(data), 19 if path.name == "manifest.json" else 1):
            flipped = bytearray(data)
            flipped[position // 8] ^= 1 << (position % 8)
            path.write_bytes(bytes(flipped))
            try:
                found = artifacts.verify(tmp_path)
            except ArtifactError:
                continue
            assert path in {damage.path for damage in found} or path.name == "manifest.json", (path, position)
            assert found, (path, position, bytes(flipped))
        path.write_bytes(data)
    assert artifacts.verify(tmp_path) == []


def test_missing_and_cut_files_are_named(tmp_path):
    make_artifact(tmp_path)
    (tmp_path / "a.bin").write_bytes(b"some")
    (tmp_path / "sub" / "b.txt").unlink()
    assert [(damage.path.name, damage.problem) for damage in artifacts.verify(tmp_path)] == [
        ("a.bin", "has 4 bytes, not 10"),
        ("b.txt", "is missing"),
    ]
    with pytest.raises(ArtifactError, match=r"a\.bin has 4 bytes, not 10") as caught:
        artifacts.require_intact(tmp_path)
    assert "videobert verify" in caught.value.fix


def test_a_manifest_made_before_manifests_held_their_own_hash_is_read(tmp_path):
    make_artifact(tmp_path)
    path = tmp_path / "manifest.json"
    raw = json.loads(path.read_text())
    del raw["manifest_xxh3"]
    path.write_text(json.dumps(raw))
    assert artifacts.verify(tmp_path) == []


def change_manifest(directory, **changes):
    path = directory / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_newer_format_is_refused_with_the_way_out_whatever_its_fields(tmp_path):
    make_artifact(tmp_path)
    change_manifest(tmp_path, format_version=99, files=[], something_new=1)
    with pytest.raises(ArtifactError, match=r"99 is newer than this videobert knows \(1\)") as caught:
        artifacts.read_manifest(tmp_path)
    assert "upgrade" in caught.value.fix


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"files": {}}', '{"files": 3, "format_version": 1}', "[" * 100_000, "\udcff"],
    ids=lambda text: repr(text[:9]),
)
def test_a_manifest_that_is_none_is_an_artifact_error(tmp_path, text):
    (tmp_path / "manifest.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ArtifactError, match="the manifest cannot be read"):
        artifacts.read_manifest(tmp_path)


@pytest.mark.parametrize("version", ["2", None, [1]])
def test_a_format_version_that_is_no_number_is_an_artifact_error(tmp_path, version):
    make_artifact(tmp_path)
    change_manifest(tmp_path, format_version=version)
    with pytest.raises(ArtifactError, match="the manifest cannot be read"):
        artifacts.read_manifest(tmp_path)


def test_what_is_no_artifact_says_so(tmp_path):
    (tmp_path / "file").write_text("x")
    for place in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(ArtifactError, match="not a finished artifact"):
            artifacts.read_manifest(place)
        assert not artifacts.is_finished(place)


def test_another_kind_is_refused(tmp_path):
    make_artifact(tmp_path)
    assert artifacts.is_finished(tmp_path)
    with pytest.raises(ArtifactError, match="'words' artifact, not 'model'"):
        artifacts.read_manifest(tmp_path, kind="model")


def test_the_content_hash_depends_on_names_and_contents_alone(tmp_path):
    first = make_artifact(tmp_path / "here", settings={"a": 1})
    time.sleep(0.01)
    second = make_artifact(tmp_path / "far" / "away", facts={"b": 2}, parents={"c": "d"})
    assert first.content_hash == second.content_hash
    for files in (
        {"a.bin": b"some bytez", "sub/b.txt": b"more"},
        {"b.bin": b"some bytes", "sub/b.txt": b"more"},
    ):
        other = make_artifact(tmp_path / "other", files=files)
        assert other.content_hash != first.content_hash
        shutil.rmtree(tmp_path / "other")


def test_hidden_and_ignored_files_are_not_part_of_it(tmp_path):
    plain = make_artifact(tmp_path / "plain")
    for name in (".lock", ".cache/x", "sub/.tmp-1", "logs/x.txt", "logs.txt"):
        (tmp_path / "full" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "full" / name).write_text("x")
    full = make_artifact(tmp_path / "full", ignore=("logs", "logs.txt"))
    assert full.content_hash == plain.content_hash


def test_an_artifact_inside_an_artifact_keeps_its_manifest(tmp_path):
    make_artifact(tmp_path / "codebook")
    outer = make_artifact(tmp_path, files={"x": b"x"})
    assert "codebook/manifest.json" in outer.files


# --- directories ---


def leave_half_a_directory(path):
    with artifacts.publish_directory(path) as temporary:
        (temporary / "a").write_bytes(b"half")
        raise RuntimeError("stopped")


def test_a_directory_is_replaced_only_when_the_new_one_is_whole(tmp_path):
    path = tmp_path / "model"
    with artifacts.publish_directory(path) as temporary:
        make_artifact(temporary, files={"a": b"old"})
        assert not path.exists()
    with pytest.raises(RuntimeError, match="stopped"):
        leave_half_a_directory(path)
    assert (path / "a").read_bytes() == b"old"
    with artifacts.publish_directory(path) as temporary:
        make_artifact(temporary, files={"b": b"new"})
        assert (path / "a").read_bytes() == b"old"
    assert names(path) == ["b", "manifest.json"]
    assert names(tmp_path) == ["model"]
    assert artifacts.verify(path) == []


def test_discard_takes_files_folders_links_and_nothing(tmp_path):
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "file").write_text("x")
    (tmp_path / "kept").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("folder", "file", "link", "dangling", "never"):
        artifacts.discard(tmp_path / name)
    assert names(tmp_path) == ["kept"]


def test_sweep_takes_what_a_killed_process_left_and_nothing_else(tmp_path):
    (tmp_path / ".tmp-0123456789ab-model" / "deep").mkdir(parents=True)
    (tmp_path / ".trash-0123456789ab-model").mkdir()
    for name in (".tmp-00000000000f-a.json", ".trash-00000000000f-a.json", "a.json", ".lock", "tmp-5"):
        (tmp_path / name).write_text("x")
    (tmp_path / ".tmp-00000000000e-line\nbreak").symlink_to(tmp_path / "a.json")
    artifacts.sweep(tmp_path)
    artifacts.sweep(tmp_path / "nowhere")
    assert names(tmp_path) == [".lock", "a.json", "tmp-5"]


def test_sweep_leaves_what_others_have_called_temporary_or_trash(tmp_path):
    theirs = [".tmp-thesis", ".trash-1000", ".tmp-1-a", ".tmp-0123456789ab", ".trash-0123456789AB-a"]
    for name in theirs:
        (tmp_path / name).mkdir()
    artifacts.sweep(tmp_path)
    assert names(tmp_path) == sorted(theirs)


KILLED = """
import os, sys
from pathlib import Path
from videobert_cli import artifacts
with artifacts.publish_directory(Path(sys.argv[1])) as temporary:
    (temporary / "a").write_text("half")
    os._exit(9)
"""


def test_a_process_that_dies_while_writing_leaves_the_old_directory(tmp_path):
    path = tmp_path / "model"
    with artifacts.publish_directory(path) as temporary:
        make_artifact(temporary, files={"a": b"old"})
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False).returncode == 9
    assert artifacts.verify(path) == []
    assert len(names(tmp_path)) == 2
    artifacts.sweep(tmp_path)
    assert names(tmp_path) == ["model"]


def test_what_another_discards_first_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "manifest.json").write_text("{}")
    rename = Path.rename

    def rename_second(self, target):
        if self.name == "manifest.json":
            self.unlink()
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", rename_second)
    artifacts.discard(tmp_path / "manifest.json")
    assert list(tmp_path.iterdir()) == []


def test_leavings_of_one_name_go_and_those_of_a_longer_name_stay(tmp_path):
    left = [".tmp-0123456789ab-a.h5", ".trash-0123456789ab-a.h5"]
    others = [".tmp-0123456789ab-old-a.h5", ".tmp-0123456789ab-a.h5.bak", "a.h5"]
    for name in left + others:
        (tmp_path / name).write_bytes(b"x")
    artifacts.sweep(tmp_path, name="a.h5")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)

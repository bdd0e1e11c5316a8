"""The feature store: nothing acknowledged is lost, sealing can be broken anywhere, a flipped bit is found."""

import contextlib
import json
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videobert_cli import artifacts
from videobert_cli.core.features.store import writer as store_writer
from videobert_cli.core.features.store.check import verify_store
from videobert_cli.core.features.store.quarantine import QUARANTINE_NAME, read_quarantine
from videobert_cli.core.features.store.reader import FeatureStore
from videobert_cli.core.features.store.writer import FeatureStoreWriter
from videobert_cli.errors import ArtifactError, StaleStageError, UsageError

DIM = 8
FINGERPRINT = {"backbone": "s3d", "frames_per_second": 20.0}
ODD_IDS = ("a/b", "../x", '-rf "q"', "line\nend", "ü中🎬", "x" * 300)


def writer_at(directory, **changes) -> FeatureStoreWriter:
    return FeatureStoreWriter.create_or_open(directory, **{"fingerprint": FINGERPRINT, "dim": DIM, **changes})


def rows_of(item_id: str, num_clips: int) -> np.ndarray:
    rng = np.random.default_rng(abs(sum(map(ord, item_id))))
    return rng.normal(size=(num_clips, DIM)).astype(np.float16)


def fill(writer: FeatureStoreWriter, ids, *, num_clips: int = 3) -> None:
    for item_id in ids:
        writer.add(
            item_id,
            features_TD=rows_of(item_id, num_clips),
            clip_start_seconds_T=1.5 * np.arange(num_clips),
            facts={"source": {"num_bytes": len(item_id)}},
        )


def assert_holds(directory, ids, *, num_clips: int = 3) -> None:
    store = FeatureStore.open(directory)
    assert store.ids() == sorted(ids)
    for item_id in ids:
        stored = store.read(item_id)
        np.testing.assert_array_equal(stored.features_TD, rows_of(item_id, num_clips))
        assert stored.clip_start_seconds_T.tolist() == [1.5 * clip for clip in range(num_clips)]
        assert stored.facts == {"source": {"num_bytes": len(item_id)}}


def test_items_are_read_alike_from_spool_and_shards(tmp_path) -> None:
    writer = writer_at(tmp_path)
    fill(writer, ODD_IDS)
    assert_holds(tmp_path, ODD_IDS)
    opened_before = FeatureStore.open(tmp_path)
    before = opened_before.content_hash(ODD_IDS)
    manifest = writer.seal()
    assert_holds(tmp_path, ODD_IDS)
    assert FeatureStore.open(tmp_path).content_hash(reversed(ODD_IDS)) == before
    np.testing.assert_array_equal(opened_before.read("a/b").features_TD, rows_of("a/b", 3))
    assert manifest.kind == "features"
    assert manifest.facts == {"num_videos": 6, "num_clips": 18, "dim": DIM}
    assert not (tmp_path / "spool").exists()
    assert verify_store(tmp_path) == []


def test_shards_close_at_their_size_and_keep_id_order(tmp_path) -> None:
    writer = writer_at(tmp_path, shard_num_bytes=2 * DIM * 3 * 2)
    fill(writer, [f"v{number}" for number in range(5)])
    writer.seal()
    indexes = sorted((tmp_path / "shards").glob("*.index.json"))
    held = [[item["id"] for item in json.loads(path.read_text())["items"]] for path in indexes]
    assert held == [["v0", "v1"], ["v2", "v3"], ["v4"]]


class KilledError(BaseException):
    """Stands for kill -9: no handler of ours catches it."""


def seal_and_die(writer: FeatureStoreWriter, monkeypatch, *, at_call: int) -> bool:
    """Seal, dying at the n-th publish or unlink; return whether it came to that."""
    num_calls = 0

    def dying(function):
        def call(*args, **kwargs):
            nonlocal num_calls
            num_calls += 1
            if num_calls == at_call:
                raise KilledError
            return function(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(artifacts.files, "publish", dying(artifacts.files.publish))
        patch.setattr(Path, "unlink", dying(Path.unlink))
        try:
            writer.seal()
        except KilledError:
            return True
    return False


@pytest.mark.slow
def test_a_kill_at_any_publish_or_unlink_of_sealing_loses_nothing(tmp_path, monkeypatch) -> None:
    ids = [f"v{number}" for number in range(5)]
    shards_of_two = {"shard_num_bytes": 2 * DIM * 3 * 2}
    fill(writer_at(tmp_path / "unbroken"), ids)
    unbroken = writer_at(tmp_path / "unbroken", **shards_of_two).seal()
    at_call = 1
    fill(writer_at(tmp_path / "0"), ids)
    while seal_and_die(writer_at(tmp_path / f"{at_call - 1}", **shards_of_two), monkeypatch, at_call=at_call):
        broken = tmp_path / f"{at_call - 1}"
        assert_holds(broken, ids)
        assert verify_store(broken) == []
        assert writer_at(broken, **shards_of_two).seal().content_hash == unbroken.content_hash
        assert_holds(broken, ids)
        assert not (broken / "spool").exists()
        fill(writer_at(tmp_path / f"{at_call}"), ids)
        at_call += 1
    assert at_call > 10, "a sealing publishes or unlinks more often than that"


def test_a_spool_folder_that_vanishes_while_it_is_looked_into_is_passed_over(tmp_path, monkeypatch) -> None:
    fill(writer_at(tmp_path, worker="one"), ["a"])
    emptied, scandir = tmp_path / "spool" / "two", os.scandir
    emptied.mkdir()

    def scandir_after_another_worker(path="."):
        if Path(path) == emptied and emptied.exists():
            emptied.rmdir()
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scandir_after_another_worker)
    assert verify_store(tmp_path) == []
    assert FeatureStore.open(tmp_path).ids() == ["a"]
    assert not emptied.exists()


def test_a_sealed_store_takes_new_videos_and_is_unfinished_meanwhile(tmp_path) -> None:
    fill(writer_at(tmp_path), ["a", "b"])
    first = writer_at(tmp_path).seal()
    reopened = writer_at(tmp_path)
    assert artifacts.is_finished(tmp_path), "opening alone must not unseal"
    assert "a" in reopened
    fill(reopened, ["c"])
    assert not artifacts.is_finished(tmp_path)
    assert_holds(tmp_path, ["a", "b", "c"])
    second = reopened.seal()
    assert second.content_hash != first.content_hash
    assert_holds(tmp_path, ["a", "b", "c"])


def test_sealing_twice_touches_nothing(tmp_path) -> None:
    writer = writer_at(tmp_path)
    fill(writer, ["a"])
    writer.seal()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    writer_at(tmp_path).seal()
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


def test_two_workers_share_a_store_and_one_seals(tmp_path) -> None:
    fill(writer_at(tmp_path, worker="w0"), ["a", "both"])
    other = FeatureStoreWriter.create_or_open(
        tmp_path / "other", fingerprint=FINGERPRINT, dim=DIM, worker="w1"
    )
    fill(other, ["b", "both"])
    shutil.move(tmp_path / "other" / "spool" / "w1", tmp_path / "spool" / "w1")
    shutil.rmtree(tmp_path / "other")
    writer_at(tmp_path, worker="w0").seal()
    assert_holds(tmp_path, ["a", "b", "both"])


def test_full_shards_are_packed_while_extracting(tmp_path) -> None:
    writer = writer_at(tmp_path, shard_num_bytes=600)
    fill(writer, [f"v{number:02}" for number in range(24)])
    assert len(list((tmp_path / "shards").glob("*.index.json"))) > 0
    assert len(list((tmp_path / "spool").rglob("*.safetensors"))) < 24
    writer.seal()
    fill(other := writer_at(tmp_path / "once"), [f"v{number:02}" for number in range(24)])
    other.seal()
    ids = FeatureStore.open(tmp_path).ids()
    assert FeatureStore.open(tmp_path).content_hash(ids) == FeatureStore.open(tmp_path / "once").content_hash(
        ids
    )


def test_a_damaged_shard_that_is_removed_costs_its_own_videos_alone(tmp_path) -> None:
    for name in "abc":
        writer = writer_at(tmp_path)
        fill(writer, [name])
        writer.seal()
    damaged = tmp_path / "shards/main-000000.safetensors"
    damaged.unlink()
    damaged.with_name("main-000000.index.json").unlink()
    writer = writer_at(tmp_path)
    assert "a" not in writer
    fill(writer, ["a", "d"])
    writer.seal()
    assert_holds(tmp_path, "abcd")
    assert verify_store(tmp_path) == []


def test_a_store_is_not_begun_among_other_files(tmp_path) -> None:
    (tmp_path / "a.mp4").touch()
    with pytest.raises(UsageError, match=r"no feature store and holds something else \('a\.mp4'\)") as caught:
        writer_at(tmp_path)
    assert "--out DIR" in caught.value.fix
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_what_is_put_beside_a_store_is_not_the_store_s(tmp_path) -> None:
    writer = writer_at(tmp_path)
    fill(writer, "a")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips/a.mp4").write_text("mine too")
    assert set(writer.seal().files) == {
        "store.json", "shards/main-000000.safetensors", "shards/main-000000.index.json"
    }  # fmt: skip
    (tmp_path / "notes.txt").unlink()
    assert verify_store(tmp_path) == []


def test_other_settings_are_refused_with_the_difference(tmp_path) -> None:
    writer_at(tmp_path)
    with pytest.raises(StaleStageError, match=r"frames_per_second: 20\.0 -> 10\.0"):
        writer_at(tmp_path, fingerprint={**FINGERPRINT, "frames_per_second": 10.0})
    with pytest.raises(StaleStageError, match="dim: 8 -> 9"):
        writer_at(tmp_path, dim=9)


@pytest.mark.parametrize("is_sealed", [False, True])
def test_every_flipped_bit_is_found_and_never_handed_out(tmp_path, is_sealed) -> None:
    rng = random.Random(7)
    original = tmp_path / "original"
    writer = writer_at(original)
    fill(writer, ["a", "b"])
    if is_sealed:
        writer.seal()
    names = [path.relative_to(original) for path in original.rglob("*") if path.is_file()]
    for name in (name for name in names if name.name != "store.json" or is_sealed):
        for trial in range(12):
            copy = tmp_path / f"copy-{trial}"
            shutil.copytree(original, copy)
            data = bytearray((copy / name).read_bytes())
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            (copy / name).write_bytes(data)
            with contextlib.suppress(ArtifactError):
                assert verify_store(copy), f"{name} was changed and nobody saw it"
            try:
                store = FeatureStore.open(copy)
                found = {item_id: store.read(item_id).features_TD for item_id in store.ids()}
            except ArtifactError:
                found = {}
            for item_id, features_TD in found.items():
                np.testing.assert_array_equal(features_TD, rows_of(item_id, 3))
            shutil.rmtree(copy)


def test_wrong_shapes_and_second_copies_are_refused(tmp_path) -> None:
    writer = writer_at(tmp_path)
    fill(writer, ["a"])
    with pytest.raises(ValueError, match="holds 'a' already"):
        fill(writer, ["a"])
    with pytest.raises(ValueError, match=r"shape \(2, 8\) for 3 clips"):
        writer.add("b", features_TD=np.zeros((2, DIM)), clip_start_seconds_T=np.zeros(3), facts={})


def test_missing_items_and_stores_are_named(tmp_path) -> None:
    with pytest.raises(ArtifactError, match=r"has no store\.json"):
        FeatureStore.open(tmp_path)
    writer_at(tmp_path)
    with pytest.raises(ArtifactError, match="no features of 'x'"):
        FeatureStore.open(tmp_path).read("x")
    (tmp_path / "store.json").write_text(json.dumps({"format_version": 999, "dim": 8, "fingerprint": {}}))
    with pytest.raises(ArtifactError, match="format version 999 is newer"):
        FeatureStore.open(tmp_path)


def test_quarantine_has_one_line_an_item_and_lets_it_go(tmp_path) -> None:
    writer = writer_at(tmp_path)
    bad = tmp_path / "bad\x1b[2J.mp4"
    bad.write_bytes(b"12345")
    for reason in ("empty", "not-media"):
        writer.quarantine("bad", path=bad, reason=reason, detail="line 1\nline\u2028 2")
    writer.quarantine("worse", path=tmp_path / "none", reason="not-a-file", detail="")
    found = read_quarantine(tmp_path)
    assert [(item.id, item.reason, item.attempts, item.bytes) for item in found.values()] == [
        ("bad", "not-media", 2, 5),
        ("worse", "not-a-file", 1, None),
    ]
    assert "\x1b" not in (tmp_path / QUARANTINE_NAME).read_text()
    with (tmp_path / QUARANTINE_NAME).open("a") as stream:
        stream.write('{"id": "torn')
    reopened = writer_at(tmp_path)
    reopened.quarantine("third", path=bad, reason="empty", detail="")
    fill(reopened, ["bad"])
    assert list(read_quarantine(tmp_path)) == ["worse", "third"]


@settings(max_examples=8, deadline=None)
@given(sizes=st.lists(st.integers(1, 9), max_size=8), shard_num_bytes=st.integers(1, 400))
def test_any_split_into_shards_keeps_every_row(tmp_path_factory, sizes, shard_num_bytes) -> None:
    directory = tmp_path_factory.mktemp("store")
    writer = writer_at(directory, shard_num_bytes=shard_num_bytes)
    for number, num_clips in enumerate(sizes):
        writer.add(
            f"v{number}",
            features_TD=rows_of(f"v{number}", num_clips),
            clip_start_seconds_T=np.arange(num_clips, dtype=np.float64),
            facts={},
        )
    writer.seal()
    store = FeatureStore.open(directory)
    assert len(store) == len(sizes)
    for number, num_clips in enumerate(sizes):
        np.testing.assert_array_equal(store.read(f"v{number}").features_TD, rows_of(f"v{number}", num_clips))


def test_a_shard_is_a_quarter_gigabyte_by_default() -> None:
    assert store_writer.SHARD_NUM_BYTES == 256_000_000

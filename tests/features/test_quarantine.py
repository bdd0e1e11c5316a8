"""The lists of failed items: several workers at once, one list in the end."""

from pathlib import Path

from videobert_cli.core.features.store.quarantine import (
    QUARANTINE_NAME,
    Quarantine,
    quarantine_paths,
    read_quarantine,
)


def record(quarantine: Quarantine, item_id: str) -> None:
    quarantine.record(item_id, path=Path(item_id), reason="empty", detail="", stage="extract", num_bytes=0)


def test_workers_do_not_touch_each_others_lists_and_the_merge_makes_one(tmp_path: Path) -> None:
    record(Quarantine(tmp_path, worker="main", stored={}), "old")
    first = Quarantine(tmp_path, worker="shard-0-of-2", stored={})
    second = Quarantine(tmp_path, worker="shard-1-of-2", stored={})
    record(first, "a")
    record(second, "b")
    record(first, "old")
    assert {item.id: item.attempts for item in read_quarantine(tmp_path).values()} == {
        "old": 2,
        "a": 1,
        "b": 1,
    }
    first.forget("a")
    second.forget("old")
    assert set(read_quarantine(tmp_path)) == {"old", "b"}
    main = Quarantine(tmp_path, worker="main", stored={"old"})
    assert set(main.failed) == {"b"}
    main.merge(stored={"old"})
    assert quarantine_paths(tmp_path) == [tmp_path / QUARANTINE_NAME]
    assert set(read_quarantine(tmp_path)) == {"b"}


def test_a_merge_that_changes_nothing_writes_nothing(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, worker="main", stored={})
    record(quarantine, "a")
    before = (tmp_path / QUARANTINE_NAME).stat().st_mtime_ns
    quarantine.merge(stored={})
    assert (tmp_path / QUARANTINE_NAME).stat().st_mtime_ns == before

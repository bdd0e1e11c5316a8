"""P28: what was quarantined can be tried again, and only that is."""

import json
import shutil
from pathlib import Path

import pytest
from executable import Outcome, shell
from zoo import make_clip

pytestmark = pytest.mark.slow


def quarantine(folder: Path) -> dict[str, dict]:
    lines = (folder / "features/quarantine.jsonl").read_text().splitlines()
    items = [json.loads(line) for line in lines]
    assert len({item["id"] for item in items}) == len(items)
    return {item["id"]: item for item in items}


def extract(folder: Path, *flags: str) -> Outcome:
    return shell("extract", "videos", "--out", "features", "-v", *flags, folder=folder)


def shards(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path.name: (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted((folder / "features/shards").iterdir())
    }


def test_p28_only_failed_videos_are_tried_again(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    for name in ("a", "c"):
        make_clip(tmp_path / f"videos/{name}.mp4", seconds=2)
    (tmp_path / "videos/b.mp4").write_text("hi")
    (tmp_path / "videos/d.mp4").touch()
    first = extract(tmp_path)
    assert first.exit_code == 4, first.err
    assert {name: line["reason"] for name, line in quarantine(tmp_path).items()} == {
        "b": "not-media",
        "d": "empty",
    }
    before = shards(tmp_path)

    shutil.copy(tmp_path / "videos/a.mp4", tmp_path / "videos/b.mp4")
    asked_nothing = extract(tmp_path)  # repaired, and not asked to look again
    assert asked_nothing.exit_code == 4
    assert [line["attempts"] for line in quarantine(tmp_path).values()] == [1, 1]

    again = extract(tmp_path, "--retry-failed", "--json")
    assert again.exit_code == 4, again.err
    metrics = json.loads(again.out)["metrics"]
    assert (metrics["extract.num_videos"], metrics["extract.num_failed"]) == (3, 1)
    assert {name: line["attempts"] for name, line in quarantine(tmp_path).items()} == {"d": 2}
    after = shards(tmp_path)
    assert {name: after.get(name) for name in before} == before  # what had been made was not made again
    assert len(after) > len(before)

    shutil.copy(tmp_path / "videos/c.mp4", tmp_path / "videos/d.mp4")
    last = extract(tmp_path, "--retry-failed")
    assert last.exit_code == 0, last.err
    assert quarantine(tmp_path) == {}
    assert shell("verify", "features", folder=tmp_path).exit_code == 0

"""Who may work beside whom in one directory, and who is the last to leave."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import Timeout

from videobert_cli.errors import LockedError, ResourceError
from videobert_cli.pipeline import locks
from videobert_cli.pipeline.locks import ShardTurn, lock_alone


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_SECONDS_FOR_OTHERS", 0.0)
    monkeypatch.setattr(locks, "_SECONDS_FOR_SEALING", 0.0)


def test_shards_work_side_by_side_and_the_last_to_end_knows(tmp_path: Path) -> None:
    first, second = (ShardTurn(tmp_path, worker=f"shard-{index}-of-2") for index in range(2))
    with first, second:
        with first.end() as is_last:
            assert not is_last
        with second.end() as is_last:
            assert is_last


def test_a_shard_is_worked_on_once(tmp_path: Path) -> None:
    with ShardTurn(tmp_path, worker="shard-0-of-2"):
        with pytest.raises(LockedError, match=rf"shard-0-of-2 of this run: process {os.getpid()}"):
            ShardTurn(tmp_path, worker="shard-0-of-2").__enter__()
        with ShardTurn(tmp_path, worker="shard-1-of-2"):
            pass


def test_one_alone_and_shards_exclude_each_other(tmp_path: Path) -> None:
    with ShardTurn(tmp_path, worker="shard-0-of-2"), pytest.raises(LockedError, match="shard-0-of-2"):
        lock_alone(tmp_path).__enter__()
    with lock_alone(tmp_path), pytest.raises(LockedError, match="works in this run"):
        ShardTurn(tmp_path, worker="shard-0-of-2").__enter__()
    with lock_alone(tmp_path):
        pass


def test_p20_a_killed_shard_does_not_hold_its_lock(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from videobert_cli.pipeline.locks import ShardTurn\n"
        "ShardTurn(Path(sys.argv[1]), worker='shard-0-of-2').__enter__(); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    with ShardTurn(tmp_path, worker="shard-0-of-2") as turn, turn.end() as is_last:
        assert is_last


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a place where no folder can be made")
def test_a_place_where_no_folder_can_be_made_is_a_resource_error() -> None:
    with pytest.raises(ResourceError, match="cannot write here: ") as caught:
        lock_alone(Path("/proc/nowhere/run")).__enter__()
    assert caught.value.at == "/proc/nowhere/run"
    assert "--set run=DIR" in caught.value.fix


def test_a_file_in_the_place_of_the_folder_is_no_lack_of_space(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(FileExistsError):
        lock_alone(tmp_path / "run").__enter__()


def test_an_error_of_the_work_is_not_taken_for_one_of_the_lock(tmp_path: Path) -> None:
    for error in (PermissionError(13, "Permission denied", "elsewhere"), Timeout("elsewhere")):
        with pytest.raises(type(error), match="elsewhere"), lock_alone(tmp_path / "run"):
            raise error
    with lock_alone(tmp_path / "run"):
        pass

"""Who may write in a directory: one process alone, or several shards of an extraction side by side.

`.lock` is held by a process that works alone for as long as it works, and by a shard for the moment in which it comes
or goes; `.shards/<worker>.lock` is held by a shard while it works. The system gives a killed process's locks back.
"""

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from videobert_cli.artifacts import publish_json
from videobert_cli.errors import LockedError, ResourceError
from videobert_cli.runtime import utc_time

LOCK_NAME = ".lock"
OWNER_NAME = ".owner.json"
SHARD_LOCKS_NAME = ".shards"
# Shards hold the common lock for a moment when they come and go, the last one while it seals the store.
_SECONDS_FOR_OTHERS = 2.0
_SECONDS_FOR_SEALING = 600.0


@contextlib.contextmanager
def lock_alone(root: Path) -> Iterator[None]:
    """Make the directory and hold it; no other process works in it meanwhile.

    Raises:
        LockedError: Another live process does.
        ResourceError: The directory cannot be written.
    """
    with _common_lock(root, timeout_seconds=_SECONDS_FOR_OTHERS):
        at_work = _shards_at_work(root)
        if at_work:
            raise _locked(root, owner=at_work[0].with_suffix(".json"), what=f"{at_work[0].stem} of this run")
        publish_json(root / OWNER_NAME, _this_process())
        yield


class ShardTurn:
    """A shard at work in a directory; use as a context manager."""

    def __init__(self, root: Path, *, worker: str) -> None:
        self._root = root
        self._path = root / SHARD_LOCKS_NAME / f"{worker}.lock"
        self._lock = FileLock(self._path, timeout=0)

    def __enter__(self) -> "ShardTurn":
        """Hold the shard.

        Raises:
            LockedError: Another process works on this shard, or alone in the directory.
            ResourceError: The directory cannot be written.
        """
        with _common_lock(self._root, timeout_seconds=_SECONDS_FOR_SEALING):
            self._path.parent.mkdir(exist_ok=True)
            try:
                self._lock.acquire()
            except Timeout as error:
                raise _locked(
                    self._root, owner=self._path.with_suffix(".json"), what=f"{self._path.stem} of this run"
                ) from error
            publish_json(self._path.with_suffix(".json"), _this_process())
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @contextlib.contextmanager
    def end(self) -> Iterator[bool]:
        """End the shard's turn; inside `with`, nobody else comes, and the value says that nobody else is at work."""
        with _common_lock(self._root, timeout_seconds=_SECONDS_FOR_SEALING):
            others = [path for path in _shards_at_work(self._root) if path != self._path]
            try:
                yield not others
            finally:
                # Before the common lock goes: of two that end together, the second must see that the first has gone.
                self._lock.release()


@contextlib.contextmanager
def _common_lock(root: Path, *, timeout_seconds: float) -> Iterator[None]:
    lock = FileLock(root / LOCK_NAME, timeout=timeout_seconds)
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise _locked(root, owner=root / OWNER_NAME, what="this run") from error
    except (FileExistsError, NotADirectoryError):
        raise  # the path itself is wrong, not the disk
    except OSError as error:
        raise ResourceError(
            f"cannot write here: {error.strerror}",
            at=str(root),
            fix="use another directory: --set run=DIR, or --out DIR",
        ) from error
    try:
        yield
    finally:
        lock.release()


def _shards_at_work(root: Path) -> list[Path]:
    """Return the locks of shards that are held."""
    held = []
    for path in sorted((root / SHARD_LOCKS_NAME).glob("*.lock")):
        try:
            FileLock(path, timeout=0).acquire().lock.release()
        except Timeout:
            held.append(path)
    return held


def _locked(root: Path, *, owner: Path, what: str) -> LockedError:
    return LockedError(
        f"another process works in {what}{_owner(owner)}",
        at=str(root),
        fix="wait for it, or use another directory: --set run=DIR, or --out DIR",
    )


def _this_process() -> dict[str, str | int]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": utc_time()}


def _owner(path: Path) -> str:
    try:
        owner = json.loads(path.read_text())
        return f": process {owner['pid']} on {owner['host']}, since {owner['started']}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""

"""`quarantine.jsonl`: the items that failed, once each, with the reason in a word and in a sentence.

Where several workers fill one store, each has a list of its own, `quarantine-<worker>.jsonl`, so that none rewrites
what another is appending to; sealing the store makes one list of them.
"""

import datetime
import json
from collections.abc import Container
from dataclasses import asdict, dataclass
from pathlib import Path

from videobert_cli import artifacts

QUARANTINE_NAME = "quarantine.jsonl"
MAIN_WORKER = "main"


@dataclass(frozen=True, kw_only=True)
class FailedItem:
    """One line of `quarantine.jsonl`: `bytes` is the source's size, `time` UTC in ISO 8601."""

    id: str
    path: str
    reason: str
    detail: str
    stage: str
    attempts: int
    bytes: int | None
    time: str


def read_quarantine(directory: Path) -> dict[str, FailedItem]:
    """Return the failed items of a store by id, from the lists of all workers; a line cut by a crash is passed over.

    Of an item in several lists the line with the most attempts counts.
    """
    found: dict[str, FailedItem] = {}
    for path in quarantine_paths(directory):
        for item_id, item in _read(path).items():
            if item_id not in found or item.attempts > found[item_id].attempts:
                found[item_id] = item
    return found


def quarantine_paths(directory: Path) -> list[Path]:
    """Return the lists of a store: the common one first, then those of workers."""
    common = directory / QUARANTINE_NAME
    return [*([common] if common.is_file() else []), *sorted(directory.glob("quarantine-*.jsonl"))]


def quarantine_path(directory: Path, *, worker: str) -> Path:
    """Return where a worker's list is."""
    return directory / (QUARANTINE_NAME if worker == MAIN_WORKER else f"quarantine-{worker}.jsonl")


class Quarantine:
    """The failed items of a store as one worker sees and changes them; what it changes lies in its own list."""

    def __init__(self, directory: Path, *, worker: str, stored: Container[str]) -> None:
        """Read the lists; items in `stored` have been read since they failed."""
        self._directory = directory
        self._path = quarantine_path(directory, worker=worker)
        self._own = _read(self._path) if self._path.is_file() else {}
        self.failed: dict[str, FailedItem] = {
            item_id: item for item_id, item in read_quarantine(directory).items() if item_id not in stored
        }

    def record(
        self, item_id: str, *, path: Path, reason: str, detail: str, stage: str, num_bytes: int | None
    ) -> None:
        """Add an item to the list; one already there counts one more attempt."""
        previous = self.failed.get(item_id)
        item = FailedItem(
            id=item_id,
            path=printable(str(path)),
            reason=reason,
            detail=printable(detail),
            stage=stage,
            attempts=1 if previous is None else previous.attempts + 1,
            bytes=num_bytes,
            time=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        )
        is_new = item_id not in self._own
        self.failed[item_id] = self._own[item_id] = item
        if is_new and _ends_clean(self._path):
            artifacts.append_line(self._path, asdict(item))
        else:
            self._publish(self._path, self._own)

    def forget(self, item_id: str) -> None:
        """Take an item off the list: it has succeeded since. In another worker's list it stays until the merge."""
        self.failed.pop(item_id, None)
        if self._own.pop(item_id, None) is not None:
            self._publish(self._path, self._own)

    def merge(self, *, stored: Container[str]) -> None:
        """Make one list of all workers' lists, without the items in `stored`. No worker may be at work."""
        failed = {
            item_id: item
            for item_id, item in read_quarantine(self._directory).items()
            if item_id not in stored
        }
        common = self._directory / QUARANTINE_NAME
        if failed != (_read(common) if common.is_file() else {}):
            self._publish(common, failed)
        for path in quarantine_paths(self._directory):
            if path != common:
                artifacts.discard(path)
        self.failed = failed
        self._own = failed if self._path == common else {}

    def _publish(self, path: Path, items: dict[str, FailedItem]) -> None:
        lines = [json.dumps(asdict(item), ensure_ascii=False) + "\n" for item in items.values()]
        artifacts.publish_text(path, "".join(lines))


def printable(text: str) -> str:
    r"""Return text that any file and terminal can take: control characters and stray bytes escaped.

    >>> printable("a\x1b[2J\udcff")
    'a\\x1b[2J\\udcff'
    """
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def _read(path: Path) -> dict[str, FailedItem]:
    items = (_parse(line) for line in path.read_text(encoding="utf-8", errors="replace").split("\n"))
    return {item.id: item for item in items if item is not None}


def _parse(line: str) -> FailedItem | None:
    try:
        return FailedItem(**json.loads(line))
    except (ValueError, TypeError):
        return None


def _ends_clean(path: Path) -> bool:
    if not path.is_file():
        return True
    with path.open("rb") as stream:
        stream.seek(max(path.stat().st_size - 1, 0))
        return stream.read(1) in {b"", b"\n"}

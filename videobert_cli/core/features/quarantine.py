"""`quarantine.jsonl`: the items that failed, once each, with the reason in a word and in a sentence."""

import datetime
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from videobert_cli import artifacts

QUARANTINE_NAME = "quarantine.jsonl"


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
    """Return the failed items of a store by id; a line cut by a crash is passed over."""
    path = directory / QUARANTINE_NAME
    if not path.is_file():
        return {}
    items = (_parse(line) for line in path.read_text(encoding="utf-8", errors="replace").split("\n"))
    return {item.id: item for item in items if item is not None}


def record_failure(
    directory: Path,
    *,
    known: dict[str, FailedItem],
    id: str,  # noqa: A002 - the word of the file's key
    path: Path,
    reason: str,
    detail: str,
    stage: str,
    num_bytes: int | None,
) -> None:
    """Add the item to the list on disk and in `known`; an item already there counts one more attempt."""
    previous = known.get(id)
    item = FailedItem(
        id=id,
        path=printable(str(path)),
        reason=reason,
        detail=printable(detail),
        stage=stage,
        attempts=1 if previous is None else previous.attempts + 1,
        bytes=num_bytes,
        time=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
    known[id] = item
    if previous is None and _ends_clean(directory / QUARANTINE_NAME):
        artifacts.append_line(directory / QUARANTINE_NAME, asdict(item))
    else:
        write_quarantine(directory, items=known.values())


def forget_failure(directory: Path, *, known: dict[str, FailedItem], id: str) -> None:  # noqa: A002
    """Take an item off the list, on disk and in `known`: it has succeeded since."""
    if known.pop(id, None) is not None:
        write_quarantine(directory, items=known.values())


def write_quarantine(directory: Path, *, items: Iterable[FailedItem]) -> None:
    """Publish the whole list, in the order given."""
    lines = [json.dumps(asdict(item), ensure_ascii=False) + "\n" for item in items]
    artifacts.publish_text(directory / QUARANTINE_NAME, "".join(lines))


def printable(text: str) -> str:
    r"""Return text that any file and terminal can take: control characters and stray bytes escaped.

    >>> printable("a\x1b[2J\udcff")
    'a\\x1b[2J\\udcff'
    """
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


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

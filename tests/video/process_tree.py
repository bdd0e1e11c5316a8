"""The processes under one process, and what they hold, read from /proc (Linux)."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path


def descendants(root: int) -> list[int]:
    """Every living process that `root` started, and those that they started."""
    parents = {pid: parent for pid in _pids() if (parent := _parent(pid)) is not None}
    found, waiting = [], [root]
    while waiting:
        parent = waiting.pop()
        children = [pid for pid, of in parents.items() if of == parent]
        found += children
        waiting += children
    return found


def decoder_children(root: int) -> list[int]:
    """The decoder children among them, in the order of their start."""
    return sorted(pid for pid in descendants(root) if "decoder_child" in command_line(pid))


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until_gone(pids: list[int], *, seconds: float = 5.0) -> list[int]:
    """Return those that still live when the time is up."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(map(is_alive, pids)):
        time.sleep(0.02)
    return [pid for pid in pids if is_alive(pid)]


class MemorySampler(threading.Thread):
    """Looks at a process and its descendants 20 times a second until it ends."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self._root = root
        self.peak_tree_bytes = 0
        self.peak_bytes_by_decoder: dict[int, int] = {}
        self.most_decoders = 0

    def run(self) -> None:
        while is_alive(self._root):
            decoders = decoder_children(self._root)
            held = {pid: resident_bytes(pid) for pid in (self._root, *descendants(self._root))}
            self.peak_tree_bytes = max(self.peak_tree_bytes, sum(held.values()))
            self.most_decoders = max(self.most_decoders, len(decoders))
            for pid in decoders:
                before = self.peak_bytes_by_decoder.get(pid, 0)
                self.peak_bytes_by_decoder[pid] = max(before, held.get(pid, 0))
            time.sleep(0.05)


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except (OSError, ValueError, IndexError):
        return None

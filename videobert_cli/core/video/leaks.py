"""The same video in two splits, found without decoding: the same file, the same bytes, the same YouTube id.

Copies that were encoded anew have other bytes and names: `core/words/leaks.py` finds them by their words.
"""

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import xxhash

from videobert_cli.core.video.entries import Split, Video

_EDGE_BYTES = 65_536
# `<id>` or `<id>_<start>_<end>`, as Kinetics and MSVD call a clip of a YouTube video.
_YOUTUBE_NAME = re.compile(r"([\w-]{11})(?:_(\d+)_(\d+))?")
# Clip_000001 and Monday-0002 have eleven characters too, and are called alike in every folder.
_COUNTER = re.compile(r"[A-Za-z]+[_-]?\d+|\d+")


@dataclass(frozen=True, kw_only=True)
class Leak:
    """Videos of different splits that are one and the same. `how` says what shows it; ids and splits side by side."""

    how: str
    ids: tuple[str, ...]
    splits: tuple[Split, ...]

    @property
    def words(self) -> str:
        """The leak for people."""
        shown = " = ".join(f"{key} ({split})" for key, split in zip(self.ids, self.splits, strict=True))
        return f"{shown}: {self.how}"


def file_leaks(
    videos: Sequence[Video], *, in_two_splits: Mapping[str, Collection[Split]] | None = None
) -> list[Leak]:
    """Return the leaks among the videos' files and names; files that are gone are passed over.

    Args:
        videos: All of them.
        in_two_splits: Ids that a dataset's own files put into several splits.
    """
    leaks = [
        Leak(how="listed in both", ids=(key,) * len(splits), splits=tuple(sorted(splits)))
        for key, splits in (in_two_splits or {}).items()
    ]
    if len({video.split for video in videos}) < 2:
        return leaks
    known: set[frozenset[str]] = set()
    for how, groups in (
        ("the same file", _same_files(videos)),
        ("files with the same bytes", _same_bytes(videos)),
        ("the same YouTube id", _same_youtube(videos)),
    ):
        for group in groups:
            key = frozenset(video.id for video in group)
            if key not in known and len({video.split for video in group}) > 1:
                known.add(key)
                leaks.append(_leak(how, group))
    return leaks


def _leak(how: str, group: Iterable[Video]) -> Leak:
    ordered = sorted(group, key=lambda video: video.id)
    return Leak(
        how=how, ids=tuple(video.id for video in ordered), splits=tuple(video.split for video in ordered)
    )


def _same_files(videos: Sequence[Video]) -> list[list[Video]]:
    groups: defaultdict[tuple[int, int], list[Video]] = defaultdict(list)
    for video in videos:
        status = _status(video.path)
        if status is not None:
            groups[status.st_dev, status.st_ino].append(video)
    return [group for group in groups.values() if len(group) > 1]


def _same_bytes(videos: Sequence[Video]) -> list[list[Video]]:
    """Return groups of equal size, first and last 64 kB; only files whose size another split has too are opened."""
    by_size: defaultdict[int, list[Video]] = defaultdict(list)
    for video in videos:
        status = _status(video.path)
        if status is not None and status.st_size and not video.path.is_dir():
            by_size[status.st_size].append(video)
    groups: defaultdict[tuple[int, str], list[Video]] = defaultdict(list)
    for size, group in by_size.items():
        if len({video.split for video in group}) > 1:
            for video in group:
                groups[size, _edges(video.path, size)].append(video)
    return [group for (_, edges), group in groups.items() if edges and len(group) > 1]


def _same_youtube(videos: Sequence[Video]) -> list[list[Video]]:
    """Return pairs of one YouTube id whose seconds overlap; a name without seconds is the whole video."""
    groups: defaultdict[str, list[tuple[float, float, Video]]] = defaultdict(list)
    for video in videos:
        match = _YOUTUBE_NAME.fullmatch(video.path.stem)
        if match and _looks_like_youtube(match[1]):
            start, end = (float(match[2]), float(match[3])) if match[2] else (0.0, float("inf"))
            groups[match[1]].append((start, end, video))
    return [
        [one, other]
        for group in groups.values()
        for (start, end, one), (other_start, other_end, other) in combinations(group, 2)
        if max(start, other_start) < min(end, other_end)
    ]


def _looks_like_youtube(name: str) -> bool:
    """Return whether eleven characters are an id drawn from 64 rather than a word or a counter.

    >>> [_looks_like_youtube(name) for name in ("GLd3aX16zBg", "tomato_soup", "Clip_000001", "video000001")]
    [True, False, False, False]
    """
    has_both = any(c.islower() for c in name) and any(c.isupper() for c in name)
    return has_both and not name.isalpha() and not _COUNTER.fullmatch(name)


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _edges(path: Path, size: int) -> str:
    """Return a hash of a regular file's two ends, empty for anything else."""
    if not path.is_file():
        return ""
    digest = xxhash.xxh3_128()
    try:
        with path.open("rb") as stream:
            digest.update(stream.read(_EDGE_BYTES))
            stream.seek(max(size - _EDGE_BYTES, 0))
            digest.update(stream.read(_EDGE_BYTES))
    except OSError:
        return ""
    return digest.hexdigest()

"""What a stored item remembers of its source file, so that a changed video is never taken for the old one."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import xxhash

from videobert_cli import artifacts
from videobert_cli.core.video.entries import Video
from videobert_cli.core.video.images import INDEX_NAME

_EDGE_BYTES = 65_536
# A network disk takes a millisecond and more to open a file: a million of them one by one would take an hour.
_NUM_FILES_AT_ONCE = 16


def changed_videos(videos: Sequence[Video], *, remembered: Mapping[str, Mapping[str, Any]]) -> list[Video]:
    """Return the videos whose file is not the one that `remembered` (facts of stored items by id) tells of.

    Videos without facts are passed over, and so is a file that is not there any more: it cannot have changed.
    """
    stored = [video for video in videos if video.id in remembered]
    with ThreadPoolExecutor(_NUM_FILES_AT_ONCE) as threads:
        found = threads.map(lambda video: source_fingerprint(video.path), stored)
        return [
            video
            for video, now in zip(stored, found, strict=True)
            if now is not None and not is_same_source(now, stored=remembered[video.id].get("source"))
        ]


def source_fingerprint(path: Path) -> dict[str, Any] | None:
    """Return size and hash of a video's edges, or of a folder's file names, sizes and times; None if it cannot be read.

    Only the first and last 64 kB are hashed: containers keep their index in one of them, and reading 100 TB of
    video again to learn that nothing changed would cost more than the features. No path and no time is part of
    it.
    """
    try:
        return _folder_fingerprint(path) if path.is_dir() else _file_fingerprint(path)
    except OSError:
        return None


def is_same_source(found: Mapping[str, Any], *, stored: Mapping[str, Any] | None) -> bool:
    """Return whether a source is what an item remembers; what older versions did not note is not compared."""
    return stored is not None and all(found.get(key) == value for key, value in stored.items())


def source_num_bytes(path: Path) -> int | None:
    """Return the size of a file, None for anything else."""
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:
        return None


def _file_fingerprint(path: Path) -> dict[str, Any] | None:
    # A named pipe would block the open for ever.
    if not path.is_file():
        return None
    num_bytes = path.stat().st_size
    digest = xxhash.xxh3_128()
    with path.open("rb") as stream:
        digest.update(stream.read(_EDGE_BYTES))
        stream.seek(max(num_bytes - _EDGE_BYTES, 0))
        digest.update(stream.read(_EDGE_BYTES))
    return {"num_bytes": num_bytes, "edges_xxh3": digest.hexdigest()}


def _folder_fingerprint(path: Path) -> dict[str, Any]:
    files = [file for file in path.iterdir() if file.is_file()]
    listing = sorted([os.fsencode(file.name).hex(), file.stat().st_size] for file in files)
    found = {"num_files": len(files), "listing_xxh3": artifacts.hash_json(listing)}
    index = path / INDEX_NAME
    # Other times, or other pictures, may well take as many bytes.
    return {**found, "index_xxh3": artifacts.hash_file(index)} if index.is_file() else found

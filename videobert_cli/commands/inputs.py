"""What a user may name as videos: files, folders, globs, lists of names, names on standard input."""

import glob
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from videobert_cli.core.video.folders import videos_under
from videobert_cli.errors import MissingInputError


def expand_inputs(names: Iterable[str], *, is_null_separated: bool) -> list[Path]:
    """Return the files that the names stand for, each once, in the order given; a folder's are sorted.

    A name that exists is taken as it is, whatever characters it has; only then are `@`, `-` and globs looked at.

    Raises:
        MissingInputError: A name stands for nothing, or nothing is named at all.
    """
    paths = list(
        dict.fromkeys(path for name in names for path in _expand(name, is_null_separated=is_null_separated))
    )
    if not paths:
        raise MissingInputError(
            "no video was named",
            at="command line or standard input",
            fix="name a video, or list it on standard input",
        )
    return paths


def _expand(name: str, *, is_null_separated: bool) -> Iterator[Path]:
    if name == "-":
        yield from _names(sys.stdin.buffer.read(), is_null_separated=is_null_separated)
        return
    path = Path(name)
    if path.is_dir():
        found = sorted(videos_under(path))
        if not found:
            raise MissingInputError("this folder holds no video", at=name, fix="name a folder that does")
        yield from found
    elif path.exists() or path.is_symlink():
        yield path
    elif name.startswith("@") and Path(name[1:]).is_file():
        yield from _names(Path(name[1:]).read_bytes(), is_null_separated=is_null_separated)
    else:
        found = sorted(Path(match) for match in glob.glob(name, recursive=True))  # noqa: PTH207 - may be absolute
        if not found:
            raise MissingInputError("there is no such file or folder", at=name, fix="check the name")
        yield from found


def _names(data: bytes, *, is_null_separated: bool) -> list[Path]:
    """Return the names in `data`: bytes, because a file's name need not be text."""
    parts = data.split(b"\0") if is_null_separated else [line.rstrip(b"\r") for line in data.split(b"\n")]
    return [Path(os.fsdecode(part)) for part in parts if part]

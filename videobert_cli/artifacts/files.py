"""Files that survive: temporary file in place, fsync, rename. A reader never sees half of one."""

import contextlib
import errno
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import xxhash
from safetensors import SafetensorError

from videobert_cli.errors import ResourceError

TRASH_PREFIX = ".trash-"
TEMPORARY_PREFIX = ".tmp-"
_BLOCK_BYTES = 1 << 22
# A run may be a folder with files of the user's own: what is swept has the very form of name that `_beside` gives.
_OURS = re.compile(
    rf"({re.escape(TEMPORARY_PREFIX)}|{re.escape(TRASH_PREFIX)})[0-9a-f]{{12}}-(?P<name>.+)", re.DOTALL
)


def publish(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` on a temporary file beside `path`, flush it to disk and rename it to `path`.

    Raises:
        ResourceError: The disk is full or the file grew over a limit; nothing is left behind.
    """
    temporary = _beside(path, TEMPORARY_PREFIX)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        _fsync(temporary)
        temporary.replace(path)
        _fsync(path.parent)
    except (OSError, SafetensorError) as error:
        raise _write_error(path, error) from error
    finally:
        _delete(temporary)


def publish_bytes(path: Path, data: bytes) -> None:
    """Publish `data` as the file `path`."""
    publish(path, lambda temporary: temporary.write_bytes(data))


def publish_text(path: Path, text: str) -> None:
    """Publish `text` as the UTF-8 file `path`, line ends as given."""
    publish_bytes(path, text.encode())


def publish_lines(path: Path, lines: Iterable[str]) -> None:
    """Publish UTF-8 lines, each written as it comes, so that a file of gigabytes is never in memory."""

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", newline="\n") as stream:
            stream.writelines(f"{line}\n" for line in lines)

    publish(path, write)


def publish_json(path: Path, value: object) -> None:
    """Publish `value` as indented JSON with sorted keys; refuses NaN and infinity."""
    publish_text(
        path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    )


def append_line(path: Path, value: object) -> None:
    """Append `value` as one JSON line by a single write, so that lines of parallel writers never mix."""
    line = (json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n").encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as stream:
            num_written = stream.write(line)
        if num_written != len(line):  # a disk that fills up takes a part and reports nothing
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise _write_error(path, error) from error


@contextlib.contextmanager
def publish_directory(path: Path) -> Iterator[Path]:
    """Yield a temporary directory beside `path`; on a clean exit it is renamed to `path`, else removed.

    The caller seals it (`seal`) before leaving. What is at `path` stays whole until the new one is on disk: two renames
    swap them, and only then is the old one deleted.
    """
    temporary = _beside(path, TEMPORARY_PREFIX)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        for file in (*temporary.rglob("*"), temporary):
            _fsync(file)
        trash = _move_to_trash(path)
        temporary.rename(path)
        _fsync(path.parent)
        _delete(trash)
    except (OSError, SafetensorError) as error:
        raise _write_error(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def discard(path: Path) -> None:
    """Remove a file or directory so that no reader sees it half gone: rename to the trash, then delete."""
    _delete(_move_to_trash(path))


def sweep(directory: Path, *, name: str | None = None) -> None:
    """Delete what a killed process left in `directory` (of `name` alone, where given): temporary files and
    unfinished deletions.
    """
    for prefix in (TEMPORARY_PREFIX, TRASH_PREFIX):
        for path in directory.glob(f"{prefix}*"):
            found = _OURS.fullmatch(path.name)
            if found and name in {None, found["name"]}:
                _delete(path)


def hash_file(path: Path) -> str:
    """Return the xxh3-128 hash of a file, as hexadecimal text."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def hash_json(value: object) -> str:
    """Return the xxh3-128 hash of a JSON value, whatever the order of its keys."""
    return xxhash.xxh3_128(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(path: Path, prefix: str) -> Path:
    return path.parent / f"{prefix}{uuid.uuid4().hex[:12]}-{path.name}"


def _move_to_trash(path: Path) -> Path | None:
    """Rename `path` and return where it is now, None where there was nothing."""
    try:
        return path.rename(_beside(path, TRASH_PREFIX))
    except (FileNotFoundError, NotADirectoryError):
        # Asked first, it could still go before it is renamed: shards of one store discard the same manifest.
        return None


def _delete(path: Path | None) -> None:
    if path is not None and path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    elif path is not None and (path.exists() or path.is_symlink()):
        path.unlink(missing_ok=True)


def _write_error(path: Path, error: OSError | SafetensorError) -> ResourceError:
    reason = error.strerror if isinstance(error, OSError) else None
    return ResourceError(
        f"cannot write: {reason or error}",
        at=str(path),
        fix="free some space or choose another place (--set run=DIR), then run the same command again",
    )

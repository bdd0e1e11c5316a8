"""One JSON file with the captions of many videos (HowTo100M's caption.json): found by id, never read whole."""

import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from videobert_cli.errors import InputError, MissingInputError

# HowTo100M's captions of 1.2M videos are 3 GB; the index of such a file is some 0.3 GB, one block of it 4 MB.
_BLOCK_BYTES = 4 << 20
_MAX_ENTRY_BYTES = 64 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# What lies between two brackets, strings taken as a whole; possessive, so that no text costs more than one pass.
_UP_TO_BRACKET = re.compile(rb'(?:[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
_LAST_KEY = re.compile(rb'("(?:[^"\\]++|\\.)*+")\s*:\s*$', re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """Where an entry's value lies in the file, in bytes."""

    offset: int
    length: int


def read_entry(path: Path, *, key: str) -> Any:
    """Return the JSON value under the top-level key `key`; the file is searched once for all the keys asked for.

    Only the places of the values are kept, until the file changes or four others were asked.

    Raises:
        MissingInputError: There is no such file.
        InputError: It has no such key, is no JSON object of objects or lists, or the value is no JSON.
    """
    places = _places_of(path)
    place = places.get(key)
    if place is None:
        raise InputError(
            f"there are no captions of video {key[:80]!r} in this file, which has those of {len(places):,} others",
            at=str(path),
            fix="check the id, or leave this video's captions out",
        )
    if place.length > _MAX_ENTRY_BYTES:
        raise InputError(
            f"the captions of video {key[:80]!r} are larger than {_MAX_ENTRY_BYTES >> 20} MB", at=str(path)
        )
    with path.open("rb") as stream:
        stream.seek(place.offset)
        data = stream.read(place.length)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"the captions of video {key[:80]!r} are not JSON ({error})", at=str(path)
        ) from error


def _places_of(path: Path) -> Mapping[str, _Place]:
    try:
        status = path.stat()
        found = _index(path, status.st_size, status.st_mtime_ns)
    except FileNotFoundError as error:
        raise MissingInputError("there is no such subtitle file", at=str(path)) from error
    except OSError as error:
        raise InputError(f"the subtitles cannot be read ({error.strerror or error})", at=str(path)) from error
    if isinstance(found, str):
        raise InputError(
            f"this is no JSON object with the captions of many videos ({found})",
            at=str(path),
            fix="give the whole file as it was published; docs/subtitles.md shows its form",
        )
    return found


@functools.lru_cache(maxsize=4)
def _index(path: Path, num_bytes: int, changed_ns: int) -> Mapping[str, _Place] | str:  # noqa: ARG001 - of the key
    """Return the places by key, or why there are none: that too is found once, not for each of a million videos."""
    with path.open("rb") as stream:
        try:
            return dict(_entries(stream))
        except _NotManyError as error:
            return str(error)


class _NotManyError(Exception):
    """The file is not what it should be; the text says where."""


def _entries(stream: BinaryIO) -> Iterator[tuple[str, _Place]]:
    """Yield key and place of each object or list of the top level, a key that comes twice both times."""
    depth, key, start = 0, "", 0
    for before, bracket, offset in _brackets(stream):
        if depth == 0 and (bracket != b"{" or before.removeprefix(_BYTE_ORDER_MARK).strip()):
            raise _NotManyError(f"at byte {offset} it does not begin with a brace")
        if bracket in b"{[":
            if depth == 1:
                key, start = _key_before(before, offset=offset), offset
            depth += 1
            continue
        depth -= 1
        if depth == 1:
            yield key, _Place(offset=start, length=offset + 1 - start)
        if depth == 0:
            return
    raise _NotManyError("it ends in the middle" if depth else "it is empty")


def _key_before(text: bytes, *, offset: int) -> str:
    found = _LAST_KEY.search(text)
    try:
        return str(json.loads(found.group(1))) if found else ""
    except ValueError as error:
        raise _NotManyError(f"the key before byte {offset} is not JSON") from error


def _brackets(stream: BinaryIO) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield each bracket outside strings with the text since the one before and its offset; one block in memory."""
    buffer, offset, at_end = b"", 0, False
    position = 0
    while not at_end:
        block = stream.read(_BLOCK_BYTES)
        at_end = not block
        buffer, offset, position = buffer[position:] + block, offset + position, 0
        if len(buffer) > _MAX_ENTRY_BYTES + _BLOCK_BYTES:
            raise _NotManyError(f"from byte {offset} on there is no bracket")
        while True:
            found = _UP_TO_BRACKET.match(buffer, position)
            end = found.end() if found else position
            bracket = buffer[end : end + 1]
            if bracket in {b"", b'"'}:  # the block ends, maybe inside a string: look again with the next one
                break
            yield buffer[position:end], bracket, offset + end
            position = end + 1

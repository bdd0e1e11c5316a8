"""Messages between the reader and its decoder child: a JSON head, then raw bytes, over a pair of pipes.

On the wire: two little-endian uint64 (bytes of the head, bytes of the body), the head, the body. No pickle:
the child decodes hostile files, and what it sends is only ever read as numbers and text.
"""

import json
import struct
from collections.abc import Sequence
from typing import Any, BinaryIO

_LENGTHS = struct.Struct("<QQ")
_MAX_HEAD_BYTES = 1 << 28
Buffer = bytes | bytearray | memoryview


def send(stream: BinaryIO, head: dict[str, Any], *, parts: Sequence[Buffer] = ()) -> None:
    """Write one message; `parts` are sent one after the other, so that nothing is copied together first."""
    encoded = json.dumps(head).encode()
    stream.write(_LENGTHS.pack(len(encoded), sum(memoryview(part).nbytes for part in parts)))
    stream.write(encoded)
    for part in parts:
        stream.write(part)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[dict[str, Any], bytearray]:
    """Return the head and the body of the next message.

    Raises:
        EOFError: The other side is gone, at a message's end or in its middle.
    """
    head_bytes, body_bytes = _LENGTHS.unpack(_read_exactly(stream, _LENGTHS.size))
    if head_bytes > _MAX_HEAD_BYTES:
        raise EOFError("the other side sent no message but noise")
    head: dict[str, Any] = json.loads(_read_exactly(stream, head_bytes))
    return head, _read_exactly(stream, body_bytes)


def _read_exactly(stream: BinaryIO, num_bytes: int) -> bytearray:
    data = bytearray(num_bytes)
    view = memoryview(data)
    filled = 0
    while filled < num_bytes:
        count = stream.readinto(view[filled:])  # type: ignore[attr-defined]
        if not count:
            raise EOFError("the other side closed the pipe")
        filled += count
    return data

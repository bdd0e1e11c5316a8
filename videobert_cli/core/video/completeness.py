"""Whether a file holds all that its own structure promises: a download that stopped half-way opens and decodes.

MPEG-TS, MPEG-PS and OGG declare neither length nor count, so a cut one cannot be told from a short one.
"""

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO

# Below this rate no video is coded (a still picture in H.264 needs ten times as much): a header that claims
# hours for a few kilobytes is not believed.
_LEAST_BITS_PER_SECOND = 500
_SHARE = 0.9
_SLACK_SECONDS = 1.0
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")


@dataclass(frozen=True, kw_only=True)
class Completeness:
    """What the file promises, and how much of it there is."""

    num_bytes: int
    promised_num_bytes: int | None
    declared_duration_seconds: float | None
    declared_num_frames: int

    def why_truncated(self, *, duration_seconds: float, num_packets: int, num_errors: int) -> str | None:
        """Return in words what is missing, or None.

        An index that lists more frames than there are is proof. A declared duration alone is not (sound may
        be longer than pictures, edit lists change it): the bytes must end early too, or packets be damaged.
        """
        seconds_per_frame = duration_seconds / max(1, num_packets)
        missing_frames = _SHARE * self.declared_num_frames - num_packets
        if num_packets and missing_frames * seconds_per_frame > _SLACK_SECONDS:
            return f"its index lists {self.declared_num_frames} frames, {num_packets} are there"
        is_cut = self.promised_num_bytes is not None and self.promised_num_bytes > self.num_bytes
        declared = self.declared_duration_seconds
        if declared is None:
            if self.promised_num_bytes is not None and self.num_bytes < _SHARE * self.promised_num_bytes:
                return f"it promises {self.promised_num_bytes} bytes and has {self.num_bytes}"
            return None
        declared = believed_duration_seconds(declared, num_bytes=self.num_bytes)
        if declared is None:
            return None
        if (is_cut or num_errors) and duration_seconds < _SHARE * declared - _SLACK_SECONDS:
            return f"it declares {declared:.1f} s, {duration_seconds:.1f} s are there"
        return None


def believed_duration_seconds(declared_seconds: float | None, *, num_bytes: int) -> float | None:
    """Return the declared duration if so many bytes can fill it, else None."""
    if declared_seconds is None or num_bytes * 8 < declared_seconds * _LEAST_BITS_PER_SECOND:
        return None
    return declared_seconds


def promised_num_bytes(file: BinaryIO) -> int | None:
    """Return the length that the file's outermost boxes add up to, or None where the format does not say.

    The file's position is kept.
    """
    position = file.tell()
    try:
        file.seek(0)
        head = file.read(64)
        if head.startswith(_EBML):
            return _matroska_end(head)
        if head.startswith(b"RIFF"):
            return int(struct.unpack_from("<I", head, 4)[0]) + 8
        if head.startswith(_ASF_HEADER):
            return _asf_end(file, head)
        return _mp4_end(file) if head[4:8] in {b"ftyp", b"moov", b"mdat", b"free", b"wide", b"styp"} else None
    except struct.error:
        return None
    finally:
        file.seek(position)


def _mp4_end(file: BinaryIO) -> int:
    """Walk the top-level boxes; a box of size 0 runs to the end of the file."""
    num_bytes = file.seek(0, os.SEEK_END)
    start = 0
    while start + 8 <= num_bytes:
        file.seek(start)
        head = file.read(16)
        size = int(struct.unpack_from(">I", head)[0])
        if size == 1:
            size = int(struct.unpack_from(">Q", head, 8)[0])
        if size < 8:
            return num_bytes
        start += size
    return start


def _matroska_end(head: bytes) -> int | None:
    """Return the end of the Segment; None for a live stream (unknown size) or a longer EBML header."""
    size, length = _ebml_number(head, 4)
    start = 4 + length + (size or 0)
    if head[start : start + 4] != _SEGMENT:
        return None
    size, length = _ebml_number(head, start + 4)
    return None if size is None else start + 4 + length + size


def _ebml_number(data: bytes, start: int) -> tuple[int | None, int]:
    """Return the variable-length number at `start` (None for `unknown`, all ones) and its length in bytes."""
    if start >= len(data) or data[start] == 0:
        raise struct.error("no EBML number here")
    length = 9 - data[start].bit_length()
    value = int.from_bytes(data[start : start + length], "big") & ((1 << 7 * length) - 1)
    return (None if value == (1 << 7 * length) - 1 else value), length


def _asf_end(file: BinaryIO, head: bytes) -> int:
    """Return the end of the data object, the second of the file (an index may follow)."""
    header_num_bytes = int(struct.unpack_from("<Q", head, 16)[0])
    file.seek(header_num_bytes + 16)
    return header_num_bytes + int(struct.unpack("<Q", file.read(8))[0])

"""Some rows of the tensors of a safetensors file, read without mapping it.

safetensors' own reader maps the whole file, 256 MB of address space for a shard, of which `ulimit -v` may leave none.

Shapes: R rows of a tensor, N rows asked for.
"""

import json
import math
import os
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

# The names that safetensors has for what a store holds.
_DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I16": "<i2", "I32": "<i4", "I64": "<i8"}
_LENGTH_NUM_BYTES = 8
# safetensors refuses larger headers too.
_HEADER_MAX_NUM_BYTES = 100_000_000
_OFFSETS = "data_offsets"


class TensorRows:
    """An open safetensors file: which tensors it holds, and rows of them (a context manager).

    Raises:
        OSError: The file cannot be read (FileNotFoundError: there is none).
        ValueError: It is no safetensors file, or cut off.
        KeyError, TypeError: Its header lacks something, or has something else there.
    """

    def __init__(self, path: Path) -> None:
        # Unbuffered: rows are read straight into their array.
        self._file: IO[bytes] = path.open("rb", buffering=0)
        try:
            self._header, self._data_start = self._read_header()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "TensorRows":
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()

    def __contains__(self, name: object) -> bool:
        return name in self._header

    def read(self, name: str, *, start: int, stop: int) -> NDArray[Any]:
        """Return rows `start` to `stop` (N, ...) of a tensor (R, ...).

        Raises:
            KeyError: There is no such tensor.
            ValueError: It has not so many rows, or is of a type that no store holds.
        """
        tensor = self._header[name]
        dtype = np.dtype(_DTYPES[tensor["dtype"]])
        num_rows, *rest = tensor["shape"]
        first, last = tensor[_OFFSETS]
        row_num_bytes = math.prod(rest) * dtype.itemsize
        if last - first != num_rows * row_num_bytes:
            raise ValueError(f"tensor {name!r} takes {last - first} bytes and not what its shape needs")
        if not 0 <= start <= stop <= num_rows:
            raise ValueError(f"rows {start} to {stop} of tensor {name!r}, which has {num_rows}")
        rows = np.empty((stop - start, *rest), dtype=dtype)
        self._fill(as_bytes(rows), at=self._data_start + first + start * row_num_bytes)
        return rows

    def _read_header(self) -> tuple[dict[str, Any], int]:
        size = os.fstat(self._file.fileno()).st_size
        length_bytes = bytearray(_LENGTH_NUM_BYTES)
        self._fill(memoryview(length_bytes), at=0)
        length = int.from_bytes(length_bytes, "little")
        if length > min(size - _LENGTH_NUM_BYTES, _HEADER_MAX_NUM_BYTES):
            raise ValueError(f"a header of {length} bytes in a file of {size}")
        text = bytearray(length)
        self._fill(memoryview(text), at=_LENGTH_NUM_BYTES)
        header = json.loads(text.decode())
        tensors = {name: header[name] for name in header if name != "__metadata__"}
        data_start, end = _LENGTH_NUM_BYTES + length, 0
        for first, last in sorted(tensor[_OFFSETS] for tensor in tensors.values()):
            if first != end or last < first:
                raise ValueError("the tensors do not lie one after another")
            end = last
        if data_start + end != size:
            raise ValueError(f"{size} bytes, and the header tells of {data_start + end}")
        return tensors, data_start

    def _fill(self, target: memoryview, *, at: int) -> None:
        """Read into the whole of `target` from byte `at` on; one call reads 2 GB at most."""
        self._file.seek(at)
        num_read = 0
        while num_read < len(target):
            # An unbuffered file reads into what it is given.
            num_now = self._file.readinto(target[num_read:])  # type: ignore[attr-defined]
            if not num_now:
                raise ValueError("the file ends too early")
            num_read += num_now


def as_bytes(array: NDArray[Any]) -> memoryview:
    """Return an array's bytes, not copied where they lie in order."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data

"""One-dimensional arrays on disk as .npy files: written piece by piece, mapped into memory, never pickled."""

from pathlib import Path
from typing import Any

import numpy as np


class ArrayWriter:
    """A .npy file that grows, of an artifact that is not published yet.

    Its header, which numpy pads for this, is written again when it is closed.
    """

    def __init__(self, path: Path, *, dtype: np.dtype[Any]) -> None:
        self._stream = path.open("wb")
        self._dtype = dtype
        self.length = 0
        self._write_header()

    def append(self, values: np.ndarray) -> None:
        """Write values at the end."""
        self._stream.write(values.astype(self._dtype, copy=False).tobytes())
        self.length += len(values)

    def close(self) -> None:
        """Write how many there are; until then the file says none."""
        self._stream.seek(0)
        self._write_header()
        self._stream.close()

    def _write_header(self) -> None:
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": (self.length,)}
        np.lib.format.write_array_header_1_0(self._stream, header)


def mapped_array(path: Path) -> np.ndarray:
    """Return the array of a file without reading it: the system brings its pages when they are looked at.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no array.
    """
    with path.open("rb") as stream:
        np.lib.format.read_magic(stream)
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    if shape == (0,):  # nothing cannot be mapped
        return np.zeros(0, dtype=dtype)
    # A plain array: every slice of numpy's memmap class costs microseconds.
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))

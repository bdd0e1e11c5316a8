"""A few slots of memory that a decoder child and its parent both see: frames cross over without a pipe.

On Linux the memory is an unlinked memfd handed to the child by descriptor: it has no name, so whoever is killed, and
however, nothing is left behind. It is sealed against shrinking: a child that decodes hostile files cannot pull the
memory from under the parent. Elsewhere (macOS, Windows), and where the system refuses the memory (a limit on file
sizes), frames go through the pipe, at twice the price.
"""

import contextlib
import mmap
import os
import sys

import numpy as np
from numpy.typing import NDArray

# Larger ones go through the pipe: two slots a child, and sixteen children must not take the machine's memory.
MAX_SLOT_BYTES = 128 << 20


class FrameRing:
    """Slots of equal size in shared memory; who may use which is agreed by messages, not here.

    The mapping goes when the last array over it goes, so a ring may be dropped while its frames are still read.
    """

    def __init__(self, descriptor: int, *, num_slots: int, slot_num_bytes: int) -> None:
        """Map the memory behind `descriptor`, which stays the caller's to close."""
        self.num_slots = num_slots
        self.slot_num_bytes = slot_num_bytes
        self._memory = mmap.mmap(descriptor, num_slots * slot_num_bytes)

    def slot(self, number: int, *, num_bytes: int) -> NDArray[np.uint8]:
        """Return the first `num_bytes` of a slot, as a view.

        Raises:
            ValueError: There is no such slot, or it is smaller.
        """
        if not (0 <= number < self.num_slots and 0 <= num_bytes <= self.slot_num_bytes):
            raise ValueError(f"slot {number} of {self.num_slots} has no {num_bytes} bytes")
        return np.frombuffer(self._memory, np.uint8, num_bytes, number * self.slot_num_bytes)


def open_shared_memory(num_bytes: int) -> int | None:
    """Return a descriptor of new shared memory, None where the system has no such thing or refuses it."""
    if sys.platform != "linux":
        return None
    import fcntl

    try:
        descriptor = os.memfd_create("videobert-frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError:
        return None
    try:
        os.ftruncate(descriptor, num_bytes)
        fcntl.fcntl(
            descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        )
    except OSError:
        with contextlib.suppress(OSError):
            os.close(descriptor)
        return None
    return descriptor

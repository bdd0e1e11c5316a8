"""What a decoder child may take of the machine: memory, open files, written bytes; and that it dies with its parent.

On Linux each limit holds; macOS knows them and does not enforce the one on memory, Windows has none of them: there
only time (`Watch`), the checks before decoding and the process boundary protect.
"""

import contextlib
import ctypes
import gc
import os
import signal
import sys
import tempfile
from pathlib import Path

_MAX_OPEN_FILES = 64
_PR_SET_PDEATHSIG = 1
# About three frames with what belongs to them.
_OBJECTS_BETWEEN_COLLECTIONS = 10
# Three planes of 16 bits.
_MAX_BYTES_PER_PIXEL = 6


def free_frames_at_once() -> None:
    """Make Python look for unreachable objects after every few, not after 700.

    PyAV's frame and its side data refer to each other, so a frame lives until the collector comes: 300 MB of 720p and
    3 GB of 4K were held by nobody. What is there already is exempt, which makes a look cost microseconds.
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 2, 2)


def limit_resources(*, max_memory_bytes: int | None) -> None:
    """Lower this process's limits, where the system has such a thing.

    Memory is counted as RLIMIT_DATA does: what is private and writable, whether touched or not. Libraries and the
    address space that threads and GPU drivers merely reserve do not count, so that one figure fits every decoder.
    """
    try:
        import resource
    except ImportError:
        return
    limits = {
        resource.RLIMIT_DATA: max_memory_bytes or resource.RLIM_INFINITY,
        resource.RLIMIT_NOFILE: _MAX_OPEN_FILES,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for name, value in limits.items():
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(name, (value, value))
    # Python finds the folder for temporary files by writing to it, and torch asks for that folder as it is imported.
    tempfile.tempdir = os.environ.get("TMPDIR", os.sep)
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            raise SystemExit("the parent is gone")


def resident_private_bytes(pid: int) -> int | None:
    """Return the memory that a process holds and shares with nobody; None where the system does not tell."""
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


def is_memory_short(*, num_pixels: int) -> bool:
    """Return whether this process's limit leaves no room for one more frame of so many pixels.

    FFmpeg's decoders answer a refused allocation with the same error as damaged data: this tells the two apart.
    """
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        used_bytes = int(status.split("VmData:")[1].split()[0]) << 10
    except (ImportError, OSError, IndexError, ValueError):
        return False
    return limit != resource.RLIM_INFINITY and limit - used_bytes < num_pixels * _MAX_BYTES_PER_PIXEL

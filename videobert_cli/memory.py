"""The only place that asks how much memory there is, and says what becomes of memory that is freed.

`torch` is imported inside the functions, as in `runtime`.
"""

import contextlib
import ctypes
import gc
import math
import mmap
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# Where Linux tells what memory there is, for the machine, this process and its container; elsewhere 4 GiB are assumed.
_MEMINFO, _STATUS, _CGROUP = Path("/proc/meminfo"), Path("/proc/self/status"), Path("/sys/fs/cgroup")
_LEAST_MEMORY_BYTES = 1 << 32
_HUGE_PAGE_BYTES = 1 << 21
# glibc's M_MMAP_MAX: no block is a mapping of its own; M_TRIM_THRESHOLD: the heap does not shrink below 2 GiB of spare.
_MALLOC_KEEPS = {-4: 0, -1: 2**31 - 1}
# And back: glibc's own number of mappings, M_MMAP_THRESHOLD and M_TRIM_THRESHOLD, which then stay where they are.
_MALLOC_GIVES_BACK = {-4: 65_536, -3: 1 << 20, -1: 1 << 20}


def keep_freed_memory() -> bool:
    """Have large blocks that are freed stay with this process, for the next one of that size; return whether they do.

    glibc gives blocks above 32 MB back to the system at once and gets them anew page by page: 71,000 page faults for
    one clip of S3D, a quarter of its time on a CPU. The process then stays as large as it once was. Other C libraries
    have no such setting; nothing changes there.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return all(mallopt(setting, value) == 1 for setting, value in _MALLOC_KEEPS.items())


def empty_in_huge_pages(*shape: int, device: "torch.device") -> "torch.Tensor":
    """Return an uninitialised float32 tensor, on a CPU in pages of 2 MB where Linux has them to give.

    Rows of 4 KB in pages of 4 KB cost a look into the page table each, at every pass.
    """
    import torch

    num_bytes = math.prod(shape) * torch.float32.itemsize
    if device.type != "cpu" or num_bytes < _HUGE_PAGE_BYTES or not hasattr(mmap, "MADV_HUGEPAGE"):
        return torch.empty(*shape, device=device)
    try:
        memory = mmap.mmap(-1, num_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory.madvise(mmap.MADV_HUGEPAGE)
    except OSError:  # a kernel without them
        return torch.empty(*shape, device=device)
    return torch.frombuffer(memory, dtype=torch.float32).view(shape)


def give_back_freed_memory() -> bool:
    """Have blocks above 1 MiB go back to the system when they are freed, if `ulimit -v` bounds this process.

    In glibc's heap they would hold address space for ever: after one step that was too large, nothing else could be
    mapped, not even the few pages of a new kernel. Each such block then costs its page faults anew. Returns whether so.
    """
    if _address_space_bytes() is None:
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return all(mallopt(setting, value) == 1 for setting, value in _MALLOC_GIVES_BACK.items())


def give_back_memory(device: "torch.device") -> None:
    """Give memory that nothing uses any more back to the system: Python's cycles, glibc's heap, torch's GPU cache.

    A heap that keeps it leaves no room for what is mapped beside it, such as the code that oneDNN makes for a new size.
    """
    import torch

    gc.collect()
    with contextlib.suppress(OSError, AttributeError, TypeError):  # no glibc
        ctypes.CDLL(None).malloc_trim(0)
    if device.type == "cuda":
        torch.cuda.empty_cache()


def free_memory_bytes(device: "torch.device") -> int:
    """Return how much memory there is for more: the GPU's, else what machine, container and `ulimit -v` leave."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    found = [_LEAST_MEMORY_BYTES] if not _MEMINFO.is_file() else [_kib_line(_MEMINFO, "MemAvailable:")]
    limit = _address_space_bytes()
    if limit is not None and _STATUS.is_file():
        found.append(max(0, limit - _kib_line(_STATUS, "VmSize:")))
    maximum, used, statistics = (_CGROUP / f"memory.{name}" for name in ("max", "current", "stat"))
    with contextlib.suppress(OSError, ValueError, StopIteration):
        # Cached files count as used there, and make room when it is needed.
        cached = next(
            int(line.split()[1]) for line in statistics.read_text().splitlines() if line.startswith("file ")
        )
        found.append(max(0, int(maximum.read_text()) - int(used.read_text()) + cached))
    return max(1, min(found))


def used_memory_bytes(device: "torch.device") -> int | None:
    """Return the most memory a GPU has held for this process, on a CPU what this process holds; None is not known."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return _kib_line(_STATUS, "VmRSS:") if device.type == "cpu" and _STATUS.is_file() else None


def _kib_line(path: Path, name: str) -> int:
    lines = (line.split() for line in path.read_text().splitlines())
    return next(int(line[1]) * 1024 for line in lines if line and line[0] == name)


def _address_space_bytes() -> int | None:
    """Return what `ulimit -v` allows, None for no limit."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit

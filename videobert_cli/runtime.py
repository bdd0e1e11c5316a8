"""The only place that asks what hardware and which process there is: device, precision, seed, versions.

`torch` is imported inside the functions, so that reading a recipe or printing help never loads it.
"""

import hashlib
import importlib.metadata
import os
import platform
import signal
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videobert_cli.errors import InterruptedRunError, KeyboardStopError, UsageError

if TYPE_CHECKING:
    import torch

RECORDED_PACKAGES = ("videobert-cli", "torch", "transformers", "numpy", "av", "scikit-learn", "safetensors")
DEVICE_TYPES = ("cpu", "cuda", "mps")


def pick_device(name: str) -> "torch.device":
    """Return the device called `auto`, `cpu`, `cuda`, `cuda:1` or `mps`; `auto` is the fastest that is here.

    Under torchrun `auto` and `cuda` are each rank's own GPU.

    Raises:
        UsageError: The device does not exist on this machine, or the name means nothing to torch.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(
            f"there is no device called {name!r}", at="--device", fix="use auto, cpu, cuda, cuda:N or mps"
        ) from error
    if device.type not in DEVICE_TYPES:
        raise UsageError(
            f"device {name!r} is of a kind that videobert does not run on",
            at="--device",
            fix="use auto, cpu, cuda, cuda:N or mps",
        )
    missing_cuda = device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()
    missing_mps = device.type == "mps" and not torch.backends.mps.is_available()
    if missing_cuda or missing_mps:
        raise UsageError(
            f"device {name!r} is not on this machine", at="--device", fix="use --device auto or --device cpu"
        )
    rank = launched_rank()
    if name == "cuda" and rank is not None:
        return torch.device("cuda", rank.local_index % torch.cuda.device_count())
    return device


@dataclass(frozen=True, kw_only=True)
class LaunchedRank:
    """This process as `torchrun` counts it: `index` of `num_ranks` in all, `local_index` on this machine."""

    index: int
    num_ranks: int
    local_index: int


def launched_rank() -> LaunchedRank | None:
    """Return which of `torchrun`'s processes this is, None where it did not start this one."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    values = [os.environ.get(name, "") for name in names]
    if "TORCHELASTIC_RUN_ID" not in os.environ or not all(value.isdecimal() for value in values):
        return None
    index, num_ranks, local_index = map(int, values)
    return LaunchedRank(index=index, num_ranks=num_ranks, local_index=local_index)


def has_fast_bfloat16(device: "torch.device") -> bool:
    """Return whether bfloat16 products are faster than float32 ones: Ampere or newer, AMX, or AMD's AVX512-BF16.

    An Intel processor has AVX512-BF16 too, but where AMX is missing, or hidden by a virtual machine, its products in
    bfloat16 run at half the rate of float32 (170 against 335 GFLOP/s on 2 cores, torch 2.13).
    """
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    is_intel = str(capabilities.get("cpu_name", "")).startswith("Intel")
    return bool(capabilities.get("amx_bf16") or (capabilities.get("avx512_bf16") and not is_intel))


def device_name(device: "torch.device") -> str:
    """Return what the device calls itself, `NVIDIA H100 80GB HBM3`, or its kind."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def derive_seed(*parts: int | str) -> int:
    """Return a 63-bit seed that depends on nothing but `parts`, the same on every machine and Python.

    >>> derive_seed(0, "mask", 3, "v1") == derive_seed(0, "mask", 3, "v1")
    True
    >>> derive_seed(0, 12) == derive_seed(0, "1", "2")
    False
    """
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def environment(*, seed: int, device: str) -> dict[str, Any]:
    """Return what a run remembers of the machine: versions, hardware, git commit, command line, time."""
    return {
        "time": utc_time(),
        "argv": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "num_cpus": os.cpu_count(),
        "packages": {name: _version(name) for name in RECORDED_PACKAGES},
        "gpu": _gpu_name(),
        "git_commit": _git_commit(Path.cwd()),
        "device": device,
        "seed": seed,
    }


def utc_time() -> str:
    """Return the time as people read it, `2026-11-25 10:04:49 UTC`, for what never enters a hash."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def package_version() -> str:
    """Return the version of videobert itself."""
    return _version("videobert-cli") or "unknown"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _gpu_name() -> str | None:
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


def _git_commit(directory: Path) -> str | None:
    """Read the commit from .git itself: no subprocess, and no surprise where git is not installed."""
    for folder in (directory, *directory.parents):
        head = folder / ".git" / "HEAD"
        if head.is_file():
            text = head.read_text().strip()
            if not text.startswith("ref: "):
                return text
            return _git_ref(folder / ".git", text.removeprefix("ref: "))
    return None


def _git_ref(git: Path, name: str) -> str | None:
    """Return the commit of a ref, which `git gc` moves from a file of its own into `packed-refs`."""
    if (git / name).is_file():
        return (git / name).read_text().strip()
    packed = git / "packed-refs"
    lines = packed.read_text().splitlines() if packed.is_file() else []
    return next((line.split()[0] for line in lines if line.endswith(f" {name}")), None)


class StopRequest:
    """Whether this process was asked to stop, by a signal or a time limit; long work looks between its portions."""

    def __init__(self, *, deadline: float | None = None) -> None:
        """Args: `deadline` is when the work has to stop, as `time.monotonic` counts."""
        self._signal: int | None = None
        self._deadline = deadline

    @property
    def requested(self) -> bool:
        """Whether a signal has come or the time is over."""
        return self.has_signal or self._is_time_over

    @property
    def has_signal(self) -> bool:
        """Whether a signal has come."""
        return self._signal is not None

    @property
    def _is_time_over(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline

    @property
    def code(self) -> int:
        """What several ranks can agree on: 0 for no request, 1 for the time limit, else the signal's number."""
        return self._signal or int(self._is_time_over)

    def take(self, code: int) -> None:
        """Note what another rank was asked."""
        if code > 1:
            self._signal = code
        elif code == 1:
            self._time_limit_seconds = 0.0

    def request(self, signal_number: int) -> None:
        """Note a signal."""
        self._signal = signal_number

    def raise_if_requested(self, saved: str) -> None:
        """Raise what the signal stands for, if one has come, or the end of the time; `saved` says what is safe on disk.

        Raises:
            KeyboardStopError: SIGINT.
            InterruptedRunError: Any other signal, or the time limit.
        """
        if not self.requested:
            return
        kind = KeyboardStopError if self._signal == signal.SIGINT else InterruptedRunError
        name = "the time limit" if self._signal is None else signal.Signals(self._signal).name
        raise kind(f"stopped by {name}: {saved}", fix="run the same command again to go on")

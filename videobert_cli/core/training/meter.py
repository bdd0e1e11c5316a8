"""How fast a training goes: tokens and steps a second, share of the device's peak, memory. It changes nothing."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from videobert_cli.core.training.options import TrainingPrecision
from videobert_cli.memory import used_memory_bytes
from videobert_cli.runtime import device_name, has_fast_bfloat16

if TYPE_CHECKING:
    import torch

# Dense products in bfloat16, in 1e12 operations a second, as the makers' data sheets say; the first name found counts.
_PEAK_TERAFLOPS = (
    ("H200", 989.0),
    ("H100 PCIe", 756.0),
    ("H100 NVL", 835.0),
    ("H100", 989.0),
    ("GH200", 989.0),
    ("B200", 2250.0),
    ("H20", 148.0),
    ("H800", 989.0),
    ("A100", 312.0),
    ("A800", 312.0),
    ("L40S", 362.0),
    ("L40", 181.0),
    ("L4", 121.0),
    ("A10G", 70.0),
    ("A10", 125.0),
    ("A30", 165.0),
    ("A40", 150.0),
    ("RTX 4090", 165.2),
    ("RTX 3090", 71.0),
)
# Sides of the square products that are timed where no data sheet is known: milliseconds each.
_TIMED_SIDE = {"cuda": 4096, "cpu": 512}
_NUM_TIMED = 5
_SECONDS_BETWEEN_NEWS = 1.0


@dataclass(frozen=True, kw_only=True)
class Speed:
    """How fast the steps since the last reading were, without validations and checkpoints; None is not known.

    `seconds` is what they took, `mfu` the share of the device's peak that went into real tokens, `memory_bytes` the
    most the GPU has held, on a CPU what this process holds.
    """

    seconds: float
    steps_per_second: float
    tokens_per_second: float | None
    mfu: float | None
    peak_flops_per_second: float | None
    memory_bytes: int | None

    def record(self) -> dict[str, float]:
        """Return what is known, for a line of `metrics.jsonl`."""
        return {
            name: value if isinstance(value, int) else float(f"{value:.6g}")
            for name, value in asdict(self).items()
            if value is not None
        }


class Meter:
    """Counts steps, tokens and operations between readings."""

    def __init__(self, device: "torch.device", *, precision: TrainingPrecision) -> None:
        self._device = device
        is_bfloat16 = precision == "bfloat16" or (precision == "auto" and has_fast_bfloat16(device))
        self._precision: TrainingPrecision = "bfloat16" if is_bfloat16 else "float32"
        self._peak: float | None = None
        self._is_peak_known = False
        self._last_news = time.monotonic()
        self._reset()

    def add(self, *, num_tokens: int, num_flops: float) -> None:
        """Count one step; 0 where the job does not know."""
        self._num_steps += 1
        self._num_tokens += num_tokens
        self._num_flops += num_flops

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Leave what is done inside out of the time."""
        began = time.monotonic()
        yield
        self._paused_seconds += time.monotonic() - began

    def is_news_due(self) -> bool:
        """Return whether a second has passed since somebody was last told."""
        return time.monotonic() - self._last_news >= _SECONDS_BETWEEN_NEWS

    def told(self) -> None:
        """Note that somebody was told just now."""
        self._last_news = time.monotonic()

    def read(self) -> Speed:
        """Return the speed since the last reading and begin anew; the first reading may time a few products."""
        seconds = max(1e-9, time.monotonic() - self._started - self._paused_seconds)
        peak = self._peak_flops_per_second() if self._num_flops else None
        speed = Speed(
            seconds=seconds,
            steps_per_second=self._num_steps / seconds,
            tokens_per_second=self._num_tokens / seconds if self._num_tokens else None,
            mfu=self._num_flops / seconds / peak if peak else None,
            peak_flops_per_second=peak,
            memory_bytes=used_memory_bytes(self._device),
        )
        self._reset()
        return speed

    def _reset(self) -> None:
        self._num_steps, self._num_tokens, self._num_flops, self._paused_seconds = 0, 0, 0.0, 0.0
        self._started = time.monotonic()

    def _peak_flops_per_second(self) -> float | None:
        if not self._is_peak_known:
            self._peak = peak_flops_per_second(self._device, precision=self._precision)
            self._is_peak_known = True
        return self._peak


def peak_flops_per_second(device: "torch.device", *, precision: TrainingPrecision) -> float | None:
    """Return the most operations a second in `precision`: the data sheet's, else the best of a few timed products.

    None where neither is to be had: Apple's GPUs are not timed.
    """
    name = device_name(device)
    if device.type == "cuda" and precision == "bfloat16":
        for part, teraflops in _PEAK_TERAFLOPS:
            if part in name:
                return teraflops * 1e12
    return _timed_flops_per_second(device, precision=precision) if device.type in _TIMED_SIDE else None


def _timed_flops_per_second(device: "torch.device", *, precision: TrainingPrecision) -> float:
    import torch

    side = _TIMED_SIDE[device.type]
    # Ones: no random number is drawn, so no training depends on this.
    factor = torch.ones(side, side, device=device, dtype=getattr(torch, precision))
    best = float("inf")
    for _ in range(_NUM_TIMED):
        began = time.perf_counter()
        torch.mm(factor, factor)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - began)
    return 2.0 * side**3 / best

"""What an extraction tells of itself: while it runs, and at its end."""

from dataclasses import dataclass
from typing import Any, Literal

from videobert_cli.core.features.line.rates import ExtractRates

Outcome = Literal["done", "kept", "failed"]


@dataclass(frozen=True, kw_only=True)
class ExtractProgress:
    """One video has been dealt with. `num_clips` and `seconds` are that video's, the rest counts the run
    so far.
    """

    num_done: int
    num_kept: int
    num_failed: int
    num_total: int
    video_id: str
    outcome: Outcome
    num_clips: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class ItemReport:
    """What became of one video; `reason` is the quarantine's word, empty unless it failed."""

    id: str
    outcome: Outcome
    num_clips: int
    seconds: float
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class ExtractReport:
    """What became of all videos, in id order; `is_stopped` when `should_stop` said so before the last one.

    `rates` is None where there was nothing to decode.
    """

    items: tuple[ItemReport, ...]
    seconds: float
    is_stopped: bool
    rates: ExtractRates | None

    def count(self, outcome: Outcome) -> int:
        """Return how many videos ended so."""
        return sum(item.outcome == outcome for item in self.items)

    @property
    def num_done(self) -> int:
        """Return the videos that this call extracted."""
        return self.count("done")

    @property
    def num_failed(self) -> int:
        """Return the videos that have no features."""
        return self.count("failed")

    @property
    def num_readable(self) -> int:
        """Return the videos that have features, old and new."""
        return self.count("done") + self.count("kept")

    @property
    def num_clips(self) -> int:
        """Return the clips of all videos that have features, old and new."""
        return sum(item.num_clips for item in self.items)

    @property
    def failures_by_reason(self) -> dict[str, int]:
        """Return how many videos failed for each reason."""
        reasons = sorted(item.reason for item in self.items if item.outcome == "failed")
        return {reason: reasons.count(reason) for reason in dict.fromkeys(reasons)}

    @property
    def speed(self) -> str:
        """Return the speed and what limits it in a few words, empty where nothing was computed."""
        return f", {self.rates.words}" if self.rates and self.rates.num_clips else ""

    @property
    def summary(self) -> str:
        """Return what became of the videos, in one line."""
        failed = f", {self.num_failed} failed" if self.num_failed else ""
        return f"{self.num_readable:,} videos, {self.num_clips:,} clips{failed}{self.speed}"

    @property
    def facts(self) -> dict[str, Any]:
        """Return the numbers for scripts, flat, by the names of docs/commands.md."""
        counted: dict[str, Any] = {
            "extract.num_videos": self.num_readable,
            "extract.num_clips": self.num_clips,
            "extract.num_failed": self.num_failed,
            **{f"extract.failed.{reason}": count for reason, count in self.failures_by_reason.items()},
        }
        if self.rates is None or not self.rates.num_clips:
            return counted
        return {
            **counted,
            "extract.clips_per_second": round(self.rates.clips_per_second, 3),
            "extract.times_real_time": round(self.rates.times_real_time, 3),
            "extract.bottleneck": self.rates.bottleneck,
        }

"""One extraction as both its doors run it: progress to the reporter, failures named, nothing readable refused."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from videobert_cli.artifacts import is_finished
from videobert_cli.core.features.extract import (
    ExtractProgress,
    ExtractRates,
    ExtractReport,
    extract_features,
)
from videobert_cli.core.features.line.sharding import Shard
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.features.store.item_writer import OpenWriter, open_features
from videobert_cli.core.features.store.quarantine import QUARANTINE_NAME, read_quarantine
from videobert_cli.core.features.store.reader import locate_items
from videobert_cli.core.video.entries import Video
from videobert_cli.errors import InputError
from videobert_cli.pipeline.reporter import Reporter
from videobert_cli.runtime import StopRequest

_SECONDS_BETWEEN_NEWS = 1.0


@dataclass(frozen=True, kw_only=True)
class ExtractJob:
    """What is extracted into which store, with what, and who is told.

    `on_failed` says what becomes of videos that could not be read before (`--retry-failed`). `directory` is the store
    whose items count as done; `sealed_together` are stores beside it that hold no fewer (`pipeline.kept_words`).
    """

    videos: Sequence[Video]
    options: ExtractOptions
    directory: Path
    device: torch.device
    on_failed: Literal["keep", "retry"]
    stop: StopRequest
    reporter: Reporter
    open_writer: OpenWriter = open_features
    sealed_together: tuple[Path, ...] = ()

    def remaining_ids(self) -> list[str]:
        """Return the videos of which the store has neither features nor a failure."""
        known = set(locate_items(self.directory)) | set(read_quarantine(self.directory))
        return [video.id for video in self.videos if video.id not in known]

    def is_done(self) -> bool:
        """Return whether the store is sealed and there is nothing left to read."""
        if not all(is_finished(store) for store in (self.directory, *self.sealed_together)):
            return False
        failed = read_quarantine(self.directory) if self.on_failed == "retry" else {}
        return not self.remaining_ids() and not any(video.id in failed for video in self.videos)


@dataclass(frozen=True, kw_only=True)
class ExtractEnd:
    """The end of an extraction that is not a whole stage: of named files, or of one shard.

    `facts` are flat numbers for scripts, `is_new` says whether any video was read, `state` how far all shards are.
    """

    summary: str
    facts: Mapping[str, Any]
    num_failed: int
    is_new: bool
    state: str = ""

    @classmethod
    def of(cls, report: ExtractReport, *, state: str = "") -> "ExtractEnd":
        """Return the end that a report tells of."""
        return cls(
            summary=report.summary,
            facts=report.facts,
            num_failed=report.num_failed,
            is_new=report.num_done > 0,
            state=state,
        )


def extract_reported(
    job: ExtractJob, *, shard: Shard | None = None, at_end: Literal["seal", "leave"] = "seal"
) -> ExtractReport:
    """Extract the job's videos, or one shard of them; tell how far it is and what failed.

    `at_end` says whether the store is sealed, which is for a process that holds it alone; a shard never seals it.

    Raises:
        InterruptedRunError: A stop was asked for; what is done is kept.
        InputError: No video could be read.
    """
    num_videos = len(shard.of(job.videos)) if shard else len(job.videos)
    news = _News(job.reporter, num_total=num_videos)
    report = extract_features(
        job.videos,
        options=job.options,
        directory=job.directory,
        device=job.device,
        on_progress=news.take_progress,
        on_rates=news.take_rates,
        should_stop=lambda: job.stop.requested,
        on_failed=job.on_failed,
        shard=shard,
        at_end=at_end,
        open_writer=job.open_writer,
    )
    job.stop.raise_if_requested(f"{report.num_readable:,} of {num_videos:,} videos are extracted")
    if report.num_failed:
        failures = ", ".join(f"{count} {reason}" for reason, count in report.failures_by_reason.items())
        # A shard's own list becomes part of the common one when the last shard ends.
        path = job.directory / QUARANTINE_NAME
        job.reporter.warning(f"{report.num_failed:,} of {num_videos:,} videos failed: {failures} -> {path}")
        # The other shards may well find videos that can be read.
        if shard is None:
            _require_any(report, failures=failures, path=path)
    return report


class _News:
    """How far the extraction is, told when a video has ended and about once a second in between.

    Both callbacks may come from different threads; only the caller's own, that of `take_rates`, speaks.
    """

    def __init__(self, reporter: Reporter, *, num_total: int) -> None:
        self._reporter = reporter
        self._num_total = num_total
        self._num_done = 0
        self._num_failed = 0
        self._told: tuple[int, float] = (0, 0.0)

    def take_progress(self, progress: ExtractProgress) -> None:
        """Note that a video has been dealt with."""
        self._num_done = progress.num_done + progress.num_kept + progress.num_failed
        self._num_failed = progress.num_failed

    def take_rates(self, rates: ExtractRates) -> None:
        """Tell how far it is and how fast, unless that was just done."""
        done, now = self._num_done, time.monotonic()
        if done == self._told[0] and now - self._told[1] < _SECONDS_BETWEEN_NEWS:
            return
        self._told = done, now
        failed = f", {self._num_failed:,} failed" if self._num_failed else ""
        detail = f"videos{failed}  {rates.words}"
        self._reporter.progress("extract", done=done, total=self._num_total, detail=detail)


def _require_any(report: ExtractReport, *, failures: str, path: Path) -> None:
    if not report.num_readable:
        raise InputError(
            f"no video could be read: {failures}",
            at=str(path),
            fix="look at the reasons in that file; repair the videos, then run the same command again",
        )

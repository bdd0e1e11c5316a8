"""One extraction as both its doors run it: progress to the reporter, failures named, nothing readable refused."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch

from videobert_cli.core.features.extract import (
    ExtractProgress,
    ExtractRates,
    ExtractReport,
    extract_features,
)
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.features.quarantine import QUARANTINE_NAME
from videobert_cli.core.video.entries import Video
from videobert_cli.errors import InputError
from videobert_cli.pipeline.reporter import Reporter
from videobert_cli.runtime import StopRequest

_SECONDS_BETWEEN_NEWS = 1.0


def extract_reported(
    videos: Sequence[Video],
    *,
    options: ExtractOptions,
    directory: Path,
    device: torch.device,
    on_failed: Literal["keep", "retry"] = "keep",
    stop: StopRequest,
    reporter: Reporter,
) -> ExtractReport:
    """Extract `videos` into the store at `directory`, telling `reporter` how far it is and what failed.

    Raises:
        InterruptedRunError: A stop was asked for; what is done is kept.
        InputError: No video could be read.
    """
    news = _News(reporter, num_total=len(videos))
    report = extract_features(
        videos,
        options=options,
        directory=directory,
        device=device,
        on_progress=news.take_progress,
        on_rates=news.take_rates,
        should_stop=lambda: stop.requested,
        retry_failed=on_failed == "retry",
    )
    stop.raise_if_requested(f"{report.num_readable:,} of {len(videos):,} videos are extracted")
    if report.num_failed:
        _tell_failures(report, num_videos=len(videos), path=directory / QUARANTINE_NAME, reporter=reporter)
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


def _tell_failures(report: ExtractReport, *, num_videos: int, path: Path, reporter: Reporter) -> None:
    failures = ", ".join(f"{count} {reason}" for reason, count in sorted(report.failures_by_reason.items()))
    reporter.warning(f"{report.num_failed:,} of {num_videos:,} videos failed: {failures} -> {path}")
    if not report.num_readable:
        raise InputError(
            f"no video could be read: {failures}",
            at=str(path),
            fix="look at the reasons in that file; repair the videos, then run the same command again",
        )

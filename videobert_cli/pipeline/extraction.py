"""One extraction as both its doors run it: progress to the reporter, failures named, nothing readable refused."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch

from videobert_cli.core.features.extract import ExtractProgress, ExtractReport, extract_features
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.features.quarantine import QUARANTINE_NAME
from videobert_cli.core.video.entries import Video
from videobert_cli.errors import InputError
from videobert_cli.pipeline.reporter import Reporter
from videobert_cli.runtime import StopRequest


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

    def on_progress(progress: ExtractProgress) -> None:
        done = progress.num_done + progress.num_kept + progress.num_failed
        failed = f"  {progress.num_failed} failed" if progress.num_failed else ""
        reporter.progress("extract", done=done, total=progress.num_total, detail=f"videos{failed}")

    report = extract_features(
        videos,
        options=options,
        directory=directory,
        device=device,
        on_progress=on_progress,
        should_stop=lambda: stop.requested,
        retry_failed=on_failed == "retry",
    )
    stop.raise_if_requested(f"{report.num_readable:,} of {len(videos):,} videos are extracted")
    if report.num_failed:
        _tell_failures(report, num_videos=len(videos), path=directory / QUARANTINE_NAME, reporter=reporter)
    return report


def _tell_failures(report: ExtractReport, *, num_videos: int, path: Path, reporter: Reporter) -> None:
    failures = ", ".join(f"{count} {reason}" for reason, count in sorted(report.failures_by_reason.items()))
    reporter.warning(f"{report.num_failed:,} of {num_videos:,} videos failed: {failures} -> {path}")
    if not report.num_readable:
        raise InputError(
            f"no video could be read: {failures}",
            at=str(path),
            fix="look at the reasons in that file; repair the videos, then run the same command again",
        )

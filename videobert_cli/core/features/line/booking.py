"""What became of each video of one extraction: stored or put into quarantine, counted, and told."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from videobert_cli.core.features.line.extract_report import ExtractProgress, ItemReport, Outcome
from videobert_cli.core.features.line.store_thread import EndedVideo
from videobert_cli.core.features.store.item_writer import ItemWriter
from videobert_cli.core.features.store.source import source_fingerprint
from videobert_cli.core.video.frames import VideoSummary
from videobert_cli.errors import VideoError


class Booking:
    """The state of one call: the store, what became of each video, who is told."""

    def __init__(
        self, *, writer: ItemWriter, on_progress: Callable[[ExtractProgress], None], num_total: int
    ) -> None:
        self.writer = writer
        self.items: list[ItemReport] = []
        self.num_total = num_total
        self._on_progress = on_progress
        self._counts: dict[Outcome, int] = {"done": 0, "kept": 0, "failed": 0}

    @property
    def num_booked(self) -> int:
        """Return how many videos have been dealt with."""
        return len(self.items)

    def note(
        self, video_id: str, *, outcome: Outcome, num_clips: int = 0, seconds: float = 0.0, reason: str = ""
    ) -> None:
        """Book the end of one video and tell the caller."""
        self.items.append(
            ItemReport(id=video_id, outcome=outcome, num_clips=num_clips, seconds=seconds, reason=reason)
        )
        self._counts[outcome] += 1
        self._on_progress(
            ExtractProgress(
                num_done=self._counts["done"],
                num_kept=self._counts["kept"],
                num_failed=self._counts["failed"],
                num_total=self.num_total,
                video_id=video_id,
                outcome=outcome,
                num_clips=num_clips,
                seconds=seconds,
            )
        )

    def book(self, ended: EndedVideo, *, arithmetic: str) -> None:
        """Store a video that has been computed, or put it into quarantine; `arithmetic` is what it was computed in.

        Raises:
            ResourceError: The disk is full.
        """
        video = ended.video
        try:
            if isinstance(ended.ending.content, VideoError):
                raise ended.ending.content
            found = ended.collector.finish(ended.ending.content, path=video.path)
            self.writer.add(
                video.id,
                features_TD=found.features_TD,
                clip_start_seconds_T=found.clip_start_seconds_T,
                facts=_facts(found.summary, path=video.path, arithmetic=arithmetic),
            )
            self.note(video.id, outcome="done", num_clips=len(found.features_TD), seconds=ended.seconds)
        except VideoError as error:
            self.writer.quarantine(video.id, path=video.path, reason=error.reason, detail=error.what)
            self.note(video.id, outcome="failed", seconds=ended.seconds, reason=error.reason)


def _facts(summary: VideoSummary, *, path: Path, arithmetic: str) -> dict[str, Any]:
    return {"video": asdict(summary), "source": source_fingerprint(path), "arithmetic": arithmetic}

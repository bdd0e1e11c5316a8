"""Videos become features: decoding in the reader's child overlaps with the backbone, and every finished
video is safe.

Shapes: T clips of a video, D feature.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from videobert_cli.core.features.backbones import Backbone, load_backbone
from videobert_cli.core.features.collect import FeatureCollector
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.features.read_ahead import ReadAhead, ReadEvent
from videobert_cli.core.features.source import source_fingerprint
from videobert_cli.core.features.store_writer import FeatureStoreWriter
from videobert_cli.core.video.frames import ClipBatch, VideoSummary
from videobert_cli.core.video.manifest import Video
from videobert_cli.errors import StaleStageError, VideoError

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
    """What became of all videos, in id order; `is_stopped` when `should_stop` said so before the last one."""

    items: tuple[ItemReport, ...]
    seconds: float
    is_stopped: bool

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


def extract_features(
    videos: Sequence[Video],
    *,
    options: ExtractOptions,
    directory: Path,
    device: torch.device,
    on_progress: Callable[[ExtractProgress], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
    retry_failed: bool = False,
    worker: str = "main",
) -> ExtractReport:
    """Fill the feature store at `directory` with the features of `videos`, in id order, and seal it.

    What the store holds is kept; what failed before stays failed unless `retry_failed`; a video that cannot be
    read is quarantined and the rest go on. Stopped or killed, the next call goes on where this one was.

    Raises:
        StaleStageError: The store was made with other settings, or a video's file has changed since.
        InputError: The backbone's weights cannot be had.
        ResourceError: Disk or memory ran out.
    """
    started = time.monotonic()
    backbone = load_backbone(options, device=device)
    writer = FeatureStoreWriter.create_or_open(
        directory, fingerprint=backbone.fingerprint, dim=backbone.dim, worker=worker
    )
    ordered = sorted(videos, key=lambda video: video.id)
    _require_unchanged(ordered, writer=writer)
    run = _Run(writer=writer, on_progress=on_progress, num_total=len(ordered))
    todo = []
    for video in ordered:
        if video.id in writer:
            run.note(video.id, outcome="kept", num_clips=writer.item(video.id).num_clips)
        elif video.id in writer.failed and not retry_failed:
            run.note(video.id, outcome="failed", reason=writer.failed[video.id].reason)
        else:
            todo.append(video)
    is_stopped = _extract(todo, run=run, backbone=backbone, options=options, should_stop=should_stop)
    if not is_stopped:
        writer.seal()
    items = tuple(sorted(run.items, key=lambda item: item.id))
    return ExtractReport(items=items, seconds=time.monotonic() - started, is_stopped=is_stopped)


class _Run:
    """The state of one call: the store, what became of each video, who is told."""

    def __init__(
        self, *, writer: FeatureStoreWriter, on_progress: Callable[[ExtractProgress], None], num_total: int
    ) -> None:
        self.writer = writer
        self.items: list[ItemReport] = []
        self._on_progress = on_progress
        self._num_total = num_total
        self._counts: dict[Outcome, int] = {"done": 0, "kept": 0, "failed": 0}

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
                num_total=self._num_total,
                video_id=video_id,
                outcome=outcome,
                num_clips=num_clips,
                seconds=seconds,
            )
        )


def _extract(
    videos: Sequence[Video],
    *,
    run: _Run,
    backbone: Backbone,
    options: ExtractOptions,
    should_stop: Callable[[], bool],
) -> bool:
    """Extract `videos`; return whether `should_stop` ended it before the last one."""
    if not videos or should_stop():
        return bool(videos)
    collector = FeatureCollector(backbone)
    started = time.monotonic()
    num_left = len(videos)
    with ReadAhead(videos, request=backbone.frame_request(options), options=options.reader) as events:
        for event in events:
            if isinstance(event.content, ClipBatch):
                collector.take(event.content)
                continue
            _end_video(event, run=run, collector=collector, dtype=backbone.dtype, started=started)
            started = time.monotonic()
            num_left -= 1
            if num_left and should_stop():
                return True
    return False


def _end_video(
    event: ReadEvent, *, run: _Run, collector: FeatureCollector, dtype: torch.dtype, started: float
) -> None:
    """Store the video whose summary has come, or put it into quarantine."""
    video = event.video
    try:
        if isinstance(event.content, VideoSummary):
            found = collector.finish(event.content, path=video.path)
            facts = _facts(found.summary, path=video.path, dtype=dtype)
            run.writer.add(
                video.id,
                features_TD=found.features_TD,
                clip_start_seconds_T=found.clip_start_seconds_T,
                facts=facts,
            )
            run.note(
                video.id, outcome="done", num_clips=len(found.features_TD), seconds=time.monotonic() - started
            )
        elif isinstance(event.content, VideoError):
            raise event.content
    except VideoError as error:
        collector.drop()
        run.writer.quarantine(video.id, path=video.path, reason=error.reason, detail=error.what)
        run.note(video.id, outcome="failed", seconds=time.monotonic() - started, reason=error.reason)


def _facts(summary: VideoSummary, *, path: Path, dtype: torch.dtype) -> dict[str, Any]:
    arithmetic = str(dtype).removeprefix("torch.")
    return {"video": asdict(summary), "source": source_fingerprint(path), "arithmetic": arithmetic}


def _require_unchanged(videos: Sequence[Video], *, writer: FeatureStoreWriter) -> None:
    """Refuse a store whose videos have changed; one that is no longer there cannot have."""
    changed = []
    for video in videos:
        if video.id in writer:
            now, then = source_fingerprint(video.path), writer.item(video.id).facts.get("source")
            if now is not None and now != then:
                changed.append(video.path)
    if changed:
        raise StaleStageError(
            f"{len(changed)} video(s) changed since their features were made, first {changed[0].name!r}",
            at=str(changed[0]),
            fix=f"restore the file, use another run directory (--set run=DIR), or remove {writer.directory}",
        )

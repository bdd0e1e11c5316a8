"""Videos become features: decoder children, the backbone and the store each at work all the time, and every
finished video is safe.

A line of five: children decode (`decoder_pool`), one thread packs clips of whichever videos into batches (`batches`),
the caller's thread drives the device (`device`), one thread stores (`store_thread`); each waits for the next, so memory
does not depend on how long or how many the videos are.

Shapes: N clips of a batch, T clips of a video, D feature.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from videobert_cli.core.features.backbones import Backbone, load_backbone
from videobert_cli.core.features.batches import Packer, Work
from videobert_cli.core.features.collect import FeatureCollector
from videobert_cli.core.features.device import DeviceQueue, Pending
from videobert_cli.core.features.extract_report import ExtractProgress, ExtractReport, ItemReport, Outcome
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.features.quarantine import MAIN_WORKER
from videobert_cli.core.features.rates import ExtractRates, Stopwatch
from videobert_cli.core.features.sharding import Shard
from videobert_cli.core.features.source import source_fingerprint
from videobert_cli.core.features.store_thread import EndedVideo, StoreThread
from videobert_cli.core.features.store_writer import FeatureStoreWriter
from videobert_cli.core.video.decoder_pool import DecoderPool, count_decoders
from videobert_cli.core.video.entries import Video
from videobert_cli.core.video.frames import VideoSummary
from videobert_cli.errors import StaleStageError, VideoError

__all__ = ["ExtractProgress", "ExtractRates", "ExtractReport", "ItemReport", "Outcome", "extract_features"]

# How often a stop is looked for while nothing comes.
_SECONDS_BETWEEN_LOOKS = 0.2
# A network disk takes a millisecond and more to open a file: a million of them one by one would take an hour.
_NUM_FILES_AT_ONCE = 16


def extract_features(
    videos: Sequence[Video],
    *,
    options: ExtractOptions,
    directory: Path,
    device: torch.device,
    on_progress: Callable[[ExtractProgress], None] = lambda _: None,
    on_rates: Callable[[ExtractRates], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
    on_failed: Literal["keep", "retry"] = "keep",
    shard: Shard | None = None,
) -> ExtractReport:
    """Fill the feature store at `directory` with the features of `videos`, in id order, and seal it.

    What the store holds is kept; what failed before stays failed unless it is to be tried again; a video that cannot
    be read is quarantined and the rest go on. Stopped or killed, the next call goes on where this one was.

    Args:
        videos: What to extract.
        options: The recipe's `extract:` section.
        directory: The store's.
        device: Where the backbone computes.
        on_progress: Called for each video that has been dealt with, by the thread that stores.
        on_rates: Called after each batch, by the caller's thread.
        should_stop: Asked after each batch and each video, by both threads.
        on_failed: Whether quarantined videos are tried again.
        shard: The part of the videos that is this process's, where several fill the store; it is then not sealed.

    Raises:
        StaleStageError: The store was made with other settings, or a video's file has changed since.
        InputError: The backbone's weights cannot be had.
        ResourceError: Disk or memory ran out.
    """
    started = time.monotonic()
    backbone = load_backbone(options, device=device)
    writer = FeatureStoreWriter.create_or_open(
        directory,
        fingerprint=backbone.fingerprint,
        dim=backbone.dim,
        worker=shard.worker if shard else MAIN_WORKER,
    )
    ordered = sorted(shard.of(videos) if shard else videos, key=lambda video: video.id)
    _require_unchanged(ordered, writer=writer)
    run = _Run(writer=writer, on_progress=on_progress, num_total=len(ordered))
    todo = []
    for video in ordered:
        if video.id in writer:
            run.note(video.id, outcome="kept", num_clips=writer.item(video.id).num_clips)
        elif video.id in writer.failed and on_failed == "keep":
            run.note(video.id, outcome="failed", reason=writer.failed[video.id].reason)
        else:
            todo.append(video)
    rates = None
    is_stopped = bool(todo) and should_stop()
    if todo and not is_stopped:
        line = _Line(todo, run=run, backbone=backbone, options=options, device=device)
        is_stopped = line.run(should_stop=should_stop, on_rates=on_rates)
        rates = line.watch.rates()
    if not is_stopped and shard is None:
        writer.seal()
    items = tuple(sorted(run.items, key=lambda item: item.id))
    return ExtractReport(items=items, seconds=time.monotonic() - started, is_stopped=is_stopped, rates=rates)


class _Run:
    """The state of one call: the store, what became of each video, who is told."""

    def __init__(
        self, *, writer: FeatureStoreWriter, on_progress: Callable[[ExtractProgress], None], num_total: int
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


@dataclass(kw_only=True)
class _OpenVideo:
    """A video of which some clips have been computed."""

    collector: FeatureCollector = field(default_factory=FeatureCollector)
    started: float = field(default_factory=time.monotonic)


class _Line:
    """The line at work on a list of videos, seen from the thread that drives the device."""

    def __init__(
        self,
        videos: Sequence[Video],
        *,
        run: _Run,
        backbone: Backbone,
        options: ExtractOptions,
        device: torch.device,
    ) -> None:
        self._videos = videos
        self._run = run
        self._dtype = str(backbone.dtype).removeprefix("torch.")
        self._device = DeviceQueue(backbone, device=device)
        self._request = backbone.frame_request(options)
        self._reader = options.reader
        self._num_workers = count_decoders(
            options.reader.num_workers, device_type=device.type, num_videos=len(videos)
        )
        self._open: dict[int, _OpenVideo] = {}
        self.watch = Stopwatch(clip_stride_seconds=options.clip_stride_frames / options.frames_per_second)

    def run(self, *, should_stop: Callable[[], bool], on_rates: Callable[[ExtractRates], None]) -> bool:
        """Extract the videos; return whether `should_stop` ended it before the last one."""
        pool = DecoderPool(
            self._videos, request=self._request, options=self._reader, num_workers=self._num_workers
        )
        packer = Packer(pool, batches=self._device.new_batches(self._request))
        store = StoreThread(lambda ended: self._book(ended, should_stop=should_stop))
        with store, pool, packer:
            for started in self._started(packer, is_over=lambda: store.is_stopped or should_stop()):
                self._settle(started, packer=packer, store=store)
                on_rates(self.watch.rates())
            with self.watch.waiting_for("disk"):
                store.finish()
        on_rates(self.watch.rates())
        return self._run.num_booked < self._run.num_total

    def _started(self, packer: Packer, *, is_over: Callable[[], bool]) -> Iterator["_Started"]:
        """Yield work in order, each once the device has had as much more to do as it can queue."""
        waiting: deque[_Started] = deque()
        while not is_over():
            try:
                with self.watch.waiting_for("decode"):
                    work = packer.next_work(timeout_seconds=0 if waiting else _SECONDS_BETWEEN_LOOKS)
            except TimeoutError:
                if waiting:
                    yield waiting.popleft()
                continue
            if work is None:
                yield from waiting
                return
            with self.watch.waiting_for("device"):
                waiting.append(
                    _Started(work=work, pending=self._device.start(work.batch) if work.batch else None)
                )
            while len(waiting) > self._device.depth:
                yield waiting.popleft()

    def _settle(self, started: "_Started", *, packer: Packer, store: StoreThread) -> None:
        """Give the features of a batch to their videos, and those that have ended to the store."""
        if started.pending is not None:
            with self.watch.waiting_for("device"):
                features_ND = started.pending.wait()
            first = 0
            for position, starts_N in started.pending.batch.shares:
                last = first + len(starts_N)
                video = self._open.setdefault(position, _OpenVideo())
                video.collector.take(features_ND[first:last], clip_start_seconds_N=starts_N)
                first = last
            self.watch.num_clips += first
            packer.free(started.pending.batch)
        for ending in started.work.endings:
            video = self._open.pop(ending.position, _OpenVideo())
            ended = EndedVideo(
                video=self._videos[ending.position],
                ending=ending,
                collector=video.collector,
                seconds=time.monotonic() - video.started,
            )
            with self.watch.waiting_for("disk"):
                store.put(ended)

    def _book(self, ended: EndedVideo, *, should_stop: Callable[[], bool]) -> bool:
        """Store a video or put it into quarantine; return whether the next may follow. The store's thread calls it."""
        video, run = ended.video, self._run
        try:
            if isinstance(ended.ending.content, VideoError):
                raise ended.ending.content
            found = ended.collector.finish(ended.ending.content, path=video.path)
            run.writer.add(
                video.id,
                features_TD=found.features_TD,
                clip_start_seconds_T=found.clip_start_seconds_T,
                facts=_facts(found.summary, path=video.path, arithmetic=self._dtype),
            )
            run.note(video.id, outcome="done", num_clips=len(found.features_TD), seconds=ended.seconds)
        except VideoError as error:
            run.writer.quarantine(video.id, path=video.path, reason=error.reason, detail=error.what)
            run.note(video.id, outcome="failed", seconds=ended.seconds, reason=error.reason)
        return not should_stop()


@dataclass(frozen=True, kw_only=True)
class _Started:
    """Work that the device has begun, where there is something to compute."""

    work: Work
    pending: Pending | None


def _facts(summary: VideoSummary, *, path: Path, arithmetic: str) -> dict[str, Any]:
    return {"video": asdict(summary), "source": source_fingerprint(path), "arithmetic": arithmetic}


def _require_unchanged(videos: Sequence[Video], *, writer: FeatureStoreWriter) -> None:
    """Refuse a store whose videos have changed; one that is no longer there cannot have."""
    stored = [video for video in videos if video.id in writer]
    with ThreadPoolExecutor(_NUM_FILES_AT_ONCE) as threads:
        found = threads.map(lambda video: source_fingerprint(video.path), stored)
        changed = [
            video.path
            for video, now in zip(stored, found, strict=True)
            if now is not None and now != writer.item(video.id).facts.get("source")
        ]
    if changed:
        raise StaleStageError(
            f"{len(changed)} video(s) changed since their features were made, first {changed[0].name!r}",
            at=str(changed[0]),
            fix=f"restore the file, use another run directory (--set run=DIR), or remove {writer.directory}",
        )

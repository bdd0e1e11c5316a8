"""One machine as a line of five: children decode (`decoder_pool`), one thread packs clips of whichever videos into
batches (`batches`), the caller's thread drives the device (`device`), one thread stores (`store_thread`); each waits
for the next, so memory does not depend on how long or how many the videos are.

Shapes: N clips of a batch, D feature.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from videobert_cli.core.features.backbones.registry import Backbone
from videobert_cli.core.features.line.batches import Packer, Work
from videobert_cli.core.features.line.booking import Booking
from videobert_cli.core.features.line.collect import FeatureCollector
from videobert_cli.core.features.line.device import DeviceQueue, Pending, require_shape
from videobert_cli.core.features.line.rates import ExtractRates, Stopwatch
from videobert_cli.core.features.line.store_thread import EndedVideo, StoreThread
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.video.decoder_pool import DecoderPool, count_decoders
from videobert_cli.core.video.entries import Video

# How often a stop is looked for while nothing comes.
_SECONDS_BETWEEN_LOOKS = 0.2


@dataclass(kw_only=True)
class _OpenVideo:
    """A video of which some clips have been computed."""

    collector: FeatureCollector = field(default_factory=FeatureCollector)
    started: float = field(default_factory=time.monotonic)


class LocalEngine:
    """The line at work on a list of videos, seen from the thread that drives the device."""

    def __init__(
        self,
        videos: Sequence[Video],
        *,
        booking: Booking,
        backbone: Backbone,
        options: ExtractOptions,
        device: torch.device,
    ) -> None:
        self._videos = videos
        self._booking = booking
        self._backbone = backbone
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
        return self._booking.num_booked < self._booking.num_total

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
            require_shape(features_ND, num_clips=started.pending.batch.num_clips, backbone=self._backbone)
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
        """Book a video; return whether the next may follow. The store's thread calls it."""
        self._booking.book(ended, arithmetic=self._dtype)
        return not should_stop()


@dataclass(frozen=True, kw_only=True)
class _Started:
    """Work that the device has begun, where there is something to compute."""

    work: Work
    pending: Pending | None

"""Videos become features: what the store lacks is decoded, computed and stored, and every finished video is safe.

An engine does the work: `line.engine_local` on this machine, `line.engine_ray` on a fleet of them.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, Protocol

import torch

from videobert_cli.core.features.backbones.registry import Backbone, load_backbone
from videobert_cli.core.features.line.booking import Booking
from videobert_cli.core.features.line.engine_local import LocalEngine
from videobert_cli.core.features.line.engine_ray import RayEngine
from videobert_cli.core.features.line.extract_report import (
    ExtractProgress,
    ExtractReport,
    ItemReport,
    Outcome,
)
from videobert_cli.core.features.line.rates import ExtractRates, Stopwatch
from videobert_cli.core.features.line.sharding import Shard
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.features.store.item_writer import ItemWriter, OpenWriter, open_features
from videobert_cli.core.features.store.quarantine import MAIN_WORKER
from videobert_cli.core.features.store.source import is_same_source, source_fingerprint
from videobert_cli.core.video.entries import Video
from videobert_cli.errors import StaleStageError

__all__ = ["ExtractProgress", "ExtractRates", "ExtractReport", "ItemReport", "Outcome", "extract_features"]

# A network disk takes a millisecond and more to open a file: a million of them one by one would take an hour.
_NUM_FILES_AT_ONCE = 16


class Engine(Protocol):
    """Does the work on a list of videos; `watch` tells how fast it went."""

    watch: Stopwatch

    def run(self, *, should_stop: Callable[[], bool], on_rates: Callable[[ExtractRates], None]) -> bool:
        """Extract the videos; return whether `should_stop` ended it before the last one."""
        ...


def extract_features(  # noqa: PLR0913 - what to do, with what, who is told, and how it ends
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
    at_end: Literal["seal", "leave"] = "seal",
    open_writer: OpenWriter = open_features,
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
        at_end: Whether the store is sealed; `leave` it where this process does not hold it alone.
        open_writer: Opens what the results go into: the feature store at `directory`, or words kept there.

    Raises:
        StaleStageError: The store was made with other settings, or a video's file has changed since.
        InputError: The backbone's weights cannot be had.
        ResourceError: Disk or memory ran out.
    """
    started = time.monotonic()
    backbone = load_backbone(options, device=device)
    ordered = sorted(shard.of(videos) if shard else videos, key=lambda video: video.id)
    writer = open_writer(
        directory,
        fingerprint=backbone.fingerprint,
        dim=backbone.dim,
        worker=shard.worker if shard else MAIN_WORKER,
        ids=[video.id for video in ordered],
        should_stop=should_stop,
    )
    _require_unchanged(ordered, writer=writer)
    booking = Booking(writer=writer, on_progress=on_progress, num_total=len(ordered))
    todo = []
    for video in ordered:
        if video.id in writer:
            booking.note(video.id, outcome="kept", num_clips=writer.item(video.id).num_clips)
        elif video.id in writer.failed and on_failed == "keep":
            booking.note(video.id, outcome="failed", reason=writer.failed[video.id].reason)
        else:
            todo.append(video)
    rates = None
    is_stopped = bool(todo) and should_stop()
    if todo and not is_stopped:
        engine = _engine(todo, booking=booking, backbone=backbone, options=options, device=device)
        is_stopped = engine.run(should_stop=should_stop, on_rates=on_rates)
        rates = engine.watch.rates()
    if not is_stopped and shard is None and at_end == "seal":
        writer.seal()
    items = tuple(sorted(booking.items, key=lambda item: item.id))
    return ExtractReport(items=items, seconds=time.monotonic() - started, is_stopped=is_stopped, rates=rates)


def _engine(
    videos: Sequence[Video],
    *,
    booking: Booking,
    backbone: Backbone,
    options: ExtractOptions,
    device: torch.device,
) -> Engine:
    if options.engine == "ray":
        return RayEngine(videos, booking=booking, backbone=backbone, options=options)
    return LocalEngine(videos, booking=booking, backbone=backbone, options=options, device=device)


def _require_unchanged(videos: Sequence[Video], *, writer: ItemWriter) -> None:
    """Refuse a store whose videos have changed; one that is no longer there cannot have."""
    stored = [video for video in videos if video.id in writer]
    with ThreadPoolExecutor(_NUM_FILES_AT_ONCE) as threads:
        found = threads.map(lambda video: source_fingerprint(video.path), stored)
        changed = [
            video.path
            for video, now in zip(stored, found, strict=True)
            if now is not None and not is_same_source(now, stored=writer.item(video.id).facts.get("source"))
        ]
    if changed:
        raise StaleStageError(
            f"{len(changed)} video(s) changed since their features were made, first {changed[0].name!r}",
            at=str(changed[0]),
            fix=f"restore the file, use another run directory (--set run=DIR), or remove {writer.directory}",
        )

"""A fleet of machines as one: Ray Data's tasks decode on CPUs, its actors compute on GPUs, and this process stores.

The store is the commit log: what it holds is never asked for again, whichever node, worker or driver was lost. A
task or actor that dies is run again by Ray, and gives the same rows.

Shapes: F distinct frames, N clips, T frames of a clip that the backbone looks at, D feature.
"""

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from videobert_cli.core.features.backbones.registry import Backbone
from videobert_cli.core.features.line.batches import Ending
from videobert_cli.core.features.line.booking import Booking
from videobert_cli.core.features.line.collect import FeatureCollector
from videobert_cli.core.features.line.engine_ray_work import Extractor, Row, clips_in_a_row, decode, ending_of
from videobert_cli.core.features.line.rates import ExtractRates, Stopwatch
from videobert_cli.core.features.line.store_thread import EndedVideo
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.video.decoder_pool import count_cores
from videobert_cli.core.video.entries import Video
from videobert_cli.errors import InputError, ResourceError

# A task is one portion of the list. More tasks than this slow Ray's scheduler down; a lost one costs its portion again.
_MAX_NUM_TASKS = 10_000
# How often a task is started again whose worker or node died; preemptible nodes die often.
_NUM_RETRIES = 10


class RayEngine:
    """Extracts a list of videos on the Ray cluster of `RAY_ADDRESS`, or on a Ray of this machine."""

    def __init__(
        self, videos: Sequence[Video], *, booking: Booking, backbone: Backbone, options: ExtractOptions
    ) -> None:
        self._videos = videos
        self._booking = booking
        self._options = options
        self._request = backbone.frame_request(options)
        self._open: dict[int, _OpenVideo] = {}
        self.watch = Stopwatch(clip_stride_seconds=options.clip_stride_frames / options.frames_per_second)

    def run(self, *, should_stop: Callable[[], bool], on_rates: Callable[[ExtractRates], None]) -> bool:
        """Extract the videos; return whether `should_stop` ended it before the last one.

        Raises:
            InputError: Ray is not installed.
            ResourceError: Ray could not go on, or the disk is full.
        """
        with _cluster() as ray, _rows(self._dataset(ray)) as rows:
            while not should_stop():
                with self.watch.waiting_for("fleet"):
                    row = next(rows, None)
                if row is None:
                    break
                with self.watch.waiting_for("disk"):
                    self._take(row)
                on_rates(self.watch.rates())
        return self._booking.num_booked < self._booking.num_total

    def _dataset(self, ray: Any) -> Any:
        """Return the rows of features of all videos, not yet computed."""
        resources = ray.cluster_resources()
        num_gpus = int(resources.get("GPU", 0))
        options = self._options.model_dump_json()
        items = [
            {"position": n, "path": os.fsencode(video.path.absolute())}
            for n, video in enumerate(self._videos)
        ]
        listed = ray.data.from_items(items, override_num_blocks=min(len(items), _MAX_NUM_TASKS))
        decoded = listed.map_batches(
            decode,
            fn_kwargs={"request": self._request, "options": self._options.reader.model_dump_json()},
            batch_size=1,
            num_cpus=1,
            # Said here, it also keeps Ray from decoding inside the extractor, which would leave the GPU idle.
            max_retries=_NUM_RETRIES,
        )
        return decoded.map_batches(
            Extractor,
            fn_constructor_kwargs={"options": options},
            batch_size=max(1, self._options.batch_num_clips // clips_in_a_row(self._request)),
            num_cpus=1,
            num_gpus=1 if num_gpus else 0,
            concurrency=(1, max(1, num_gpus)),
        )

    def _take(self, row: Row) -> None:
        """Give a row to its video, and a video that is whole to the store."""
        position = int(row["position"])
        video = self._open.setdefault(position, _OpenVideo())
        video.rows[int(row["part"])] = row
        if row["ending"]:
            video.num_rows = int(row["part"]) + 1
        if len(video.rows) != video.num_rows:
            return
        del self._open[position]
        ended = EndedVideo(
            video=self._videos[position],
            ending=Ending(position=position, content=ending_of(video.rows[video.num_rows - 1])),
            collector=self._collect(video),
            seconds=time.monotonic() - video.started,
        )
        self._booking.book(ended, arithmetic=str(row["arithmetic"]))

    def _collect(self, video: "_OpenVideo") -> FeatureCollector:
        collector = FeatureCollector()
        for _, row in sorted(video.rows.items()):
            starts_N = np.frombuffer(row["starts"], dtype=np.float64)
            if len(starts_N):
                features_ND = np.frombuffer(row["features"], dtype=np.float32).reshape(len(starts_N), -1)
                collector.take(features_ND, clip_start_seconds_N=starts_N)
                self.watch.num_clips += len(starts_N)
        return collector


@dataclass(kw_only=True)
class _OpenVideo:
    """A video of which some rows have come, in whatever order; `num_rows` is known once the last one has."""

    rows: dict[int, Row] = field(default_factory=dict)
    num_rows: int = -1
    started: float = field(default_factory=time.monotonic)


@contextlib.contextmanager
def _cluster() -> Iterator[Any]:
    """Yield Ray, connected: to the cluster of `RAY_ADDRESS`, else to one that lives as long as this does."""
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputError(
            f"Ray is not installed ({error})",
            at="extract.engine: ray",
            fix="pip install 'videobert-cli[ray]'",
        ) from error
    # The extractor's arguments live as long as this process does; Ray's C++ part warns of them on our standard error.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        # A cluster has the cores it has; here one decodes and one computes, be there only one.
        num_cpus = None if os.environ.get("RAY_ADDRESS") else max(2, count_cores())
        ray.init(num_cpus=num_cpus, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        yield ray
    except (ray.exceptions.RayError, ConnectionError) as error:
        raise ResourceError(
            f"Ray could not go on: {str(error).strip().splitlines()[-1]}",
            at="extract.engine: ray",
            fix="run the same command again: what is finished is kept",
        ) from error
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _rows(dataset: Any) -> Iterator[Iterator[Row]]:
    """Yield the rows as they come; leaving ends the work on those that have not."""
    rows = iter(dataset.iter_rows())
    try:
        yield rows
    finally:
        close = getattr(rows, "close", None)
        if close is not None:
            close()

"""Batches across videos: every clip in the right place, features back at their video, nothing of a failed one kept."""

import time

import numpy as np
import pytest
import torch

from videobert_cli.core.features.line.batches import Batch, Packer
from videobert_cli.core.features.line.device import DeviceQueue, TensorBackbone
from videobert_cli.core.video.decoder_pool import PoolEvent
from videobert_cli.core.video.frames import ClipBatch, FrameRequest, VideoSummary
from videobert_cli.core.video.reader import LentBatch
from videobert_cli.errors import InputError, ResourceError, VideoError

CPU = torch.device("cpu")
SUMMARY = VideoSummary(
    num_decoded_frames=1,
    duration_seconds=1.0,
    declared_duration_seconds=None,
    width=4,
    height=4,
    codec="h264",
    decoder="pyav",
    num_clips=1,
)
REQUEST = FrameRequest(
    frames_per_second=20.0,
    clip_num_frames=30,
    clip_stride_frames=30,
    frame_indices=(0, 1, 2),
    resize=4,
    crop_size=4,
    batch_num_clips=4,
)


def clips(*values: int, num_looked_at: int = 3) -> ClipBatch:
    """A clip for each value; its frames show value, value + 1, ...; frames that clips share are there once."""
    shown = sorted({value + step for value in values for step in range(num_looked_at)})
    return ClipBatch(
        frames_FHWC=np.stack([np.full((4, 4, 3), number, np.uint8) for number in shown]),
        frame_index_NT=np.array(
            [[shown.index(value + step) for step in range(num_looked_at)] for value in values]
        ),
        clip_start_seconds_N=np.array(values, dtype=np.float64),
    )


def new_batches(num_clips: int, *, num: int = 3) -> list[Batch]:
    return [
        Batch(
            frames_FHWC=torch.zeros((num_clips * 3, 4, 4, 3), dtype=torch.uint8),
            index_NT=torch.zeros((num_clips, 3), dtype=torch.int64),
        )
        for _ in range(num)
    ]


def shown(batch: Batch) -> list[list[int]]:
    rows = batch.index_NT[: batch.num_clips]
    assert int(rows.max()) < batch.num_frames
    return batch.frames_FHWC[rows][:, :, 0, 0, 0].tolist()


def test_a_batch_takes_what_fits_and_only_the_frames_it_needs() -> None:
    (batch,) = new_batches(3, num=1)
    assert batch.add(clips(10), position=5, first=0) == 1
    shared = clips(20, 21, 40)
    assert batch.add(shared, position=6, first=0) == 2
    assert batch.room == 0
    assert shown(batch) == [[10, 11, 12], [20, 21, 22], [21, 22, 23]]
    assert batch.num_frames == 3 + 4
    assert [(position, starts.tolist()) for position, starts in batch.shares] == [
        (5, [10.0]),
        (6, [20.0, 21.0]),
    ]
    batch.clear()
    assert batch.add(shared, position=6, first=2) == 1
    assert shown(batch) == [[40, 41, 42]]


class FakePool:
    """Delivers prepared events; counts what was given back."""

    def __init__(self, contents, *, pause_at: int | None = None) -> None:
        self.given_back = 0
        self._events = iter(
            [
                PoolEvent(position=p, content=self._lend(c) if isinstance(c, ClipBatch) else c)
                for p, c in contents
            ]
        )
        self._pause_at, self._num = pause_at, 0

    def _lend(self, batch: ClipBatch) -> LentBatch:
        def give_back() -> None:
            # The child writes over it now.
            batch.frames_FHWC[:] = 255
            self.given_back += 1

        return LentBatch(batch=batch, give_back=give_back)

    def next_event(self, *, timeout_seconds: float) -> PoolEvent | None:
        assert timeout_seconds > 0
        self._num += 1
        if self._num == self._pause_at:
            raise TimeoutError
        return next(self._events, None)


def works(packer: Packer):
    while (work := packer.next_work(timeout_seconds=10)) is not None:
        yield work


def test_batches_are_full_whichever_videos_the_clips_are_of_and_endings_come_behind_their_clips() -> None:
    failed = VideoError("broken", reason="decode-error")
    pool = FakePool(
        [(0, clips(0, 3)), (1, clips(100)), (0, clips(6, 9, 12)), (1, failed), (2, failed), (0, SUMMARY), (3, clips(50)), (3, SUMMARY)]
    )  # fmt: skip
    seen, ended = [], []
    with Packer(pool, batches=new_batches(4)) as packer:
        for work in works(packer):
            if work.batch is not None:
                seen.append((shown(work.batch), [(p, len(s)) for p, s in work.batch.shares]))
                packer.free(work.batch)
            ended.append([(ending.position, ending.content) for ending in work.endings])
    first, second = seen
    assert first == ([[0, 1, 2], [3, 4, 5], [100, 101, 102], [6, 7, 8]], [(0, 2), (1, 1), (0, 1)])
    assert second == ([[9, 10, 11], [12, 13, 14], [50, 51, 52]], [(0, 2), (3, 1)])
    assert ended == [[], [(1, failed), (2, failed), (0, SUMMARY), (3, SUMMARY)]]
    assert pool.given_back == 4


def test_a_batch_that_does_not_fill_is_handed_over_when_nothing_comes() -> None:
    pool = FakePool([(0, clips(1)), (0, SUMMARY), (1, clips(2))], pause_at=3)
    with Packer(pool, batches=new_batches(4)) as packer:
        sizes = [(work.batch.num_clips, len(work.endings)) for work in works(packer)]
    assert sizes == [(1, 1), (1, 0)]


def test_endings_without_clips_do_not_wait_for_a_batch() -> None:
    failed = VideoError("broken", reason="decode-error")
    with Packer(FakePool([(n, failed) for n in range(200)]), batches=new_batches(4)) as packer:
        found = [ending.position for work in works(packer) for ending in work.endings]
    assert found == list(range(200))


def test_no_more_is_read_than_the_batches_hold() -> None:
    pool = FakePool([(n, clips(n)) for n in range(100)])
    with Packer(pool, batches=new_batches(4, num=2)) as packer:
        first = packer.next_work(timeout_seconds=10)
        time.sleep(0.3)
        assert pool.given_back == 8
        packer.free(first.batch)
        packer.next_work(timeout_seconds=10)
        time.sleep(0.3)
        assert pool.given_back == 12


def test_an_error_of_the_reading_is_raised_where_the_work_is_taken() -> None:
    class Broken(FakePool):
        def next_event(self, *, timeout_seconds: float) -> PoolEvent | None:
            raise InputError("no decoder", at="here", fix="install it")

    with (
        Packer(Broken([]), batches=new_batches(4)) as packer,
        pytest.raises(InputError, match="no decoder"),
    ):
        packer.next_work(timeout_seconds=10)


class SumBackbone:
    """Features that name their frames: mean and span of each clip."""

    dtype = torch.float32

    def features(self, batch: ClipBatch) -> np.ndarray:
        values_NT = batch.frames_FHWC[batch.frame_index_NT][:, :, 0, 0, 0].astype(np.float32)
        return np.stack([values_NT.mean(1), values_NT.max(1) - values_NT.min(1)], 1)


class TensorSumBackbone(SumBackbone):
    def compute(self, frames_FHWC: torch.Tensor, index_NT: torch.Tensor) -> torch.Tensor:
        values_NT = frames_FHWC[index_NT][:, :, 0, 0, 0].float()
        return torch.stack([values_NT.mean(1), values_NT.amax(1) - values_NT.amin(1)], 1)


def devices() -> list:
    cuda = pytest.param("cuda", marks=[pytest.mark.gpu])
    return ["cpu", cuda]


@pytest.mark.parametrize("name", devices())
@pytest.mark.parametrize("backbone", [SumBackbone(), TensorSumBackbone()])
def test_the_device_computes_batches_in_order_on_memory_that_is_used_again(name, backbone) -> None:
    assert isinstance(backbone, TensorBackbone) == hasattr(backbone, "compute")
    device = torch.device(name)
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU here")
    line = DeviceQueue(backbone, device=device)
    batches = line.new_batches(REQUEST)
    assert [len(batch.index_NT) for batch in batches] == [4, 4, 4]
    found, pending = [], []
    for number in range(30):
        batch = batches[number % 3]
        batch.clear()
        batch.add(clips(*range(number, number + 1 + number % 4)), position=number, first=0)
        pending.append(line.start(batch))
        if len(pending) > 1:
            found.append(pending.pop(0).wait())
    found.append(pending.pop().wait())
    expected = [[[n + k + 1, 2] for k in range(1 + n % 4)] for n in range(30)]
    assert [features.tolist() for features in found] == expected


def test_on_a_cpu_batches_are_small_and_nothing_is_left_under_way() -> None:
    line = DeviceQueue(SumBackbone(), device=CPU)
    large = FrameRequest(**{**REQUEST.__dict__, "batch_num_clips": 64})
    assert {len(batch.index_NT) for batch in line.new_batches(large)} == {4}
    assert line.depth == 0


def test_memory_that_runs_out_names_the_setting() -> None:
    class Greedy(SumBackbone):
        def features(self, batch: ClipBatch) -> np.ndarray:
            raise torch.OutOfMemoryError("CUDA out of memory")

    line = DeviceQueue(Greedy(), device=CPU)
    batch = next(iter(line.new_batches(REQUEST)))
    batch.add(clips(1, 2), position=0, first=0)
    with pytest.raises(ResourceError, match="2 clips in a batch") as caught:
        line.start(batch)
    assert caught.value.at == "extract.batch_num_clips"


def test_shipped_backbones_give_the_same_bytes_by_tensors_and_by_batches() -> None:
    from feature_samples import clip_batch

    from videobert_cli.core.features.backbones.registry import load_backbone
    from videobert_cli.core.features.options import ExtractOptions

    backbone = load_backbone(ExtractOptions(image_num_frames=2), device=CPU)
    assert isinstance(backbone, TensorBackbone)
    whole = clip_batch(5, num_looked_at=2)
    with torch.inference_mode():
        found = backbone.compute(torch.from_numpy(whole.frames_FHWC), torch.from_numpy(whole.frame_index_NT))
    np.testing.assert_array_equal(found.numpy(), backbone.features(whole))
    for size in (1, 2, 3):
        parts = []
        for start in range(0, 5, size):
            rows = whole.frame_index_NT[start : start + size]
            used, index = np.unique(rows, return_inverse=True)
            parts.append(
                backbone.compute(
                    torch.from_numpy(whole.frames_FHWC[used]),
                    torch.from_numpy(index.reshape(len(rows), -1)),
                ).numpy()
            )
        np.testing.assert_array_equal(np.concatenate(parts), found.numpy())

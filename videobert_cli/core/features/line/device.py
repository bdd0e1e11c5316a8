"""What depends on the device: memory that it can fetch by itself, copies beside the computation, results one behind.

The only file of the extraction that knows CUDA; on a CPU the same functions run without streams and events.
Shapes: F distinct frames of a batch, N clips, T frames of a clip, H height, W width, C colour, D feature.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from videobert_cli.core.features.backbones.registry import Backbone
from videobert_cli.core.features.line.batches import Batch
from videobert_cli.core.video.frames import ClipBatch, FrameRequest
from videobert_cli.errors import InputError, ResourceError

# One is filled, one waits, one is computed.
_NUM_BATCHES = 3
# On a CPU a network computes a clip or a few frames at a time whatever it is given: small batches keep it from waiting.
_CPU_BATCH_NUM_CLIPS = 4


@runtime_checkable
class TensorBackbone(Protocol):
    """A backbone that computes on tensors that are on its device already, and does not wait for the result.

    Without it a backbone gets its batches by `features`, and the copies wait for the computation.
    """

    def compute(self, frames_FHWC: Tensor, index_NT: Tensor) -> Tensor:
        """Return features float32 `[N, D]` on the device, of raw frames uint8 and, for each clip, its rows."""
        ...


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A batch that the device is computing, or has computed."""

    batch: Batch
    features_ND: Tensor
    done: "torch.cuda.Event | None"

    def wait(self) -> NDArray[np.float32]:
        """Return the features float32 `[N, D]` once they are there.

        Raises:
            ResourceError: The batch did not fit into memory.
        """
        with enough_memory(self.batch.num_clips):
            if self.done is not None:
                self.done.synchronize()
                # A copy: features wait for their video's end, and pinned memory is not to wait with them.
                return self.features_ND.numpy().copy()
            return self.features_ND.numpy()


class DeviceQueue:
    """Starts batches on the backbone's device; `depth` of them may be under way while the next is started."""

    def __init__(self, backbone: Backbone, *, device: torch.device) -> None:
        self._backbone = backbone
        self._device = device
        self._is_cuda = device.type == "cuda"
        self._copies = torch.cuda.Stream(device) if self._is_cuda else None  # type: ignore[no-untyped-call]
        self.depth = 1 if self._is_cuda else 0

    def new_batches(self, request: FrameRequest) -> list[Batch]:
        """Return the batches to fill: on a GPU of `batch_num_clips`, in memory that it can fetch by itself."""
        num_clips, num_looked_at = request.batch_num_clips, len(request.frame_indices)
        if self._device.type == "cpu":
            num_clips = min(num_clips, _CPU_BATCH_NUM_CLIPS)
        shape = (num_clips * num_looked_at, request.crop_size, request.crop_size, 3)
        with enough_memory(num_clips):
            return [
                Batch(
                    frames_FHWC=torch.empty(shape, dtype=torch.uint8, pin_memory=self._is_cuda),
                    index_NT=torch.empty(
                        (num_clips, num_looked_at), dtype=torch.int64, pin_memory=self._is_cuda
                    ),
                )
                for _ in range(_NUM_BATCHES)
            ]

    def start(self, batch: Batch) -> Pending:
        """Start computing a batch; it must not be changed before `Pending.wait` has returned.

        Raises:
            ResourceError: The batch does not fit into memory.
        """
        with enough_memory(batch.num_clips), torch.inference_mode():
            if not isinstance(self._backbone, TensorBackbone):
                found_ND = self._backbone.features(_as_clips(batch))
                return Pending(batch=batch, features_ND=torch.from_numpy(found_ND), done=None)
            frames_FHWC, index_NT = self._to_device(batch)
            return self._fetch(self._backbone.compute(frames_FHWC, index_NT), batch)

    def _to_device(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the filled part of a batch on the device, copied beside what is being computed."""
        frames_FHWC, index_NT = batch.frames_FHWC[: batch.num_frames], batch.index_NT[: batch.num_clips]
        if self._copies is None:
            return frames_FHWC.to(self._device), index_NT.to(self._device)
        current = torch.cuda.current_stream(self._device)
        with torch.cuda.stream(self._copies):
            moved = (
                frames_FHWC.to(self._device, non_blocking=True),
                index_NT.to(self._device, non_blocking=True),
            )
        current.wait_stream(self._copies)
        for tensor in moved:
            # The memory belongs to the copying stream: it must not be given away while the other one reads it.
            tensor.record_stream(current)
        return moved

    def _fetch(self, features_ND: Tensor, batch: Batch) -> Pending:
        if not self._is_cuda:
            return Pending(batch=batch, features_ND=features_ND.cpu(), done=None)
        found_ND = torch.empty(features_ND.shape, dtype=features_ND.dtype, pin_memory=True)
        found_ND.copy_(features_ND, non_blocking=True)
        done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        done.record(torch.cuda.current_stream(self._device))
        return Pending(batch=batch, features_ND=found_ND, done=done)


def require_shape(features_ND: NDArray[np.float32], *, num_clips: int, backbone: Backbone) -> None:
    """Refuse features that are not one of size `dim` for each clip, as a plug-in may give them.

    Raises:
        InputError: They are not.
    """
    if features_ND.shape != (num_clips, backbone.dim):
        raise InputError(
            f"features of the shape {list(features_ND.shape)} came of {num_clips} clips, "
            f"not {[num_clips, backbone.dim]}",
            at=f"extract.backbone: {backbone.name}",
            fix="mend the plug-in (docs/backbones.md says what it returns), or take another backbone",
        )


@contextmanager
def enough_memory(num_clips: int) -> Iterator[None]:
    """Turn memory that runs out inside `with` into a ResourceError that names the setting."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ResourceError(
            f"out of memory with {num_clips} clips in a batch",
            at="extract.batch_num_clips",
            fix="take a smaller one (--set extract.batch_num_clips=1), then run the same command again",
        ) from error


def _as_clips(batch: Batch) -> ClipBatch:
    starts_N = [starts for _, starts in batch.shares]
    return ClipBatch(
        frames_FHWC=batch.frames_FHWC[: batch.num_frames].numpy(),
        frame_index_NT=batch.index_NT[: batch.num_clips].numpy(),
        clip_start_seconds_N=np.concatenate(starts_N),
    )

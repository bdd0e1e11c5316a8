"""Runs a clip network on a device: always full batches, compiled where that pays.

Shapes: N clips, T frames, F distinct frames, H height, W width, D feature.
"""

import warnings
from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from torch import Tensor

from videobert_cli.core.video.frames import ClipBatch
from videobert_cli.memory import keep_freed_memory

# Compiling takes half a minute on a GPU: worth it only for those who bring more than a few full batches.
_NUM_EAGER_BATCHES = 8


class ClipRunner:
    """Runs a network over raw clips, always the same number at once: no shape is new, no neighbour matters.

    Args:
        network: Takes uint8 `[N, T, H, W, 3]`, returns float32 `[N, D]`.
        device: Where it is.
        num_clips_at_once: Clips of one pass; fewer are filled up with copies of the first.
        compile_after: Full passes until `torch.compile` takes over; None for never.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        *,
        device: torch.device,
        num_clips_at_once: int,
        compile_after: int | None,
    ) -> None:
        self._network: Callable[[Tensor], Tensor] = network
        self._device = device
        self._num_clips_at_once = num_clips_at_once
        self._num_until_compiled = compile_after

    def features(self, batch: ClipBatch) -> np.ndarray:
        """Return the features of a batch of clips, float32 `[N, D]`."""
        frames_FHWC = torch.from_numpy(batch.frames_FHWC).to(self._device)
        index_NT = torch.from_numpy(batch.frame_index_NT).to(self._device)
        with torch.inference_mode():
            return self.compute(frames_FHWC, index_NT).cpu().numpy()

    def compute(self, frames_FHWC: Tensor, index_NT: Tensor) -> Tensor:
        """Return the same of tensors on the device, without waiting for it."""
        chunks_NT = torch.split(index_NT, self._num_clips_at_once)
        return torch.cat([self._run(frames_FHWC, chunk_NT) for chunk_NT in chunks_NT])

    def _run(self, frames_FHWC: Tensor, index_NT: Tensor) -> Tensor:
        num_clips = len(index_NT)
        if num_missing := self._num_clips_at_once - num_clips:
            index_NT = torch.cat([index_NT, index_NT[:1].expand(num_missing, -1)])
        clips_NTHWC = frames_FHWC[index_NT]
        if self._num_until_compiled is not None:
            self._num_until_compiled -= 1
            if self._num_until_compiled < 0:
                self._num_until_compiled = None
                return self._compile(clips_NTHWC)[:num_clips]
        return self._network(clips_NTHWC)[:num_clips]

    def _compile(self, clips_NTHWC: Tensor) -> Tensor:
        """Return the network's output, from now on compiled where the machine can do that."""
        compiled = cast(Callable[[Tensor], Tensor], torch.compile(self._network, dynamic=False))
        try:
            found_ND = compiled(clips_NTHWC)
        except (torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - no C compiler, no Python.h, no Triton: each fails in its own way
            cause = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
            warnings.warn(
                f"the network runs uncompiled, and slower: torch.compile failed ({cause})", stacklevel=2
            )
            return self._network(clips_NTHWC)
        self._network = compiled
        return found_ND


def run_on_device(network: torch.nn.Module, *, device: torch.device, batch_num_clips: int) -> ClipRunner:
    """Return a runner as the device likes it: a clip at a time on a CPU, full compiled batches on a GPU.

    On a CPU one clip at a time is faster than four and takes 1 GB less.
    """
    is_gpu = device.type == "cuda"
    if device.type == "cpu":
        keep_freed_memory()
    return ClipRunner(
        network.to(device),
        device=device,
        num_clips_at_once=batch_num_clips if is_gpu else 1,
        compile_after=_NUM_EAGER_BATCHES if is_gpu else None,
    )

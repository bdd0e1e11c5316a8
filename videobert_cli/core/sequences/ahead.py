"""Batches made by a thread while the step before them runs: a GPU never waits for its next batch."""

from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from videobert_cli.core.sequences.batches import Batches, BlockLoader
from videobert_cli.core.sequences.packing import PackedBatch


class AheadBatches(Batches):
    """The same batches; the next one is begun when one is handed out. A context manager.

    For a device that computes beside this process, which then waits for it and lends the thread its time. Where the
    step itself needs the processor, a thread would only take it away.
    """

    def __init__(
        self,
        loader: BlockLoader,
        *,
        num_sequences: int,
        max_num_tokens: int | None = None,
        is_pinned: bool,
    ) -> None:
        """Args: as of `Batches`, and whether batches lie in memory that a GPU can fetch by itself."""
        super().__init__(loader, num_sequences=num_sequences, max_num_tokens=max_num_tokens)
        self._is_pinned = is_pinned
        # One thread: the loader and what is kept of its last block belong to it alone.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches")
        self._next: tuple[tuple[int, int], Future[PackedBatch]] | None = None

    def __enter__(self) -> Self:
        """Return the batches."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the thread, once the batch that it makes is done."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def batch(self, step: int, *, first_sequence: int) -> PackedBatch:
        """Return the batch of `step`, and begin the one after it; what the thread raised is raised here."""
        place = (step, first_sequence)
        begun = self._next[1] if self._next is not None and self._next[0] == place else self._begin(place)
        batch = begun.result()
        place = (step + 1, first_sequence + batch.num_sequences)
        self._next = place, self._begin(place)
        return batch

    def _begin(self, place: tuple[int, int]) -> "Future[PackedBatch]":
        step, first_sequence = place
        return self._thread.submit(self._make, step, first_sequence)

    def _make(self, step: int, first_sequence: int) -> PackedBatch:
        batch = super().batch(step, first_sequence=first_sequence)
        return batch.pin_memory() if self._is_pinned else batch

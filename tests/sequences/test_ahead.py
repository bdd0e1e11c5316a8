"""Batches made ahead are the batches, wherever one begins and goes on."""

import dataclasses
import threading

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sequence_samples import document, samples

from videobert_cli.core.sequences.ahead import AheadBatches
from videobert_cli.core.sequences.batches import Batches, InlineLoader
from videobert_cli.core.sequences.packing import PackedBatch
from videobert_cli.core.sequences.token_sequence import block_of
from videobert_cli.errors import ResourceError


class Given:
    """A loader of one block, again and again."""

    def __init__(self, block):
        self._block, self.num_sequences = block, block.num_sequences

    def block(self, number):
        return self._block


def rows(batch):
    return {
        field.name: value.tolist() if isinstance(value := getattr(batch, field.name), torch.Tensor) else value
        for field in dataclasses.fields(batch)
    }


def stream(batches, *, num_batches):
    found, num_sequences = [], 0
    for step in range(num_batches):
        batch = batches.batch(step, first_sequence=num_sequences)
        num_sequences += batch.num_sequences
        found.append(rows(batch))
    return found


DOCUMENTS = [
    document(f"v{n}", num_clips=9, sentences=[(4, 0, 3), (7, 3, 6), (2, 6, 9)], seed=n) for n in range(4)
]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(budget=st.one_of(st.none(), st.integers(20, 90)), size=st.integers(1, 9), block=st.integers(1, 20))
def test_the_batches_are_those_of_batches(budget, size, block):
    source = samples(DOCUMENTS)
    loader = InlineLoader(source, num_sequences=block)
    expected = stream(Batches(loader, num_sequences=size, max_num_tokens=budget), num_batches=6)
    with AheadBatches(loader, num_sequences=size, max_num_tokens=budget, is_pinned=False) as batches:
        assert stream(batches, num_batches=6) == expected


def test_going_on_anywhere_forgets_what_was_begun():
    loader = InlineLoader(samples(DOCUMENTS), num_sequences=4)
    # A loader of its own: the other belongs to the thread.
    plain = Batches(InlineLoader(samples(DOCUMENTS), num_sequences=4), num_sequences=3)
    with AheadBatches(loader, num_sequences=3, is_pinned=False) as batches:
        for step in (0, 1, 7, 8, 2, 2, 3):
            found = batches.batch(step, first_sequence=3 * step)
            assert rows(found) == rows(plain.batch(step, first_sequence=3 * step))


def test_the_next_batch_is_made_while_one_is_used():
    made, is_made = [], threading.Event()

    class Telling(Given):
        def block(self, number):
            made.append((number, threading.current_thread().name))
            if number == 1:
                is_made.set()
            return super().block(number)

    source = samples(DOCUMENTS)
    loader = Telling(block_of([source.sequence(number) for number in range(4)]))
    with AheadBatches(loader, num_sequences=4, is_pinned=False) as batches:
        batches.batch(0, first_sequence=0)
        assert is_made.wait(10)  # nobody asked for it
    assert [number for number, _ in made] == [0, 1]
    assert all(name.startswith("batches") for _, name in made)


def test_what_the_thread_raises_is_raised_where_the_batch_is_asked_for():
    class Ending(Given):
        def block(self, number):
            if number == 1:
                raise ResourceError("a process that prepares sequences ended")
            return super().block(number)

    source = samples(DOCUMENTS)
    loader = Ending(block_of([source.sequence(number) for number in range(4)]))
    with AheadBatches(loader, num_sequences=4, is_pinned=False) as batches:
        batches.batch(0, first_sequence=0)
        with pytest.raises(ResourceError, match="ended"):
            batches.batch(1, first_sequence=4)


def test_batches_for_a_gpu_are_pinned(monkeypatch):
    pinned = []
    monkeypatch.setattr(PackedBatch, "pin_memory", lambda batch: pinned.append(batch) or batch)
    with AheadBatches(InlineLoader(samples(DOCUMENTS)), num_sequences=3, is_pinned=True) as batches:
        batch = batches.batch(0, first_sequence=0)
    assert any(batch is one for one in pinned)

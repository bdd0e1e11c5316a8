"""Batches are the stream cut up: nothing lost, nothing twice, whatever the blocks, workers, budget or ranks."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sequence_samples import corpora, document, samples

from videobert_cli.core.sequences.batches import Batches, InlineLoader
from videobert_cli.core.sequences.corpus import TokenCorpus, write_corpus
from videobert_cli.core.sequences.loader import WorkerLoader
from videobert_cli.core.sequences.packing import unpack
from videobert_cli.core.sequences.shares import rank_shares
from videobert_cli.core.sequences.token_sequence import block_of, joined_blocks
from videobert_cli.errors import ResourceError

FREE = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def rows(batch):
    """Every sequence of a batch: ids, types, labels, alignment, pairing."""
    columns = [
        unpack(column, batch) for column in (batch.input_ids_S, batch.token_type_ids_S, batch.labels_S)
    ]
    labels = zip(batch.alignment_B.tolist(), batch.pairings_B.tolist(), strict=True)
    return [
        (*(part.tolist() for part in parts), *label)
        for parts, label in zip(zip(*columns, strict=True), labels, strict=True)
    ]


def stream(batches, *, num_batches):
    """The sequences of some batches, and how many each batch has."""
    found, sizes = [], []
    for step in range(num_batches):
        batch = batches.batch(step, first_sequence=len(found))
        found += rows(batch)
        sizes.append(batch.num_sequences)
    return found, sizes


def whole(source, *, num):
    block = block_of([source.sequence(number) for number in range(num)])
    return rows(Batches(Given(block), num_sequences=num).batch(0, first_sequence=0))


class Given:
    def __init__(self, block):
        self._block, self.num_sequences = block, block.num_sequences

    def block(self, number):
        return self._block


@FREE
@given(documents=corpora(), size=st.integers(1, 40), block=st.integers(1, 50), seed=st.integers(0, 9))
def test_batches_of_a_number_are_the_stream_whatever_the_blocks(documents, size, block, seed):
    source = samples(documents, seed=seed)
    found, sizes = stream(
        Batches(InlineLoader(source, num_sequences=block), num_sequences=size), num_batches=3
    )
    assert sizes == [size] * 3
    assert found == whole(source, num=3 * size)


@FREE
@given(documents=corpora(), budget=st.integers(1, 300), block=st.integers(1, 50), seed=st.integers(0, 9))
def test_batches_of_a_budget_are_the_stream_and_as_full_as_they_can_be(documents, budget, block, seed):
    source = samples(documents, seed=seed)
    batches = Batches(InlineLoader(source, num_sequences=block), num_sequences=9, max_num_tokens=budget)
    found, sizes = stream(batches, num_batches=4)
    assert found == whole(source, num=sum(sizes))
    lengths = [len(row[0]) for row in found] + [len(source.sequence(sum(sizes)).input_ids)]
    start = 0
    for size in sizes:
        num_tokens = sum(lengths[start : start + size])
        assert size == 1 or num_tokens <= budget
        assert num_tokens + lengths[start + size] > budget
        start += size
    # A run that goes on in the middle meets the same batch.
    assert rows(batches.batch(3, first_sequence=sum(sizes[:3]))) == found[sum(sizes[:3]) :]


@settings(deadline=None)
@given(lengths=st.lists(st.integers(1, 512), min_size=1, max_size=60), num_ranks=st.integers(1, 9))
def test_ranks_share_a_batch_without_loss_and_nearly_equally(lengths, num_ranks):
    shares = rank_shares(np.array(lengths), num_ranks=num_ranks)
    assert len(shares) == num_ranks
    assert sorted(np.concatenate(shares).tolist()) == list(range(len(lengths)))
    assert all((np.diff(share) > 0).all() for share in shares)
    tokens = [sum(lengths[number] for number in share) for share in shares]
    assert max(tokens) - min(tokens) <= max(lengths)


@FREE
@given(
    documents=corpora(),
    seed=st.integers(0, 9),
    size=st.integers(1, 12),
    budget=st.none() | st.integers(20, 200),
    num_ranks=st.integers(1, 4),
)
def test_a_sample_is_the_same_whatever_the_batch_and_the_ranks(documents, seed, size, budget, num_ranks):
    """By its name alone: (seed, epoch, sample)."""
    source, other = samples(documents, seed=seed), samples(documents, seed=seed)
    batches = Batches(InlineLoader(source), num_sequences=size, max_num_tokens=budget)
    first = 0
    for step in range(3):
        batch = batches.batch(step, first_sequence=first)
        lengths = batch.cu_seqlens.diff().numpy()
        given_rows = rows(batch)
        for share in rank_shares(lengths, num_ranks=num_ranks):
            for number in share:
                sample, epoch = other.sample(first + int(number))
                sequence = other.build(sample, epoch=epoch)
                assert given_rows[number][0] == sequence.input_ids.tolist()
                assert given_rows[number][2] == sequence.labels.tolist()
        first += batch.num_sequences


def test_the_order_of_equal_lengths_decides_nothing_by_chance():
    shares = rank_shares(np.array([5, 5, 5, 5, 9]), num_ranks=2)
    assert [share.tolist() for share in shares] == [[2, 4], [0, 1, 3]]


def test_blocks_are_cut_and_joined_without_loss():
    source = samples([document("v", num_clips=30, sentences=[(9, 0, 15), (4, 15, 30)])])
    block = block_of([source.sequence(number) for number in range(6)])
    parts = [block.cut(0, 1), block.cut(1, 4), block.cut(4, 6)]
    again = joined_blocks(parts)
    for name in ("input_ids_S", "token_type_ids_S", "labels_S", "lengths_B", "alignment_B", "pairings_B"):
        assert (getattr(again, name) == getattr(block, name)).all()


# --- worker processes ---


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    directory = tmp_path_factory.mktemp("workers") / "tokens"
    generator = np.random.default_rng(0)
    documents = [
        document(
            f"v{n}",
            num_clips=40,
            sentences=[(int(generator.integers(1, 30)), k, k + 5) for k in range(0, 40, 5)],
            seed=n,
        )
        for n in range(6)
    ]
    write_corpus(directory, documents, settings={}, parents={})
    return TokenCorpus.open(directory)


@pytest.mark.parametrize("options", [{}, {"mask_unit": "span", "coverage": "grown", "max_num_tokens": 32}])
def test_workers_prepare_what_one_process_would(corpus, options):
    source = samples(corpus, seed=3, **options)
    expected = [rows_of_block(InlineLoader(source, num_sequences=8).block(number)) for number in range(30)]
    for num_workers in (1, 3):
        with WorkerLoader(source, num_workers=num_workers, num_ahead=100, num_sequences=8) as loader:
            assert [rows_of_block(loader.block(number)) for number in range(20)] == expected[:20]
            # Anywhere else, as after a restart.
            assert [rows_of_block(loader.block(number)) for number in (25, 26, 2)] == [
                expected[number] for number in (25, 26, 2)
            ]


def rows_of_block(block):
    return rows(Batches(Given(block), num_sequences=block.num_sequences).batch(0, first_sequence=0))


def test_workers_end_with_the_loader_and_with_their_parent(corpus):
    loader = WorkerLoader(samples(corpus), num_workers=2, num_ahead=1, num_sequences=8)
    loader.block(0)
    processes = list(loader._workers)
    # What the parent's death does: its end of the pipe closes.
    processes[0].stdin.close()
    assert processes[0].wait(timeout=20) == 0
    loader.close()
    assert processes[1].returncode == -signal.SIGKILL
    loader.close()


def test_a_worker_that_dies_is_an_error_that_says_how_to_go_on(corpus):
    with WorkerLoader(samples(corpus), num_workers=1, num_ahead=1, num_sequences=8) as loader:
        loader.block(0)
        os.kill(loader._workers[0].pid, signal.SIGKILL)
        time.sleep(0.1)
        with pytest.raises(ResourceError, match="ended with signal SIGKILL") as caught:
            stream(Batches(loader, num_sequences=8), num_batches=9)
    assert caught.value.at == "pretrain.num_workers"
    assert "--set pretrain.num_workers=0" in caught.value.fix


def test_workers_need_a_corpus_on_disk():
    source = samples([document("v", num_clips=4, sentences=[])])
    with pytest.raises(ValueError, match="has none"):
        WorkerLoader(source, num_workers=1, num_ahead=1)


def test_a_worker_never_imports_torch(corpus):
    """It would cost every worker a second and 200 MB."""
    with WorkerLoader(samples(corpus), num_workers=1, num_ahead=1, num_sequences=8) as loader:
        loader.block(0)
        maps = Path(f"/proc/{loader._workers[0].pid}/maps").read_text()
    assert "libtorch" not in maps
    assert "tokens.npy" in maps

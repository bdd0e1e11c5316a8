"""Packing loses nothing and mixes nothing."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from videobert_cli.core.sequences.packing import NO_LABEL, TokenSequence, pack, unpack


def sequence(ids, *, labels=None, alignment=NO_LABEL):
    ids = np.asarray(ids, dtype=np.int64)
    labels = np.full(len(ids), NO_LABEL) if labels is None else np.asarray(labels, dtype=np.int64)
    return TokenSequence(input_ids=ids, token_type_ids=ids % 2, labels=labels, alignment=alignment)


@st.composite
def sequences(draw):
    ids = draw(st.lists(st.integers(0, 50_000), min_size=1, max_size=20))
    labels = draw(st.lists(st.sampled_from([NO_LABEL, 0, 7, 40_000]), min_size=len(ids), max_size=len(ids)))
    return sequence(ids, labels=labels, alignment=draw(st.sampled_from([NO_LABEL, 0, 1])))


@given(st.lists(sequences(), min_size=1, max_size=8))
def test_unpack_is_the_inverse_of_pack(originals):
    batch = pack(originals)
    assert batch.num_sequences == len(originals)
    assert batch.num_tokens == sum(len(original.input_ids) for original in originals)
    assert batch.max_seqlen == max(len(original.input_ids) for original in originals)
    columns = (batch.input_ids_S, batch.token_type_ids_S, batch.labels_S, batch.position_ids_S)
    for original, *parts in zip(originals, *(unpack(column, batch) for column in columns), strict=True):
        wanted = (
            original.input_ids,
            original.token_type_ids,
            original.labels,
            range(len(original.input_ids)),
        )
        for part, values in zip(parts, wanted, strict=True):
            assert part.tolist() == list(values)
    assert batch.alignment_B.tolist() == [original.alignment for original in originals]
    assert batch.masked_positions_P.tolist() == [
        i for i, x in enumerate(batch.labels_S.tolist()) if x != NO_LABEL
    ]


def test_dtypes_are_those_the_kernels_want():
    batch = pack([sequence([1, 2, 3]), sequence([4])])
    assert batch.cu_seqlens.dtype == torch.int32
    assert batch.cu_seqlens.tolist() == [0, 3, 4]
    assert {batch.input_ids_S.dtype, batch.labels_S.dtype, batch.alignment_B.dtype} == {torch.int64}


def test_to_moves_every_tensor_and_keeps_the_rest():
    batch = pack([sequence([1, 2], labels=[5, NO_LABEL], alignment=1)]).to("meta")
    assert {x.device.type for x in vars(batch).values() if isinstance(x, torch.Tensor)} == {"meta"}
    assert batch.max_seqlen == 2


@pytest.mark.parametrize("originals", [[], [sequence([1]), sequence([])]])
def test_nothing_to_pack_is_refused(originals):
    with pytest.raises(ValueError, match="at least one"):
        pack(originals)


def test_arrays_of_different_lengths_are_refused():
    wrong = TokenSequence(input_ids=np.arange(3), token_type_ids=np.arange(3), labels=np.arange(2))
    with pytest.raises(ValueError, match="3 ids, 3 types, 2 labels"):
        pack([wrong])


@given(st.lists(sequences(), min_size=1, max_size=8), st.integers(1, 10))
def test_the_parts_of_a_batch_are_the_packs_of_its_sequences(originals, num_parts):
    batch, first = pack(originals), 0
    parts = batch.split(num_parts)
    assert len(parts) == min(num_parts, len(originals))
    for part in parts:
        alone = pack(originals[first : first + part.num_sequences])
        for name, value in vars(alone).items():
            found = getattr(part, name)
            assert torch.equal(found, value) if isinstance(value, torch.Tensor) else found == value, name
        first += part.num_sequences
    assert first == len(originals)


def test_parts_have_about_equal_numbers_of_tokens():
    parts = pack([sequence(range(length)) for length in (30, 2, 3, 25, 10, 20)]).split(3)
    assert [part.num_tokens for part in parts] == [30, 30, 30]

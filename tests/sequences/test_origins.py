"""Where a sequence's words come from, and what was there before it was masked."""

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sequence_samples import CLS, FIRST_WORD, GLUE, MASK, SEP, VOCABULARY, corpora, numbered

from videobert_cli.core.sequences.mask import NO_LOSS
from videobert_cli.core.sequences.options import SequenceOptions
from videobert_cli.core.sequences.origins import SequenceTracer
from videobert_cli.errors import InputError

FREE = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
OPTIONS = st.fixed_dictionaries({
    "join_probability": st.sampled_from([0.0, 0.5, 1.0]),
    "max_subsampling": st.integers(1, 5),
    "mask_fraction": st.sampled_from([0.15, 0.6]),
    "joint_masking": st.sampled_from(["both", "text", "video", "none"]),
    "negative_fraction": st.sampled_from([0.0, 0.5, 1.0]),
    "max_num_tokens": st.sampled_from([16, 512]),
})  # fmt: skip


@FREE
@given(documents=corpora(), options=OPTIONS, seed=st.integers(0, 99))
def test_every_word_is_the_word_of_its_clip_and_every_token_what_was_there(documents, options, seed):
    try:
        tracer = SequenceTracer(
            documents, options=SequenceOptions(**options), vocabulary=VOCABULARY, seed=seed
        )
    except InputError:
        assume(False)
    by_id = {document.id: document for document in documents}
    for number in range(min(12, 2 * tracer.epoch_size)):
        traced = tracer.trace(number)
        sequence, original_S = traced.sequence, traced.original_ids_S
        assert len(original_S) == len(sequence.input_ids) == len(traced.origins)
        asked_S = sequence.labels != NO_LOSS
        assert (original_S[asked_S] == sequence.labels[asked_S]).all()
        assert MASK not in original_S
        for original, origin in zip(original_S, traced.origins, strict=True):
            assert (original >= FIRST_WORD) == (origin is not None)
            if origin is not None:
                assert by_id[origin.document_id].words_T[origin.clip] == original
        # Words keep their order and their place: all of one video, forward in time, at one rate.
        of_words = [origin for origin in traced.origins if origin is not None]
        assert len({origin.document_id for origin in of_words}) <= 1
        assert len(set(np.diff([origin.clip for origin in of_words]))) <= 1
        text_S = original_S[(original_S >= 5) & (original_S < GLUE)]
        if traced.regime == "video":
            assert traced.sentences is None
        else:
            assert traced.sentences is not None
            first, stop = traced.sentences
            whole = np.concatenate(by_id[traced.document_id].sentences[first:stop])
            assert (whole[: len(text_S)] == text_S).all()
        if sequence.alignment == 1:
            assert all(origin.document_id == traced.document_id for origin in of_words)


def test_what_is_seen_differs_from_what_was_there_only_by_masks():
    documents = [numbered("a", num_clips=12, first_id=0), numbered("b", num_clips=12, first_id=20)]
    options = SequenceOptions(negative_fraction=1.0, same_video_negative_fraction=0.0, mask_fraction=0.5)
    tracer = SequenceTracer(documents, options=options, vocabulary=VOCABULARY, seed=3)
    changed = 0
    for number in range(tracer.epoch_size):
        traced = tracer.trace(number)
        is_special = np.isin(traced.original_ids_S, [CLS, SEP, GLUE])
        is_changed = traced.sequence.input_ids != traced.original_ids_S
        assert not (is_changed & is_special).any()
        if traced.regime == "video_text":
            changed += int(is_changed.sum())
            assert {origin.document_id for origin in traced.origins if origin} == {"a", "b"} - {
                traced.document_id
            }
    assert changed

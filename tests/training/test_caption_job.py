"""Fine-tuning for captions: what a batch holds, and exact resume."""

import numpy as np
import pytest
from small_models import small_captioner, small_tokenizer
from test_retrieval_job import pairs
from training_samples import Interrupting, KilledError, make_loop, weights

from videobert_cli.core.sequences.packing import NO_LABEL
from videobert_cli.core.training.caption import CaptionJob, question_ids
from videobert_cli.core.training.ranks import ALONE

TOKENIZER = small_tokenizer()


def caption_job(*, num_pairs=11, batch_num_sequences=8, num_tokens=8):
    known = pairs(num_pairs)
    return CaptionJob(
        small_captioner(num_tokens=num_tokens),
        train=known,
        held_out=known[:7],
        tokenizer=TOKENIZER,
        batch_num_sequences=batch_num_sequences,
        label_smoothing=0.1,
        seed=3,
        ranks=ALONE,
    )


def test_a_batch_is_whole_sentences_and_a_long_one_keeps_its_beginning_and_gets_no_end_too_late() -> None:
    batch = caption_job().batch(0, first_sequence=0)
    for row in batch.captions_BT.tolist():
        said = [token for token in row if token != NO_LABEL]
        assert (said[0], said[-1]) == (TOKENIZER.cls_id, TOKENIZER.sep_id)
        assert TOKENIZER.decode(said[1:-1]) in {"cut", "fry", "pour", "cut fry", "fry pour", "pour cut"}
    assert batch.num_said == int((batch.captions_BT != NO_LABEL).sum()) - 8
    # Two places in the decoder: for [CLS] and one token.
    short = caption_job(num_tokens=2).batch(0, first_sequence=0)
    assert short.captions_BT.shape == (8, 3)


def test_a_question_becomes_ids_with_masks() -> None:
    ids = question_ids("cut [MASK] fry [MASK]", TOKENIZER)
    assert ids == [
        *TOKENIZER.text_ids("cut"),
        TOKENIZER.mask_id,
        *TOKENIZER.text_ids("fry"),
        TOKENIZER.mask_id,
    ]


def test_ranks_share_a_batch_and_an_idle_one_counts_nothing() -> None:
    job = caption_job(batch_num_sequences=2)
    batch = job.batch(0, first_sequence=0)
    shares = [batch.share(index=index, num_ranks=3) for index in range(3)]
    assert sum(own.num_said for own in shares) == batch.num_said
    losses = [float(job.forward(own, counts=job.counts(batch)).loss.detach()) for own in shares]
    whole = float(job.forward(batch, counts=job.counts(batch)).loss.detach())
    assert sum(losses) == pytest.approx(whole, rel=1e-5)
    assert np.isfinite(losses).all()
    assert 0.0 in losses


def test_it_learns_and_resumes_exactly(tmp_path) -> None:
    make_loop(whole := caption_job(), tmp_path / "whole").run()
    with pytest.raises(KilledError):
        make_loop(Interrupting(caption_job(), kill_at=7), tmp_path / "broken").run()
    make_loop(rest := caption_job(), tmp_path / "broken").run()
    assert weights(rest.model) == weights(whole.model)
    before = caption_job()
    before.model.eval()
    whole.model.eval()
    assert whole.validate()["loss"] < before.validate()["loss"]

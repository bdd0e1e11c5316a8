"""Fine-tuning for captions: what a batch holds, and exact resume."""

from dataclasses import replace

import numpy as np
import pytest
from small_models import FEATURE_SIZE, small_captioner, small_tokenizer
from test_retrieval_job import pairs
from training_samples import Interrupting, KilledError, make_loop, weights

from videobert_cli.core.sequences.packing import NO_LABEL
from videobert_cli.core.training.caption import CaptionJob, feature_size, question_ids
from videobert_cli.core.training.ranks import ALONE
from videobert_cli.errors import InputError

TOKENIZER = small_tokenizer()


def pairs_with_features(num):
    """Return pairs whose features tell their sentences apart."""
    drawn = np.random.default_rng(1).normal(size=(6, FEATURE_SIZE)).astype(np.float32)
    return [replace(pair, feature_D=drawn[number % 6]) for number, pair in enumerate(pairs(num))]


def caption_job(*, num_pairs=11, batch_num_sequences=8, num_tokens=8, encoder="end_to_end"):
    known = pairs(num_pairs) if encoder in {"end_to_end", "cloze"} else pairs_with_features(num_pairs)
    return CaptionJob(
        small_captioner(encoder=encoder, num_tokens=num_tokens),
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


@pytest.mark.parametrize("encoder", ["end_to_end", "features"])
def test_ranks_share_a_batch_and_an_idle_one_counts_nothing(encoder) -> None:
    job = caption_job(batch_num_sequences=2, encoder=encoder)
    batch = job.batch(0, first_sequence=0)
    shares = [batch.share(index=index, num_ranks=3) for index in range(3)]
    assert sum(own.num_said for own in shares) == batch.num_said
    losses = [float(job.forward(own, counts=job.counts(batch)).loss.detach()) for own in shares]
    whole = float(job.forward(batch, counts=job.counts(batch)).loss.detach())
    assert sum(losses) == pytest.approx(whole, rel=1e-5)
    assert np.isfinite(losses).all()
    assert 0.0 in losses


def test_parts_and_shares_keep_each_segment_with_its_feature() -> None:
    job = caption_job(encoder="cloze_and_features")
    batch = job.batch(0, first_sequence=0)
    own = {pair.feature_D.tobytes(): pair.text for pair in pairs_with_features(6)}
    for part in (batch, *batch.split(3), *(batch.share(index=index, num_ranks=2) for index in range(2))):
        assert part.features_BD.shape == (part.num_sequences, FEATURE_SIZE)
        for row_D, row_T in zip(part.features_BD, part.captions_BT.tolist(), strict=True):
            said = [token for token in row_T if token != NO_LABEL]
            assert own[row_D.tobytes()] == TOKENIZER.decode(said[1:-1])
    assert caption_job().batch(0, first_sequence=0).features_BD.shape == (8, 0)


def test_without_an_encoder_no_share_of_the_peak_is_told() -> None:
    for encoder, is_told in (("features", False), ("cloze_and_features", True)):
        job = caption_job(encoder=encoder)
        assert (job.num_flops(job.batch(0, first_sequence=0)) > 0) == is_told


def test_the_size_of_features_is_that_of_the_sentences_and_none_are_refused() -> None:
    [shown], [bare] = pairs_with_features(1), pairs(1)
    assert feature_size(shown, encoder="cloze_and_features") == FEATURE_SIZE
    assert feature_size(shown, encoder="cloze") == feature_size(bare, encoder="end_to_end") == 0
    with pytest.raises(InputError, match="`encoder: features` reads features, and the sentences have none"):
        feature_size(bare, encoder="features")


@pytest.mark.parametrize("encoder", ["end_to_end", "features", "cloze_and_features"])
def test_it_learns_and_resumes_exactly(encoder, tmp_path) -> None:
    make_loop(whole := caption_job(encoder=encoder), tmp_path / "whole").run()
    with pytest.raises(KilledError):
        make_loop(Interrupting(caption_job(encoder=encoder), kill_at=7), tmp_path / "broken").run()
    make_loop(rest := caption_job(encoder=encoder), tmp_path / "broken").run()
    assert weights(rest.model) == weights(whole.model)
    before = caption_job(encoder=encoder)
    before.model.eval()
    whole.model.eval()
    assert whole.validate()["loss"] < before.validate()["loss"]

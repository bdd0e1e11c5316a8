"""Fine-tuning for retrieval: batches, shares of ranks, exact resume."""

import numpy as np
import pytest
from small_models import NUM_WORDS, small_retriever, small_tokenizer
from training_samples import Interrupting, KilledError, make_loop, weights

from videobert_cli.core.sequences.pairs import ShownSentence
from videobert_cli.core.training.ranks import ALONE
from videobert_cli.core.training.retrieval import RetrievalJob

TOKENIZER = small_tokenizer()
SAID = ("cut", "fry", "pour", "cut fry", "fry pour", "pour cut")


def pairs(num: int) -> list[ShownSentence]:
    generator = np.random.default_rng(0)
    return [
        ShownSentence(
            video_id=f"v{number // 3}",
            text=SAID[number % len(SAID)],
            text_L=np.array(TOKENIZER.text_ids(SAID[number % len(SAID)])),
            words_T=generator.integers(0, NUM_WORDS, 3),
            start_seconds=1.5 * number,
        )
        for number in range(num)
    ]


def retrieval_job(*, num_pairs=11, batch_num_sequences=8, group_num_pairs=2):
    known = pairs(num_pairs)
    return RetrievalJob(
        small_retriever(),
        train=known,
        held_out=known[:7],
        tokenizer=TOKENIZER,
        batch_num_sequences=batch_num_sequences,
        group_num_pairs=group_num_pairs,
        seed=3,
        ranks=ALONE,
    )


def test_an_epoch_has_every_pair_once_and_a_message_names_them() -> None:
    job = retrieval_job(num_pairs=12, batch_num_sequences=4)
    named = [job.sample_ids(step, first_sequence=0, num_sequences=4) for step in range(6)]
    first, second = (sorted(sum(named[epoch : epoch + 3], ())) for epoch in (0, 3))
    assert first == second == sorted(f"{pair.video_id} at {pair.start_seconds:g} s" for pair in pairs(12))
    assert named[0] != named[3]


def test_a_group_is_never_cut_and_the_same_sentence_is_marked() -> None:
    batch = retrieval_job(num_pairs=6, group_num_pairs=3, batch_num_sequences=8).batch(0, first_sequence=0)
    assert [group.num_pairs for group in batch.groups] == [3, 3, 2]
    assert batch.num_sequences == 8
    assert [part.num_sequences for part in batch.split(2)] == [6, 2]
    assert len(batch.split(10)) == 3
    twice = retrieval_job(num_pairs=12, group_num_pairs=12, batch_num_sequences=12).batch(0, first_sequence=0)
    same = twice.groups[0].is_same_text_BB
    assert (same.sum(axis=1) == 2).all()
    assert (same == same.T).all()


def test_ranks_have_every_group_once_and_an_idle_one_counts_nothing() -> None:
    job = retrieval_job(group_num_pairs=4)
    batch = job.batch(0, first_sequence=0)
    shares = [batch.share(index=index, num_ranks=3) for index in range(3)]
    assert [job.counts(own)["pairs"] for own in shares] == [4, 4, 0]
    losses = [float(job.forward(own, counts=job.counts(batch)).loss.detach()) for own in shares]
    assert losses[2] == 0
    assert sum(losses) == pytest.approx(
        float(job.forward(batch, counts=job.counts(batch)).loss.detach()), rel=1e-5
    )


def test_it_learns_and_resumes_exactly(tmp_path) -> None:
    make_loop(whole := retrieval_job(), tmp_path / "whole").run()
    with pytest.raises(KilledError):
        make_loop(Interrupting(retrieval_job(), kill_at=7), tmp_path / "broken").run()
    make_loop(rest := retrieval_job(), tmp_path / "broken").run()
    assert weights(rest.model) == weights(whole.model)
    before = retrieval_job()
    before.model.eval()
    whole.model.eval()
    assert whole.validate()["loss"] < before.validate()["loss"]

"""Retrieval: the batch changes no vector and no score, and moments are those that NumPy finds."""

import numpy as np
import pytest
import torch
from small_models import NUM_WORDS, small_model, small_retriever, small_tokenizer

from videobert_cli.core.sequences.packing import NO_LABEL, TokenSequence, pack
from videobert_cli.core.tasks.moments import MomentIndex, index_moments, load_index, save_index
from videobert_cli.core.tasks.retrieve import AlignmentScorer, Retriever, nearest
from videobert_cli.core.words.table import WordTable

TOKENIZER = small_tokenizer()


def texts(num):
    generator = np.random.default_rng(1)
    known = TOKENIZER.text_ids("cut fry pour")
    return [generator.choice(known, generator.integers(1, 20)) for _ in range(num)]


def segments(num):
    generator = np.random.default_rng(2)
    return [generator.integers(0, NUM_WORDS, generator.integers(1, 20)) for _ in range(num)]


def test_p36_a_vector_is_the_same_in_any_batch() -> None:
    retriever = Retriever(small_retriever(), TOKENIZER)
    for embed, asked in ((retriever.embed_texts, texts(70)), (retriever.embed_segments, segments(70))):
        together = embed(asked)
        alone = np.concatenate([embed([one]) for one in asked])
        np.testing.assert_allclose(together, alone, atol=1e-5)
        assert np.ptp(together, axis=0).max() > 0.01
        assert embed([]).shape == (0, together.shape[1])


def test_p36_the_alignment_is_the_same_in_any_batch_and_as_by_hand() -> None:
    model = small_model()
    scorer = AlignmentScorer(model, TOKENIZER)
    pairs = list(zip(texts(70), segments(70), strict=True))
    together = scorer.log_odds(pairs)
    np.testing.assert_allclose(
        together, np.concatenate([scorer.log_odds([pair]) for pair in pairs]), atol=1e-5
    )
    text, words = np.array(TOKENIZER.text_ids("fry")), np.array([3, 5])
    ids = [TOKENIZER.cls_id, *text, TOKENIZER.glue_id, *(words + TOKENIZER.word_to_id(0)), TOKENIZER.sep_id]
    sequence = TokenSequence(
        input_ids=np.array(ids),
        token_type_ids=np.array([0, 0, 0, 1, 1, 1]),
        labels=np.full(6, NO_LABEL),
        alignment=NO_LABEL,
    )
    with torch.no_grad():
        [[apart, together]] = model.alignment_logits(pack([sequence]))
    assert scorer.log_odds([(text, words)])[0] == pytest.approx(float(together - apart), abs=1e-5)


@pytest.fixture
def table() -> WordTable:
    table = WordTable(num_words=NUM_WORDS, clip_seconds=1.5, clip_length_seconds=1.5, codebook_hash="c")
    for number, video_id in enumerate("ab"):
        words = np.random.default_rng(number).integers(0, NUM_WORDS, 9 - 7 * number)
        table.add(video_id, words_T=words, clip_start_seconds_T=1.5 * np.arange(len(words)))
    return table


def test_stretches_overlap_by_half_and_cover_every_video(table) -> None:
    index = index_moments(table, Retriever(small_retriever(), TOKENIZER), segment_seconds=6.0)
    times = [
        (index.videos[n], start, end)
        for n, start, end in zip(index.numbers_M, index.starts_M, index.ends_M, strict=True)
    ]
    assert times == [("a", 0, 6), ("a", 3, 9), ("a", 6, 12), ("a", 7.5, 13.5), ("b", 0, 3)]
    [own] = Retriever(small_retriever(), TOKENIZER).embed_segments([table.words("a")[2:6]])
    np.testing.assert_allclose(index.vectors_MH[1], own, atol=1e-5)


def made_index(num: int) -> MomentIndex:
    generator = np.random.default_rng(3)
    vectors = generator.normal(size=(num, 8)).astype(np.float32)
    return MomentIndex(
        vectors_MH=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        numbers_M=np.arange(num) // 10,
        starts_M=3.0 * (np.arange(num) % 10),
        ends_M=3.0 * (np.arange(num) % 10) + 6.0,
        videos=tuple(f"v{n}" for n in range(num // 10)),
    )


def test_the_best_moments_come_first_and_none_overlaps_a_better_one(tmp_path) -> None:
    index = made_index(200)
    query = np.random.default_rng(4).normal(size=8).astype(np.float32)
    found = index.find(query, num=5, search="exact")
    scores = index.vectors_MH @ query
    best = int(scores.argmax())
    assert (found[0].video, found[0].start_seconds) == (f"v{best // 10}", 3.0 * (best % 10))
    assert [moment.score for moment in found] == sorted((m.score for m in found), reverse=True)
    for number, one in enumerate(found):
        for other in found[:number]:
            assert one.video != other.video or abs(one.start_seconds - other.start_seconds) >= 6
    # Greedy by hand.
    kept: list[int] = []
    for row in np.argsort(-scores):
        if all(row // 10 != k // 10 or abs(row - k) >= 2 for k in kept):
            kept.append(int(row))
    assert [(m.video, m.start_seconds) for m in found] == [(f"v{k // 10}", 3.0 * (k % 10)) for k in kept[:5]]
    save_index(index, tmp_path / "index", settings={}, parents={})
    assert load_index(tmp_path / "index").find(query, num=5, search="exact") == found


def test_faiss_finds_what_numpy_finds() -> None:
    pytest.importorskip("faiss", reason="the extra `faiss` is not installed")
    index = made_index(500)
    query = np.random.default_rng(5).normal(size=8).astype(np.float32)
    rows, scores = nearest(index.vectors_MH, query, num=20, search="exact")
    rows_of_faiss, scores_of_faiss = nearest(index.vectors_MH, query, num=20, search="faiss")
    assert rows_of_faiss.tolist() == rows.tolist()
    np.testing.assert_allclose(scores_of_faiss, scores, atol=1e-5)

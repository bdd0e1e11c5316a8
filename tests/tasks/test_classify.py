"""Class probabilities: one row a segment, whatever the batch."""

import numpy as np
import pytest
import torch

from videobert_cli.core.model.classification import VideoBERTForSequenceClassification
from videobert_cli.core.model.config import VideoBERTConfig
from videobert_cli.core.sequences.packing import TokenSequence, pack
from videobert_cli.core.tasks.classify import class_probabilities
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cut"]


@pytest.fixture(scope="module")
def tokenizer():
    return VideoBERTTokenizer.from_vocabulary(TOKENS, num_words=12)


@pytest.fixture(scope="module")
def model():
    config = VideoBERTConfig(
        vocab_size=len(TOKENS),
        num_visual_words=12,
        visual_embedding_size=6,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=20,
        initializer_range=0.5,
        id2label={0: "cut", 1: "stir", 2: "fry"},
    )
    return VideoBERTForSequenceClassification(config, seed=1).eval()


def segments(num):
    generator = np.random.default_rng(0)
    return [generator.integers(0, 12, generator.integers(1, 12)).astype(np.int32) for _ in range(num)]


def test_rows_are_probabilities_in_the_order_given(model, tokenizer):
    words = segments(70)
    together = class_probabilities(model, tokenizer, words=words)
    assert together.shape == (70, 3)
    assert together.sum(axis=1) == pytest.approx(np.ones(70), abs=1e-6)
    alone = np.concatenate([class_probabilities(model, tokenizer, words=[words_T]) for words_T in words])
    assert np.abs(together - alone).max() <= 1e-5
    assert np.ptp(together, axis=0).max() > 0.01


def test_the_sequence_is_cls_words_sep(model, tokenizer):
    words_T = np.array([3, 0, 11], dtype=np.int32)
    ids = np.array([tokenizer.cls_id, 10, 7, 18, tokenizer.sep_id])
    sequence = TokenSequence(input_ids=ids, token_type_ids=np.array([0, 1, 1, 1, 1]), labels=np.full(5, -100))
    with torch.no_grad():
        expected = torch.softmax(model(pack([sequence])).logits_BC, dim=-1).numpy()
    assert class_probabilities(model, tokenizer, words=[words_T]) == pytest.approx(expected, abs=1e-6)


def test_a_segment_longer_than_the_model_is_cut(model, tokenizer):
    long = np.arange(300) % 12
    rows = class_probabilities(model, tokenizer, words=[long, long[:17]])
    assert rows[0] == pytest.approx(rows[1], abs=1e-6)

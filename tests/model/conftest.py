"""Small models and batches for the tests of the model."""

import numpy as np
import pytest

from videobert_cli.core.model.config import VideoBERTConfig
from videobert_cli.core.sequences.packing import NO_LABEL, TokenSequence, pack


@pytest.fixture
def config():
    return VideoBERTConfig(
        vocab_size=30,
        num_visual_words=12,
        visual_embedding_size=10,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=40,
        initializer_range=0.3,
    )


@pytest.fixture
def make_sequences():
    return random_sequences


@pytest.fixture
def batch():
    return pack(random_sequences(0))


def random_sequences(seed, *, lengths=(7, 3, 12, 1, 9), num_text=30, num_words=12):
    """Joint sequences `text [>] words`, a third of the tokens with a label, alignment 1, 0 or none."""
    generator = np.random.default_rng(seed)
    sequences = []
    for index, length in enumerate(lengths):
        glue = (length - 1) // 2
        ids = generator.integers(num_text + 1, num_text + 1 + num_words, length)
        ids[:glue] = generator.integers(0, num_text, glue)
        ids[glue] = num_text
        labels = np.where(generator.random(length) < 0.4, ids, NO_LABEL)
        labels[glue] = NO_LABEL
        types = (np.arange(length) > glue).astype(np.int64)
        sequences.append(
            TokenSequence(
                input_ids=ids, token_type_ids=types, labels=labels, alignment=(1, 0, NO_LABEL)[index % 3]
            )
        )
    return sequences

"""Frozen features of segments: [CLS] and the mean word, the same in any batch."""

import numpy as np
import torch
from small_models import NUM_WORDS, small_model, small_tokenizer

from videobert_cli.core.sequences.packing import pack
from videobert_cli.core.tasks.classify import word_sequences
from videobert_cli.core.tasks.segment_states import segment_states


def test_p36_states_are_those_of_each_segment_alone() -> None:
    model, tokenizer = small_model(), small_tokenizer()
    generator = np.random.default_rng(0)
    words = [generator.integers(0, NUM_WORDS, generator.integers(1, 9)) for _ in range(70)]
    found = segment_states(model, tokenizer, words=words)
    for row, own in zip(found, words, strict=True):
        batch = pack(word_sequences([own], tokenizer=tokenizer, max_num_tokens=12))
        with torch.no_grad():
            hidden = model.bert(batch).hidden_SH.numpy()
        np.testing.assert_allclose(row, np.concatenate([hidden[0], hidden[1:-1].mean(0)]), atol=1e-5)
    assert segment_states(model, tokenizer, words=[]).shape == (0, found.shape[1])

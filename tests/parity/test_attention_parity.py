"""Recorded attention against transformers' BertModel with `output_attentions`, rollout against the paper's formula.

Legend: S tokens, L layers, N heads.
"""

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from videobert_cli.core.model.attention_record import recorded_attention
from videobert_cli.core.model.config import VideoBERTConfig
from videobert_cli.core.model.encoder import VideoBERTModel
from videobert_cli.core.sequences.packing import NO_LABEL, TokenSequence, pack
from videobert_cli.core.tasks.explain import rollout

SIZES = {
    "vocab_size": 101,
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "max_position_embeddings": 64,
}
LENGTHS = (1, 2, 17, 64)


@pytest.fixture(scope="module")
def ours():
    # Large weights, or all tokens share their attention evenly and any mix-up of heads or rows is hidden.
    config = VideoBERTConfig(**SIZES, num_visual_words=5, visual_embedding_size=48, initializer_range=0.3)
    model = VideoBERTModel(config, seed=4).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model


@pytest.fixture(scope="module")
def bert(ours):
    model = BertModel(BertConfig(**SIZES, attn_implementation="eager")).eval()
    model.load_state_dict(ours.state_dict(), strict=False)
    return model


def text(length, *, seed=0):
    generator = np.random.default_rng(seed)
    return TokenSequence(
        input_ids=generator.integers(1, 101, length),
        token_type_ids=generator.integers(0, 2, length),
        labels=np.full(length, NO_LABEL),
    )


def theirs(bert, batch):
    with torch.no_grad():
        output = bert(
            input_ids=batch.input_ids_S[None],
            token_type_ids=batch.token_type_ids_S[None],
            output_attentions=True,
        )
    return torch.cat(output.attentions)


def rollout_of_the_paper(attention_LNSS):
    """Abnar and Zuidema 2020, equation 1 and section 3: A = 0.5 W + 0.5 I, rolled out from the last layer down."""
    num_layers, _, num_tokens, _ = attention_LNSS.shape
    raw = np.asarray(attention_LNSS, dtype=np.float64).mean(axis=1)

    def rolled(layer):
        own = 0.5 * raw[layer] + 0.5 * np.identity(num_tokens)
        own = own / own.sum(axis=-1, keepdims=True)
        return own if layer == 0 else np.einsum("ij,jk->ik", own, rolled(layer - 1))

    return rolled(num_layers - 1)


@pytest.mark.parametrize("length", LENGTHS)
def test_attention_is_transformers(ours, bert, length) -> None:
    batch = pack([text(length)])
    expected_LNSS = theirs(bert, batch)
    found_LNSS = recorded_attention(ours, batch)
    assert found_LNSS.shape == (3, 4, length, length)
    assert float((found_LNSS - expected_LNSS).abs().max()) <= 1e-5
    # What is compared tells heads and rows apart.
    if length > 2:
        assert float((expected_LNSS - expected_LNSS.transpose(2, 3)).abs().max()) > 0.1
        assert float((expected_LNSS[:, 0] - expected_LNSS[:, 1]).abs().max()) > 0.1


@pytest.mark.parametrize("length", LENGTHS)
def test_rollout_is_the_papers(ours, bert, length) -> None:
    batch = pack([text(length)])
    found_SS = rollout(recorded_attention(ours, batch).numpy())
    expected_SS = rollout_of_the_paper(theirs(bert, batch).numpy())
    np.testing.assert_allclose(found_SS, expected_SS, atol=1e-5, rtol=0)
    np.testing.assert_allclose(found_SS.sum(axis=-1), 1, atol=1e-5)


def test_several_sequences_are_refused_and_nothing_stays_hooked(ours) -> None:
    with pytest.raises(ValueError, match="one sequence at a time, this batch has 2"):
        recorded_attention(ours, pack([text(3), text(4)]))
    recorded_attention(ours, pack([text(3)]))
    assert not any(layer._forward_pre_hooks for layer in ours.encoder.layer)

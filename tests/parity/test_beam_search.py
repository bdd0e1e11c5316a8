"""Beam search against transformers' `generate`, and against all sentences there are."""

import itertools

import numpy as np
import pytest
import torch

from videobert_cli.core.tasks.beam_search import beam_search

START, END, NUM_TOKENS = 0, 1, 7


def decoder(seed: int, *, num_tokens: int = NUM_TOKENS):
    """A tiny GPT-2 with random weights."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=num_tokens,
        n_positions=16,
        n_embd=16,
        n_layer=1,
        n_head=2,
        bos_token_id=START,
        eos_token_id=END,
        pad_token_id=END,
        initializer_range=0.8,
    )
    return GPT2LMHeadModel(config).eval()


def log_probabilities(model, sequences):
    with torch.no_grad():
        return torch.log_softmax(model(torch.tensor(sequences)).logits[:, -1], dim=-1)


def search(model, *, num_segments=1, num_beams=3, max_num_tokens=5, **options):
    """Ask the same decoder about `num_segments` segments."""
    state = {"said": [[] for _ in range(num_segments * num_beams)]}

    def step(tokens, rows):
        state["said"] = [
            [*state["said"][row], token] for row, token in zip(rows.tolist(), tokens.tolist(), strict=True)
        ]
        return log_probabilities(model, state["said"])

    settings = {"forbidden_ids": (START,), "length_penalty": 0.0, "no_repeat_ngram": 0} | options
    return beam_search(
        step,
        num_segments=num_segments,
        num_beams=num_beams,
        start_id=START,
        end_id=END,
        max_num_tokens=max_num_tokens,
        device=torch.device("cpu"),
        **settings,
    )


@pytest.mark.parametrize("seed", range(6))
def test_a_wide_beam_finds_the_best_of_all_sentences(seed) -> None:
    model = decoder(seed, num_tokens=5)
    [found] = search(model, num_beams=300, max_num_tokens=4, length_penalty=0.7)
    words = [token for token in range(5) if token not in {START, END}]
    expected = []
    for num in range(4):
        for tokens in itertools.product(words, repeat=num):
            said, total = [START], 0.0
            for token in (*tokens, END):
                total += float(log_probabilities(model, [said])[0, token])
                said.append(token)
            expected.append((total / ((5 + num + 1) / 6) ** 0.7, tokens))
    expected.sort(key=lambda each: -each[0])
    assert [each.tokens for each in found[:5]] == [tokens for _, tokens in expected[:5]]
    np.testing.assert_allclose([each.score for each in found[:5]], [s for s, _ in expected[:5]], atol=1e-5)
    assert len(found) == len(expected)


class EndsAt:
    """Ends a sentence that is as long as it may be, at what the end costs: transformers' own way makes it free."""

    def __init__(self, num_tokens: int) -> None:
        self._num_tokens = num_tokens

    def __call__(self, input_ids, scores):
        if input_ids.shape[1] == self._num_tokens:
            ends = scores[:, END].clone()
            scores = torch.full_like(scores, -torch.inf)
            scores[:, END] = ends
        return scores


@pytest.mark.parametrize("no_repeat_ngram", [0, 2])
@pytest.mark.parametrize("seed", range(6))
def test_it_finds_what_transformers_finds(seed, no_repeat_ngram) -> None:
    model = decoder(seed)
    from transformers import LogitsProcessorList

    [found] = search(model, num_beams=3, max_num_tokens=6, no_repeat_ngram=no_repeat_ngram)
    theirs = model.generate(
        torch.tensor([[START]]),
        num_beams=3,
        num_return_sequences=3,
        max_new_tokens=6,
        length_penalty=0.0,
        early_stopping="never",
        do_sample=False,
        no_repeat_ngram_size=no_repeat_ngram,
        bad_words_ids=[[START]],
        logits_processor=LogitsProcessorList([EndsAt(6)]),
        output_scores=True,
        return_dict_in_generate=True,
    )
    np.testing.assert_allclose([each.score for each in found], theirs.sequences_scores.numpy(), atol=1e-4)
    rows = [row[1:] for row in theirs.sequences.tolist()]
    assert [each.tokens for each in found] == [
        tuple(itertools.takewhile(lambda t: t != END, row)) for row in rows
    ]


def test_greedy_is_a_beam_of_one_and_segments_beside_change_nothing() -> None:
    model = decoder(3)
    [[greedy]] = search(model, num_beams=1)
    said = [START]
    while said[-1] != END:
        scores = log_probabilities(model, [said])[0]
        scores[START] = -torch.inf
        said.append(int(scores.argmax()) if len(said) < 5 else END)
    assert greedy.tokens == tuple(said[1:-1])
    [alone] = search(model, num_beams=3)
    for found in search(model, num_segments=4, num_beams=3):
        assert [each.tokens for each in found] == [each.tokens for each in alone]
        assert [each.score for each in found] == pytest.approx([each.score for each in alone], abs=1e-5)

"""Masking for the two completion losses: a share of a modality's tokens, 80/10/10, specials never.

Shapes: S tokens of one modality, P chosen tokens, W words of them.
"""

from dataclasses import dataclass

import numpy as np

from videobert_cli.core.sequences.options import MaskUnit

NO_LOSS = -100


@dataclass(frozen=True, kw_only=True)
class Masked:
    """Corrupted ids (S,) and labels (S,): the original id where a loss is taken, -100 elsewhere."""

    input_ids_S: np.ndarray
    labels_S: np.ndarray


@dataclass(frozen=True, kw_only=True)
class MaskRule:
    """How many tokens are chosen, in which units, and what becomes of them.

    `unit`: single tokens, all pieces of a word at once, or spans of words whose lengths are geometric with
    `span_probability`, at most `span_max_words` (SpanBERT section 3.1). `mask_share` of the chosen become [MASK],
    `random_share` another token, the rest stay: drawn for each token, for spans once for a whole span, as there.
    """

    fraction: float
    unit: MaskUnit = "token"
    mask_share: float = 0.8
    random_share: float = 0.1
    span_probability: float = 0.2
    span_max_words: int = 10


def mask_tokens(
    ids_S: np.ndarray,
    *,
    rule: MaskRule,
    mask_id: int,
    replacements: np.ndarray,
    generator: np.random.Generator,
    is_start_S: np.ndarray | None = None,
) -> Masked:
    """Corrupt the tokens of one modality (no specials among them) for masked completion.

    The share of chosen tokens is the rule's fraction exactly on average, however short the sequence and however long
    its words are. A random id is one of `replacements` (the same modality: a word never becomes a visual word).
    `is_start_S` tells where words begin; None: every token is one. Source: BERT section 3.1, VideoBERT section 3.1.
    """
    if rule.unit == "token":
        chosen_P = _tokens(len(ids_S), fraction=rule.fraction, generator=generator)
        if len(chosen_P) == 0:
            return Masked(input_ids_S=ids_S.copy(), labels_S=np.full(len(ids_S), NO_LOSS, dtype=np.int64))
        fate_P = generator.random(len(chosen_P))
    else:
        words_S = np.arange(len(ids_S)) if is_start_S is None else _word_numbers(is_start_S)
        chosen_P, span_P = _words(words_S, rule=rule, generator=generator)
        fate_P = generator.random(len(ids_S))[span_P]
    random_P = replacements[generator.integers(0, len(replacements), size=len(chosen_P))]
    labels_S = np.full(len(ids_S), NO_LOSS, dtype=np.int64)
    labels_S[chosen_P] = ids_S[chosen_P]
    corrupted_P = ids_S[chosen_P].copy()
    corrupted_P[fate_P < rule.mask_share] = mask_id
    is_random_P = (fate_P >= rule.mask_share) & (fate_P < rule.mask_share + rule.random_share)
    corrupted_P[is_random_P] = random_P[is_random_P]
    input_ids_S = ids_S.copy()
    input_ids_S[chosen_P] = corrupted_P
    return Masked(input_ids_S=input_ids_S, labels_S=labels_S)


def mask_all(ids_S: np.ndarray, *, mask_id: int) -> Masked:
    """Return a side of which nothing is shown and everything is asked."""
    return Masked(
        input_ids_S=np.full(len(ids_S), mask_id, dtype=np.int64), labels_S=ids_S.astype(np.int64, copy=True)
    )


def _tokens(num_tokens: int, *, fraction: float, generator: np.random.Generator) -> np.ndarray:
    """Return the chosen tokens (P,): their number is rounded up or down at random, which makes the rate exact."""
    num_chosen = min(num_tokens, int(fraction * num_tokens + generator.random()))
    # Choosing none draws nothing, and asking costs as much as choosing.
    return (
        generator.choice(num_tokens, size=num_chosen, replace=False) if num_chosen else np.zeros(0, np.int64)
    )


def _words(
    words_S: np.ndarray, *, rule: MaskRule, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the tokens (P,) of the chosen words, and a number (P,) for each that tokens of one fate share.

    Words are taken in a random order until the wanted number of tokens is reached. The word that would exceed it is
    taken with the probability that makes the expected number exact.
    """
    num_tokens = len(words_S)
    lengths_W = np.bincount(words_S)
    order_W, span_W = (
        _span_order(lengths_W, rule=rule, generator=generator)
        if rule.unit == "span"
        else (generator.permutation(len(lengths_W)), np.zeros(0, dtype=np.int64))
    )
    ends_W = np.cumsum(lengths_W[order_W])
    wanted = rule.fraction * num_tokens
    num_whole = int(np.searchsorted(ends_W, wanted, side="right"))
    if num_whole < len(order_W):
        missing = wanted - (ends_W[num_whole - 1] if num_whole else 0)
        num_whole += int(generator.random() < missing / lengths_W[order_W[num_whole]])
    taken_W = order_W[:num_whole]
    is_taken_W = np.zeros(len(lengths_W), dtype=bool)
    is_taken_W[taken_W] = True
    chosen_P = np.flatnonzero(is_taken_W[words_S])
    if rule.unit == "whole_word":
        return chosen_P, chosen_P
    number_W = np.zeros(len(lengths_W), dtype=np.int64)
    number_W[taken_W] = span_W[:num_whole]
    return chosen_P, number_W[words_S[chosen_P]]


def _span_order(
    lengths_W: np.ndarray, *, rule: MaskRule, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return words in the order in which spans take them, as many as may be needed, and the span of each."""
    most = rule.fraction * int(lengths_W.sum())
    sizes = np.arange(1, rule.span_max_words + 1)
    chances = (1 - rule.span_probability) ** (sizes - 1)
    chances /= chances.sum()
    free_W = np.ones(len(lengths_W), dtype=bool)
    order: list[int] = []
    spans: list[int] = []
    num_tokens = 0
    for span in range(len(lengths_W)):
        if num_tokens > most or not free_W.any():
            break
        start = int(generator.choice(np.flatnonzero(free_W)))
        stop = start + int(generator.choice(sizes, p=chances))
        taken = start + np.flatnonzero(free_W[start:stop])
        free_W[taken] = False
        order.extend(taken.tolist())
        spans.extend([span] * len(taken))
        num_tokens += int(lengths_W[taken].sum())
    return np.array(order, dtype=np.int64), np.array(spans, dtype=np.int64)


def _word_numbers(is_start_S: np.ndarray) -> np.ndarray:
    """Return which word each token belongs to; what is cut off from its word's beginning is a word too."""
    numbers_S: np.ndarray = np.cumsum(is_start_S)
    numbers_S -= numbers_S[:1].copy()
    return numbers_S

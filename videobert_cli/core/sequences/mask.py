"""Masking for the two completion losses: 15 % of a modality's tokens, 80/10/10, specials never."""

from dataclasses import dataclass

import numpy as np

# Shapes: S tokens of one sequence.

NO_LOSS = -100
MASK_SHARE = 0.8
RANDOM_SHARE = 0.1


@dataclass(frozen=True, kw_only=True)
class Masked:
    """Corrupted ids (S,) and labels (S,): the original id where a loss is taken, -100 elsewhere."""

    input_ids_S: np.ndarray
    labels_S: np.ndarray


def mask_tokens(
    ids_S: np.ndarray,
    *,
    fraction: float,
    mask_id: int,
    replacements: np.ndarray,
    generator: np.random.Generator,
) -> Masked:
    """Corrupt the tokens of one modality (no specials among them) for masked completion.

    `fraction` of the tokens is chosen, rounded up or down at random so that the rate is exact on average however
    short the sequence is. Of those, 80 % become [MASK], 10 % a random id of `replacements` (the same modality: a word
    never becomes a visual word), 10 % stay. Source: BERT section 3.1, VideoBERT section 3.1.
    """
    num_tokens = len(ids_S)
    num_chosen = min(num_tokens, int(fraction * num_tokens + generator.random()))
    chosen = generator.choice(num_tokens, size=num_chosen, replace=False)
    labels_S = np.full(num_tokens, NO_LOSS, dtype=np.int64)
    labels_S[chosen] = ids_S[chosen]
    fate = generator.random(num_chosen)
    random_ids = replacements[generator.integers(0, len(replacements), size=num_chosen)]
    corrupted = ids_S[chosen].copy()
    corrupted[fate < MASK_SHARE] = mask_id
    is_random = (fate >= MASK_SHARE) & (fate < MASK_SHARE + RANDOM_SHARE)
    corrupted[is_random] = random_ids[is_random]
    input_ids_S = ids_S.copy()
    input_ids_S[chosen] = corrupted
    return Masked(input_ids_S=input_ids_S, labels_S=labels_S)

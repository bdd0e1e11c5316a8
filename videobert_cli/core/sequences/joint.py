"""One sequence from text ids and visual words: specials, token types, masks, truncation."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from videobert_cli.core.sequences.mask import NO_LOSS, Masked, MaskRule, mask_tokens
from videobert_cli.core.sequences.token_sequence import Pairing, TokenSequence

# Shapes: L text tokens, T visual words, S tokens of the whole sequence.

Modality = Literal["text", "video"]
TEXT_TYPE = 0
VIDEO_TYPE = 1


@dataclass(frozen=True, kw_only=True)
class JointVocabulary:
    """The ids that sequences are made of.

    `text_ids` are all ordinary text tokens (no specials), `visual_ids` all visual words, both as joint ids;
    `is_continuation` tells of each text token whether it goes on with a word (`##ing`), and is empty where nobody asks.
    """

    cls_id: int
    sep_id: int
    mask_id: int
    glue_id: int
    text_ids: np.ndarray
    visual_ids: np.ndarray
    is_continuation: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))


def join(
    text_L: Masked | None,
    words_T: Masked | None,
    *,
    vocabulary: JointVocabulary,
    alignment: int = NO_LOSS,
    pairing: Pairing | None = None,
) -> TokenSequence:
    """Return `[CLS] text [>] words [SEP]`, or `[CLS] text [SEP]` or `[CLS] words [SEP]` where one side is None.

    Token types: 0 for `[CLS] text [>]`, 1 for `words [SEP]`; a sequence of text alone is all 0, as in BERT.
    """
    num_text = 0 if text_L is None else len(text_L.input_ids_S)
    num_words = 0 if words_T is None else len(words_T.input_ids_S)
    glue = 1 + num_text
    first_word = glue + (text_L is not None and words_T is not None)
    sep = first_word + num_words
    input_ids_S = np.empty(sep + 1, dtype=np.int64)
    labels_S = np.full(sep + 1, NO_LOSS, dtype=np.int64)
    token_type_ids_S = np.full(sep + 1, TEXT_TYPE, dtype=np.int64)
    input_ids_S[0], input_ids_S[glue], input_ids_S[sep] = (
        vocabulary.cls_id,
        vocabulary.glue_id,
        vocabulary.sep_id,
    )
    if text_L is not None:
        input_ids_S[1:glue], labels_S[1:glue] = text_L.input_ids_S, text_L.labels_S
    if words_T is not None:
        input_ids_S[first_word:sep], labels_S[first_word:sep] = words_T.input_ids_S, words_T.labels_S
        token_type_ids_S[first_word:] = VIDEO_TYPE
    return TokenSequence(
        input_ids=input_ids_S,
        token_type_ids=token_type_ids_S,
        labels=labels_S,
        alignment=alignment,
        pairing=pairing,
    )


def unmasked(ids: np.ndarray) -> Masked:
    """Return the ids as they are, with no loss anywhere."""
    return Masked(input_ids_S=ids.astype(np.int64), labels_S=np.full(len(ids), NO_LOSS, dtype=np.int64))


def without_loss(masked: Masked) -> Masked:
    """Return the same corrupted ids with no loss: what a misaligned sequence shows, so that masks tell nothing."""
    return unmasked(masked.input_ids_S)


def masked_side(
    ids: np.ndarray,
    modality: Modality,
    *,
    rule: MaskRule,
    vocabulary: JointVocabulary,
    generator: np.random.Generator,
) -> Masked:
    """Return one modality's ids masked within the modality; every visual word is a word of its own."""
    replacements = vocabulary.text_ids if modality == "text" else vocabulary.visual_ids
    has_pieces = rule.unit != "token" and modality == "text" and len(vocabulary.is_continuation) > 0
    return mask_tokens(
        ids.astype(np.int64),
        rule=rule,
        mask_id=vocabulary.mask_id,
        replacements=replacements,
        generator=generator,
        is_start_S=~vocabulary.is_continuation[ids] if has_pieces else None,
    )


def truncate(
    text_L: np.ndarray, words_T: np.ndarray, *, max_num_tokens: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return both sides cut at the end so that they fit with three specials; the longer side is cut first."""
    room = max_num_tokens - 3
    num_text, num_words = len(text_L), len(words_T)
    if num_text + num_words > room:
        shorter = min(num_text, num_words, room // 2)
        num_text, num_words = (
            (min(num_text, room - shorter), shorter)
            if num_text >= num_words
            else (shorter, min(num_words, room - shorter))
        )
    return text_L[:num_text], words_T[:num_words]


def subsample(
    words_T: np.ndarray, *, max_rate: int, min_num_words: int, generator: np.random.Generator
) -> np.ndarray:
    """Return one word in r, r drawn evenly from 1 to `max_rate`, from a random start (paper section 3.2).

    The rate is lowered until `min_num_words` are left, so a short segment is never emptied.
    """
    rate = int(generator.integers(1, max_rate + 1))
    rate = max(1, min(rate, len(words_T) // max(1, min_num_words)))
    return words_T[int(generator.integers(0, rate)) :: rate]

"""Sentences and the segments they tell of, in pairs: what retrieval and captioning learn."""

from dataclasses import dataclass, field

import numpy as np

from videobert_cli.core.sequences.joint import JointVocabulary, join, truncate, unmasked
from videobert_cli.core.sequences.token_sequence import TokenSequence

# Shapes: L tokens of a text, T clips, D feature.


@dataclass(frozen=True, kw_only=True)
class ShownSentence:
    """A sentence of a video as token ids (L,) and as text, with the visual words (T,) of its clips.

    Times are in seconds; they are those of its clips. `feature_D` is the mean of their raw features, float32; D is 0
    where it was not asked for.
    """

    video_id: str
    text: str
    text_L: np.ndarray
    words_T: np.ndarray
    start_seconds: float = 0.0
    end_seconds: float = 0.0
    feature_D: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.float32))


def mean_feature(features_TD: np.ndarray) -> np.ndarray:
    """Return the mean (D,) of clips' raw features (T, D) as float32."""
    return np.asarray(features_TD.mean(axis=0, dtype=np.float32))


def text_sequence(text_L: np.ndarray, *, vocabulary: JointVocabulary, max_num_tokens: int) -> TokenSequence:
    """Return `[CLS] text [SEP]`; of a text that is too long the beginning."""
    return join(unmasked(text_L[: max_num_tokens - 2]), None, vocabulary=vocabulary)


def word_sequence(
    words_T: np.ndarray, *, first_word: int, vocabulary: JointVocabulary, max_num_tokens: int
) -> TokenSequence:
    """Return `[CLS] words [SEP]` of visual words (T,), cut where they are too many."""
    _, kept_T = truncate(words_T[:0], words_T.astype(np.int64) + first_word, max_num_tokens=max_num_tokens)
    return join(None, unmasked(kept_T), vocabulary=vocabulary)


def question_sequence(
    question_L: np.ndarray,
    words_T: np.ndarray | None,
    *,
    first_word: int,
    vocabulary: JointVocabulary,
    max_num_tokens: int,
) -> TokenSequence:
    """Return `[CLS] question [>] words [SEP]` of visual words (T,), or `[CLS] question [SEP]` without any.

    The question stays whole, so only words give way where there are more than positions.
    """
    if words_T is None:
        return join(unmasked(question_L), None, vocabulary=vocabulary)
    room = max_num_tokens - 3 - len(question_L)
    return join(
        unmasked(question_L),
        unmasked(words_T[:room].astype(np.int64) + first_word),
        vocabulary=vocabulary,
    )

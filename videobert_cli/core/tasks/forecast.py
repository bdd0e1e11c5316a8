"""Forecasting: which visual words come some clips after those seen so far (the paper's section 4.1)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.sequences.documents import joint_vocabulary
from videobert_cli.core.sequences.joint import join, unmasked
from videobert_cli.core.sequences.packing import TokenSequence, pack
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer
from videobert_cli.errors import UsageError

# Shapes: N contexts, B contexts of one batch, T words seen so far, K visual words.

BATCH_NUM_SEQUENCES = 64


@dataclass(frozen=True, kw_only=True)
class ComingClip:
    """The likeliest words of a clip that is not seen yet, and their probabilities, best first."""

    horizon: int
    start_seconds: float
    words: tuple[int, ...]
    probabilities: tuple[float, ...]


class Forecaster:
    """Asks a pretrained model for the word `horizon` clips after the last one seen.

    The question is a sequence of video alone, `[CLS] words [MASK] .. [MASK] [SEP]` with `horizon` masks, read at the
    last of them: the clips in between are unknown, too.
    """

    def __init__(self, model: VideoBERTForPreTraining, tokenizer: VideoBERTTokenizer) -> None:
        self._model = model
        self._vocabulary = joint_vocabulary(tokenizer)
        self._first_word = tokenizer.word_to_id(0)
        self._mask_id = tokenizer.mask_id
        self._device = next(model.parameters()).device

    def log_probabilities(self, contexts: Sequence[np.ndarray], *, horizon: int) -> Iterator[np.ndarray]:
        """Yield log-probabilities of all words (B, K), batch by batch: of 20,000 contexts they are gigabytes.

        Where a context has more words than the model has positions for, the latest count.

        Raises:
            UsageError: The model has no positions for so many masks and a word.
        """
        room = self._model.config.max_position_embeddings - 2 - horizon
        if room < 1:
            raise UsageError(
                f"a horizon of {horizon} clips does not fit in the model's "
                f"{self._model.config.max_position_embeddings} positions",
                at="evaluate.forecast.horizons",
                fix="ask for a nearer clip",
            )
        for start in range(0, len(contexts), BATCH_NUM_SEQUENCES):
            batch = contexts[start : start + BATCH_NUM_SEQUENCES]
            yield self._ask([self._sequence(words_T[-room:], horizon=horizon) for words_T in batch])

    @torch.no_grad()
    def _ask(self, sequences: Sequence[TokenSequence]) -> np.ndarray:
        batch = pack(sequences).to(self._device)
        last_mask_B = batch.cu_seqlens[1:].long() - 2  # before [SEP]
        scores_BV = self._model.token_logits(batch, last_mask_B).float()
        words_BK = torch.log_softmax(scores_BV[:, self._first_word :], dim=-1)
        return np.asarray(words_BK.cpu().numpy())

    def _sequence(self, words_T: np.ndarray, *, horizon: int) -> TokenSequence:
        ids_T = words_T.astype(np.int64) + self._first_word
        ids = np.concatenate([ids_T, np.full(horizon, self._mask_id, dtype=np.int64)])
        return join(None, unmasked(ids), vocabulary=self._vocabulary)


def coming_words(
    forecaster: Forecaster,
    words_T: np.ndarray,
    *,
    horizons: Sequence[int],
    top: int,
    end_seconds: float,
    clip_seconds: float,
) -> list[ComingClip]:
    """Return the `top` likeliest words at each horizon after the words (T,) of a video that ends at `end_seconds`."""
    found = []
    for horizon in horizons:
        [scores_1K] = forecaster.log_probabilities([words_T], horizon=horizon)
        order = np.argsort(-scores_1K[0], kind="stable")[:top]
        found.append(
            ComingClip(
                horizon=horizon,
                start_seconds=round(end_seconds + (horizon - 1) * clip_seconds, 3),
                words=tuple(int(word) for word in order),
                probabilities=tuple(round(float(np.exp(scores_1K[0, word])), 4) for word in order),
            )
        )
    return found

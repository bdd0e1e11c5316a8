"""Asks a pretrained model which visual word stands at a mask: what forecasts, text-to-video and summaries share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.sequences.documents import joint_vocabulary
from videobert_cli.core.sequences.joint import join, unmasked
from videobert_cli.core.sequences.packing import pack
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer

# Shapes: L text tokens, T places for words, B questions of one batch, K visual words.

BATCH_NUM_SEQUENCES = 64
MASKED = -1


@dataclass(frozen=True, kw_only=True)
class VisualQuestion:
    """Words (T,), `MASKED` where one is not known, after text ids (L,) or None; asked is the word at place `asked`."""

    words_T: np.ndarray
    asked: int
    text_L: np.ndarray | None = None


class VisualAsker:
    """A model with its tokenizer, asked for visual words."""

    def __init__(self, model: VideoBERTForPreTraining, tokenizer: VideoBERTTokenizer) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._vocabulary = joint_vocabulary(tokenizer)
        self._first_word = tokenizer.word_to_id(0)
        self._device = next(model.parameters()).device

    @property
    def num_positions(self) -> int:
        """How many tokens a sequence may have, specials included."""
        return self._model.config.max_position_embeddings

    def log_probabilities(self, questions: Sequence[VisualQuestion]) -> Iterator[np.ndarray]:
        """Yield log-probabilities of all words (B, K), batch by batch: of 20,000 questions they are gigabytes."""
        for start in range(0, len(questions), BATCH_NUM_SEQUENCES):
            yield self._ask(questions[start : start + BATCH_NUM_SEQUENCES])

    @torch.no_grad()
    def _ask(self, questions: Sequence[VisualQuestion]) -> np.ndarray:
        batch = pack(
            [
                join(
                    None if question.text_L is None else unmasked(question.text_L),
                    unmasked(joint_ids(question.words_T, tokenizer=self._tokenizer)),
                    vocabulary=self._vocabulary,
                )
                for question in questions
            ]
        ).to(self._device)
        # Words are followed by [SEP] alone, so places count from a sequence's end.
        behind = [len(question.words_T) - question.asked + 1 for question in questions]
        positions_B = batch.cu_seqlens[1:].long() - torch.tensor(behind, device=self._device)
        scores_BV = self._model.token_logits(batch, positions_B).float()
        words_BK = torch.log_softmax(scores_BV[:, self._first_word :], dim=-1)
        return np.asarray(words_BK.cpu().numpy())


def joint_ids(words_T: np.ndarray, *, tokenizer: VideoBERTTokenizer) -> np.ndarray:
    """Return words (T,) as ids of the joint vocabulary, [MASK] for `MASKED`."""
    wide_T = words_T.astype(np.int64)
    return np.where(wide_T == MASKED, tokenizer.mask_id, wide_T + tokenizer.word_to_id(0))

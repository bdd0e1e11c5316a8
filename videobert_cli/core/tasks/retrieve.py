"""Retrieval: sentences and segments by the vectors of a retriever, and pairs of them by the alignment head."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.model.retrieval import VideoBERTForRetrieval
from videobert_cli.core.sequences.documents import joint_vocabulary
from videobert_cli.core.sequences.joint import join, truncate, unmasked
from videobert_cli.core.sequences.packing import PackedBatch, TokenSequence, pack
from videobert_cli.core.sequences.pairs import text_sequence, word_sequence
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer
from videobert_cli.errors import MissingInputError

# Shapes: N sentences, M segments, P pairs, L tokens of a text, T words of a segment, H size of a vector.

BATCH_NUM_SEQUENCES = 64
Search = Literal["exact", "faiss"]


class Retriever:
    """A retriever with its tokenizer: unit vectors whose inner product says how well two belong together."""

    def __init__(self, model: VideoBERTForRetrieval, tokenizer: VideoBERTTokenizer) -> None:
        self._model = model
        self._vocabulary, self._first_word = joint_vocabulary(tokenizer), tokenizer.word_to_id(0)
        self._longest = model.config.max_position_embeddings

    def embed_texts(self, texts: Sequence[np.ndarray]) -> np.ndarray:
        """Return a vector (N, H) of each text of token ids (L,); of one that is too long the beginning counts."""
        return self._embed(
            [
                text_sequence(text_L, vocabulary=self._vocabulary, max_num_tokens=self._longest)
                for text_L in texts
            ],
            self._model.embed_texts,
        )

    def embed_segments(self, words: Sequence[np.ndarray]) -> np.ndarray:
        """Return a vector (M, H) of each segment of visual words (T,), cut where they are too many."""
        return self._embed(
            [
                word_sequence(
                    words_T,
                    first_word=self._first_word,
                    vocabulary=self._vocabulary,
                    max_num_tokens=self._longest,
                )
                for words_T in words
            ],
            self._model.embed_videos,
        )

    @torch.no_grad()
    def _embed(
        self, sequences: Sequence[TokenSequence], embed: Callable[[PackedBatch], Tensor]
    ) -> np.ndarray:
        device = next(self._model.parameters()).device
        rows = [np.zeros((0, self._model.config.hidden_size), dtype=np.float32)]
        for first in range(0, len(sequences), BATCH_NUM_SEQUENCES):
            batch = pack(sequences[first : first + BATCH_NUM_SEQUENCES]).to(device)
            rows.append(embed(batch).cpu().numpy())
        return np.concatenate(rows)


class AlignmentScorer:
    """A pretrained model asked whether text and words belong together, both read at once."""

    def __init__(self, model: VideoBERTForPreTraining, tokenizer: VideoBERTTokenizer) -> None:
        self._model = model
        self._vocabulary, self._first_word = joint_vocabulary(tokenizer), tokenizer.word_to_id(0)

    @torch.no_grad()
    def log_odds(self, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        """Return the log-odds (P,) that text (L,) and words (T,) of each pair belong together."""
        device = next(self._model.parameters()).device
        rows = [np.zeros(0, dtype=np.float32)]
        for first in range(0, len(pairs), BATCH_NUM_SEQUENCES):
            batch = pack([self._sequence(*pair) for pair in pairs[first : first + BATCH_NUM_SEQUENCES]])
            logits_P2 = self._model.alignment_logits(batch.to(device))
            rows.append((logits_P2[:, 1] - logits_P2[:, 0]).cpu().numpy())
        return np.concatenate(rows)

    def _sequence(self, text_L: np.ndarray, words_T: np.ndarray) -> TokenSequence:
        text_L, ids_T = truncate(
            text_L,
            words_T.astype(np.int64) + self._first_word,
            max_num_tokens=self._model.config.max_position_embeddings,
        )
        return join(unmasked(text_L), unmasked(ids_T), vocabulary=self._vocabulary)


def nearest(
    vectors_MH: np.ndarray, query_H: np.ndarray, *, num: int, search: Search
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the `num` vectors with the largest inner product with a query, and these, largest first.

    `faiss` compares with all of them, too, on every core and without a sorted copy: for millions of vectors.

    Raises:
        MissingInputError: FAISS is asked for and not installed.
    """
    if search == "exact":
        scores_M = vectors_MH @ query_H
        order = np.argsort(-scores_M, kind="stable")[:num]
        return order, scores_M[order]
    try:
        import faiss
    except ImportError as error:
        raise MissingInputError(
            "FAISS is not installed", at="predict.search", fix="pip install 'videobert-cli[faiss]'"
        ) from error
    index = faiss.IndexFlatIP(vectors_MH.shape[1])
    index.add(np.ascontiguousarray(vectors_MH, dtype=np.float32))
    scores_1K, rows_1K = index.search(np.ascontiguousarray(query_H[None], dtype=np.float32), num)
    return rows_1K[0], scores_1K[0]

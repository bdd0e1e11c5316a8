"""Classes of segments from their visual words, by a fine-tuned model."""

from collections.abc import Sequence

import numpy as np
import torch

from videobert_cli.core.model.classification import VideoBERTForSequenceClassification
from videobert_cli.core.sequences.documents import joint_vocabulary
from videobert_cli.core.sequences.joint import join, truncate, unmasked
from videobert_cli.core.sequences.packing import TokenSequence, pack
from videobert_cli.core.tasks.visual_questions import joint_ids
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer

# Shapes: N segments, C classes, T words of one segment.

BATCH_NUM_SEQUENCES = 64


@torch.no_grad()
def class_probabilities(
    model: VideoBERTForSequenceClassification, tokenizer: VideoBERTTokenizer, *, words: Sequence[np.ndarray]
) -> np.ndarray:
    """Return probabilities (N, C) of the model's classes, one row a segment, from `[CLS] words [SEP]`.

    They sum to one, or where a segment may have several classes each is for itself.
    Words past the model's last position are cut.
    """
    device = next(model.parameters()).device
    sequences = word_sequences(
        words, tokenizer=tokenizer, max_num_tokens=model.config.max_position_embeddings
    )
    rows = []
    for start in range(0, len(sequences), BATCH_NUM_SEQUENCES):
        logits_NC = model(pack(sequences[start : start + BATCH_NUM_SEQUENCES]).to(device)).logits_BC
        probabilities_NC = (
            torch.sigmoid(logits_NC) if model.is_multi_label else torch.softmax(logits_NC.float(), dim=-1)
        )
        rows.append(probabilities_NC.cpu().numpy())
    return np.concatenate(rows)


def word_sequences(
    words: Sequence[np.ndarray], *, tokenizer: VideoBERTTokenizer, max_num_tokens: int
) -> list[TokenSequence]:
    """Return `[CLS] words [SEP]` of each segment, its words (T,), `MASKED` where one is hidden, cut to what fits."""
    vocabulary = joint_vocabulary(tokenizer)
    kept = [truncate(words_T[:0], words_T, max_num_tokens=max_num_tokens)[1] for words_T in words]
    return [
        join(None, unmasked(joint_ids(words_T, tokenizer=tokenizer)), vocabulary=vocabulary)
        for words_T in kept
    ]

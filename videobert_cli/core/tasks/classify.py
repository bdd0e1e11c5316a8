"""Classes of segments from their visual words, by a fine-tuned model."""

from collections.abc import Sequence

import numpy as np
import torch

from videobert_cli.core.model.classification import VideoBERTForSequenceClassification
from videobert_cli.core.sequences.documents import joint_vocabulary
from videobert_cli.core.sequences.joint import join, unmasked
from videobert_cli.core.sequences.packing import pack
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer

# Shapes: N segments, C classes, T words of one segment.

BATCH_NUM_SEQUENCES = 64


@torch.no_grad()
def class_probabilities(
    model: VideoBERTForSequenceClassification, tokenizer: VideoBERTTokenizer, *, words: Sequence[np.ndarray]
) -> np.ndarray:
    """Return probabilities (N, C) of the model's classes, one row a segment, from `[CLS] words [SEP]`."""
    vocabulary = joint_vocabulary(tokenizer)
    device = next(model.parameters()).device
    first_word = tokenizer.word_to_id(0)
    rows = []
    for start in range(0, len(words), BATCH_NUM_SEQUENCES):
        sequences = [
            join(None, unmasked(words_T.astype(np.int64) + first_word), vocabulary=vocabulary)
            for words_T in words[start : start + BATCH_NUM_SEQUENCES]
        ]
        logits_NC = model(pack(sequences).to(device)).logits_BC
        rows.append(torch.softmax(logits_NC.float(), dim=-1).cpu().numpy())
    return np.concatenate(rows)

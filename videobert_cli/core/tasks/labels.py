"""Labels of segments from their visual words, by the heads that a model learned while it was pretrained."""

from collections.abc import Sequence

import numpy as np
import torch

from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.sequences.packing import pack
from videobert_cli.core.tasks.classify import BATCH_NUM_SEQUENCES, word_sequences
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer

# Shapes: N segments, C classes of one head, T words of one segment.


@torch.no_grad()
def label_probabilities(
    model: VideoBERTForPreTraining, tokenizer: VideoBERTTokenizer, *, words: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Return the probabilities (N, C) of each head's classes, in the order of `config.label_heads`.

    Those of a single-label head sum to one; each of a multi-label head is for itself. Words past the model's last
    position are cut.
    """
    device = next(model.parameters()).device
    sequences = word_sequences(
        words, tokenizer=tokenizer, max_num_tokens=model.config.max_position_embeddings
    )
    heads = model.config.label_heads
    rows: list[list[np.ndarray]] = [[] for _ in heads]
    for start in range(0, len(sequences), BATCH_NUM_SEQUENCES):
        batch = pack(sequences[start : start + BATCH_NUM_SEQUENCES]).to(device)
        for head, found, logits_NC in zip(heads, rows, model.label_logits(batch), strict=True):
            is_single = head.kind == "single"
            probabilities_NC = torch.softmax(logits_NC, dim=-1) if is_single else torch.sigmoid(logits_NC)
            found.append(probabilities_NC.cpu().numpy())
    return [np.concatenate(found) for found in rows]

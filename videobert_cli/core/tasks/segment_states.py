"""Segments as a pretrained encoder sees them: frozen features for a linear classifier."""

from collections.abc import Sequence

import numpy as np
import torch

from videobert_cli.core.model.attention import SequenceLayout
from videobert_cli.core.model.label_heads import mean_of_words
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.sequences.packing import pack
from videobert_cli.core.tasks.classify import word_sequences
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer

# Shapes: N segments, T words of one, H hidden size.

BATCH_NUM_SEQUENCES = 64


@torch.no_grad()
def segment_states(
    model: VideoBERTForPreTraining, tokenizer: VideoBERTTokenizer, *, words: Sequence[np.ndarray]
) -> np.ndarray:
    """Return the state of [CLS] and the mean state of the words, (N, 2 H), of `[CLS] words [SEP]` of each segment."""
    device = next(model.parameters()).device
    sequences = word_sequences(
        words, tokenizer=tokenizer, max_num_tokens=model.config.max_position_embeddings
    )
    rows = [np.zeros((0, 2 * model.config.hidden_size), dtype=np.float32)]
    for first in range(0, len(sequences), BATCH_NUM_SEQUENCES):
        batch = pack(sequences[first : first + BATCH_NUM_SEQUENCES]).to(device)
        encoded = model.bert(batch)
        mean_BH = mean_of_words(
            encoded.hidden_SH,
            is_word_S=batch.input_ids_S >= model.config.first_visual_id,
            layout=SequenceLayout.of(batch),
        )
        rows.append(torch.cat([encoded.cls_BH, mean_BH], dim=1).float().cpu().numpy())
    return np.concatenate(rows)

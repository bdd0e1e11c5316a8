"""What a training step costs in multiplications and additions, for the share of the hardware's peak that it reaches.

Shapes: B sequences.
"""

import numpy as np

from videobert_cli.core.model.config import VideoBERTConfig
from videobert_cli.core.sequences.packing import PackedBatch

# The gradient of a matrix product is two products of its size: with respect to either factor.
_FORWARD_AND_BACKWARD = 3


def training_flops(config: VideoBERTConfig, *, lengths_B: np.ndarray, num_predicted: int = 0) -> float:
    """Return the floating point operations of one forward and backward pass over real tokens.

    Matrix products alone are counted, two operations for each multiplication: the layers' for every token, attention's
    for every pair of tokens of one sequence, the vocabulary's for `num_predicted` positions. What a body computes
    beside that (padding, a forward pass repeated to save memory) is no work, so it lowers the share and not the cost;
    gradients that frozen weights do not need are counted, as is usual.
    """
    hidden, inner = config.hidden_size, config.intermediate_size
    num_tokens, num_pairs = float(lengths_B.sum()), float(np.square(lengths_B, dtype=np.float64).sum())
    of_layer = num_tokens * (4 * hidden * hidden + 2 * hidden * inner) + 2 * num_pairs * hidden
    of_head = num_predicted * hidden * (hidden + config.vocab_size + config.num_visual_words)
    return 2.0 * _FORWARD_AND_BACKWARD * (config.num_hidden_layers * of_layer + of_head)


def batch_flops(config: VideoBERTConfig, batch: PackedBatch) -> float:
    """Return the operations of a batch that is still on the CPU: a GPU would be waited for."""
    lengths_B = np.diff(batch.cu_seqlens.numpy())
    return training_flops(config, lengths_B=lengths_B, num_predicted=batch.masked_positions_P.shape[0])

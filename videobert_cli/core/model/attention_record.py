"""What every layer's heads attended to: the fast attention keeps no shares, so they are made again for one sequence.

Shapes: S tokens of the sequence, L layers, N heads, D width of a head, H hidden size.
"""

import torch
from torch import Tensor

from videobert_cli.core.model.attention import SequenceLayout, attention_shares
from videobert_cli.core.model.encoder import Layer, VideoBERTModel
from videobert_cli.core.sequences.packing import PackedBatch


@torch.no_grad()
def recorded_attention(model: VideoBERTModel, batch: PackedBatch) -> Tensor:
    """Return the attention [L, N, S, S] of a batch of one sequence: `[l, n, i]` is how token i shared it, summing to 1.

    It equals transformers' `output_attentions` (tests/parity/test_attention_parity.py) and costs L N S^2 numbers.

    Raises:
        ValueError: The batch has several sequences.
    """
    if batch.num_sequences != 1:
        raise ValueError(
            f"attention is recorded one sequence at a time, this batch has {batch.num_sequences}"
        )
    found_LNSS: list[Tensor] = []

    def record(layer: Layer, inputs: tuple[Tensor, SequenceLayout]) -> None:
        query_SND, key_SND, _ = layer.project(inputs[0]).float().unbind(1)
        found_LNSS.append(attention_shares(query_SND, key_SND))

    hooks = [layer.register_forward_pre_hook(record) for layer in model.encoder.layer]
    try:
        model.encoder(model.embeddings(batch), SequenceLayout.of(batch))
    finally:
        for hook in hooks:
            hook.remove()
    return torch.stack(found_LNSS)

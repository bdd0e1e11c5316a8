"""Packed batch -> hidden states: BERT's encoder, parameter for parameter, with no work done on padding.

Shapes: S tokens of all sequences, B sequences, N heads, D width of a head, H hidden size.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videobert_cli.core.model.attention import SequenceLayout, attend
from videobert_cli.core.model.checkpoint import PretrainedModel
from videobert_cli.core.model.config import VideoBERTConfig
from videobert_cli.core.model.dropout import Dropout
from videobert_cli.core.model.embeddings import VideoBERTEmbeddings
from videobert_cli.core.sequences.packing import PackedBatch


@dataclass(frozen=True, kw_only=True)
class EncoderOutput:
    """Last hidden states of all tokens, of each sequence's first token, and that after BERT's pooler."""

    hidden_SH: Tensor
    cls_BH: Tensor
    pooled_BH: Tensor


class SelfAttention(nn.Module):
    """Queries, keys and values of all heads, and attention within each sequence."""

    def __init__(self, config: VideoBERTConfig) -> None:
        super().__init__()
        self.num_heads = config.num_attention_heads
        self.dropout_prob = config.attention_probs_dropout_prob
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden_SH: Tensor, layout: SequenceLayout) -> Tensor:
        """Return the attended values [S, H]."""
        # BERT's names want three matrices, the hardware one product: joining them costs 3 H^2 copies a layer.
        parts = (self.query, self.key, self.value)
        weight = torch.cat([part.weight for part in parts])
        bias = torch.cat([part.bias for part in parts])
        joined_S3ND = F.linear(hidden_SH, weight, bias).view(hidden_SH.shape[0], 3, self.num_heads, -1)
        dropout = self.dropout_prob if self.training else 0.0
        query_SND, key_SND, value_SND = joined_S3ND.unbind(1)
        return attend(query_SND, key_SND, value_SND, layout=layout, dropout=dropout).flatten(1)


class ResidualOutput(nn.Module):
    """Linear, dropout, residual sum, LayerNorm: BERT ends both halves of a layer with it."""

    def __init__(self, config: VideoBERTConfig, *, input_size: int) -> None:
        super().__init__()
        self.dense = nn.Linear(input_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def forward(self, values_SX: Tensor, residual_SH: Tensor) -> Tensor:
        """Return the normed sum [S, H]."""
        normed: Tensor = self.LayerNorm(self.dropout(self.dense(values_SX)) + residual_SH)
        return normed


class Attention(nn.Module):
    """First half of a layer."""

    def __init__(self, config: VideoBERTConfig) -> None:
        super().__init__()
        self.self = SelfAttention(config)
        self.output = ResidualOutput(config, input_size=config.hidden_size)


class Intermediate(nn.Module):
    """The wide linear layer of the second half."""

    def __init__(self, config: VideoBERTConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)


class Layer(nn.Module):
    """One transformer layer."""

    def __init__(self, config: VideoBERTConfig) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.intermediate = Intermediate(config)
        self.output = ResidualOutput(config, input_size=config.intermediate_size)

    def forward(self, hidden_SH: Tensor, layout: SequenceLayout) -> Tensor:
        """Return the layer's output [S, H]."""
        hidden_SH = self.attention.output(self.attention.self(hidden_SH, layout), hidden_SH)
        output: Tensor = self.output(F.gelu(self.intermediate.dense(hidden_SH)), hidden_SH)
        return output


class Encoder(nn.Module):
    """The stack of layers."""

    def __init__(self, config: VideoBERTConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))

    def forward(self, hidden_SH: Tensor, layout: SequenceLayout) -> Tensor:
        """Return the last layer's output [S, H]."""
        for layer in self.layer:
            hidden_SH = layer(hidden_SH, layout)
        return hidden_SH


class Pooler(nn.Module):
    """BERT's pooler: linear and tanh of the first token's state."""

    def __init__(self, config: VideoBERTConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, cls_BH: Tensor) -> Tensor:
        """Return the pooled states [B, H]."""
        return torch.tanh(self.dense(cls_BH))


class VideoBERTModel(PretrainedModel):
    """The encoder: embeddings, layers and pooler, named as in transformers' BertModel.

    Its state dict loads into a BertModel of the same sizes but for `embeddings.glue_embedding`,
    `embeddings.visual_embeddings.weight` and `embeddings.visual_projection.weight`, which no BERT has.
    """

    def __init__(self, config: VideoBERTConfig, *, seed: int | None = 0) -> None:
        super().__init__(config)
        with torch.device("meta"):
            self.embeddings = VideoBERTEmbeddings(config)
            self.encoder = Encoder(config)
            self.pooler = Pooler(config)
        self.materialize(seed)

    def forward(self, batch: PackedBatch) -> EncoderOutput:
        """Return the hidden states of all tokens of `batch`, in its order."""
        hidden_SH = self.encoder(self.embeddings(batch), SequenceLayout.of(batch))
        cls_BH = hidden_SH.index_select(0, batch.cu_seqlens[:-1])
        return EncoderOutput(hidden_SH=hidden_SH, cls_BH=cls_BH, pooled_BH=self.pooler(cls_BH))

    @classmethod
    def rename_key(cls, key: str) -> str | None:
        """Take the encoder out of a pretraining model or classifier: heads are left, `bert.` goes."""
        if key.startswith(("cls.", "classifier.")):
            return None
        return key.removeprefix("bert.")

    def __call__(self, *args: Any, **kwargs: Any) -> EncoderOutput:
        """See `forward`; repeated for its type."""
        output: EncoderOutput = super().__call__(*args, **kwargs)
        return output

"""Packed batch -> hidden states: BERT's encoder, parameter for parameter, with no work done on padding.

Shapes: S tokens of all sequences, B sequences, N heads, D width of a head, H hidden size.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

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

    def project(self, hidden_SH: Tensor) -> Tensor:
        """Return queries, keys and values [S, 3, N, D]."""
        # BERT's names want three matrices, the hardware one product: joining them costs 3 H^2 copies a layer.
        parts = (self.query, self.key, self.value)
        weight = torch.cat([part.weight for part in parts])
        bias = torch.cat([part.bias for part in parts])
        return F.linear(hidden_SH, weight, bias).view(hidden_SH.shape[0], 3, self.num_heads, -1)

    def attend(self, joined_S3ND: Tensor, layout: SequenceLayout) -> Tensor:
        """Return the attended values [S, N, D]."""
        dropout = self.dropout_prob if self.training else 0.0
        query_SND, key_SND, value_SND = joined_S3ND.unbind(1)
        return attend(query_SND, key_SND, value_SND, layout=layout, dropout=dropout)


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

    def forward(self, hidden_SH: Tensor, layout: SequenceLayout, *, parts: "LayerParts") -> Tensor:
        """Return the layer's output [S, H]."""
        attended_SND = self.attention.self.attend(parts.project(self, hidden_SH), layout)
        return parts.finish(self, attended_SND, hidden_SH)

    def project(self, hidden_SH: Tensor) -> Tensor:
        """Return what comes before attention: queries, keys and values [S, 3, N, D]."""
        projected: Tensor = self.attention.self.project(hidden_SH)
        return projected

    def finish(self, attended_SND: Tensor, hidden_SH: Tensor) -> Tensor:
        """Return what comes after attention: the layer's output [S, H]."""
        hidden_SH = self.attention.output(attended_SND.flatten(1), hidden_SH)
        output: Tensor = self.output(F.gelu(self.intermediate.dense(hidden_SH)), hidden_SH)
        return output


@dataclass(frozen=True, kw_only=True)
class LayerParts:
    """What a layer does before and after its attention: as it is written, or compiled."""

    project: Callable[[Layer, Tensor], Tensor]
    finish: Callable[[Layer, Tensor, Tensor], Tensor]


class Encoder(nn.Module):
    """The stack of layers.

    `recomputes_activations` keeps only each layer's input on the way forward and makes the rest again on the way
    back: a third more work, a fraction of the memory, the same gradients (dropout draws the same again).
    """

    def __init__(self, config: VideoBERTConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.recomputes_activations = False
        self._parts = LayerParts(project=Layer.project, finish=Layer.finish)

    def forward(self, hidden_SH: Tensor, layout: SequenceLayout) -> Tensor:
        """Return the last layer's output [S, H]."""
        is_recomputing = self.recomputes_activations and torch.is_grad_enabled()
        for layer in self.layer:
            run = partial(layer, parts=self._parts)
            if is_recomputing:
                hidden_SH = checkpoint(run, hidden_SH, layout, use_reentrant=False)
            else:
                hidden_SH = run(hidden_SH, layout)
        return hidden_SH

    def compile_layers(self) -> None:
        """Have what lies before and after each layer's attention compiled, at its first call.

        Attention stays out: it is one kernel already, and what describes the batch (the number of sequences, the
        longest) would be a reason to compile again. Of what is compiled only the number of tokens varies, so one
        program serves every batch and all layers, and BERT-large compiles as fast as one layer.
        """
        self._parts = LayerParts(
            project=torch.compile(Layer.project, dynamic=True),
            finish=torch.compile(Layer.finish, dynamic=True),
        )


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

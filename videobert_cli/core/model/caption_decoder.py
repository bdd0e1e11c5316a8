"""A transformer decoder that says a sentence about what it looks at; its keys and values are kept between tokens.

Shapes: B sentences, T tokens, M states that are looked at, N heads, D width of a head, H hidden size.
"""

from dataclasses import dataclass, field
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videobert_cli.core.model.config import VideoBERTConfig
from videobert_cli.core.model.dropout import Dropout


@dataclass
class LayerCache:
    """Keys and values [B, N, T, D] of the tokens so far, and those [B, N, M, D] of what is looked at."""

    seen: tuple[Tensor, Tensor]
    own: tuple[Tensor, Tensor] | None = None

    def reorder(self, rows_B: Tensor) -> None:
        """Let sentence b go on from what was sentence `rows_B[b]`."""
        if self.own is not None:
            self.own = (self.own[0].index_select(0, rows_B), self.own[1].index_select(0, rows_B))


@dataclass
class DecoderCache:
    """What a decoder keeps of B sentences that it says: a cache a layer, and which states are there [B, 1, 1, M]."""

    is_state: Tensor
    layers: list[LayerCache] = field(default_factory=list)
    num_tokens: int = 0

    def reorder(self, rows_B: Tensor) -> None:
        """Let sentence b go on from what was sentence `rows_B[b]` of the same video."""
        for layer in self.layers:
            layer.reorder(rows_B)


class DecoderAttention(nn.Module):
    """Attention of tokens to tokens or to states."""

    def __init__(self, config: VideoBERTConfig) -> None:
        super().__init__()
        self.num_heads = config.num_attention_heads
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key_value = nn.Linear(config.hidden_size, 2 * config.hidden_size)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def keys_and_values(self, hidden_BMH: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values [B, N, M, D]."""
        key_BMH, value_BMH = self.key_value(hidden_BMH).chunk(2, dim=-1)
        return self._heads(key_BMH), self._heads(value_BMH)

    def forward(
        self, hidden_BTH: Tensor, keys_values: tuple[Tensor, Tensor], *, is_seen: Tensor | None
    ) -> Tensor:
        """Return what each token finds [B, T, H]; `is_seen` [B or 1, 1, T or 1, M] says where it may look."""
        found_BNTD = F.scaled_dot_product_attention(
            self._heads(self.query(hidden_BTH)), *keys_values, attn_mask=is_seen
        )
        found_BTH: Tensor = self.dense(found_BNTD.transpose(1, 2).flatten(2))
        return found_BTH

    def _heads(self, hidden_BTH: Tensor) -> Tensor:
        num_rows, num_tokens, size = hidden_BTH.shape
        shape = (num_rows, num_tokens, self.num_heads, size // self.num_heads)
        return hidden_BTH.view(shape).transpose(1, 2)


class DecoderLayer(nn.Module):
    """Tokens look at earlier tokens, then at the states; each part adds to what is there (norm first, as in GPT-2)."""

    def __init__(self, config: VideoBERTConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.own = DecoderAttention(config)
        self.seen = DecoderAttention(config)
        self.intermediate = nn.Linear(size, config.intermediate_size)
        self.output = nn.Linear(config.intermediate_size, size)
        self.own_LayerNorm = nn.LayerNorm(size, eps=config.layer_norm_eps)
        self.seen_LayerNorm = nn.LayerNorm(size, eps=config.layer_norm_eps)
        self.output_LayerNorm = nn.LayerNorm(size, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def forward(
        self, hidden_BTH: Tensor, cache: LayerCache, *, is_state: Tensor, is_earlier: Tensor
    ) -> Tensor:
        """Return the layer's output [B, T, H] and put the tokens' keys and values into the cache."""
        normed_BTH = self.own_LayerNorm(hidden_BTH)
        new = self.own.keys_and_values(normed_BTH)
        if cache.own is not None:
            new = (torch.cat([cache.own[0], new[0]], dim=2), torch.cat([cache.own[1], new[1]], dim=2))
        cache.own = new
        hidden_BTH = hidden_BTH + self.dropout(self.own(normed_BTH, new, is_seen=is_earlier))
        looked_BTH = self.seen(self.seen_LayerNorm(hidden_BTH), cache.seen, is_seen=is_state)
        hidden_BTH = hidden_BTH + self.dropout(looked_BTH)
        wide_BTX = F.gelu(self.intermediate(self.output_LayerNorm(hidden_BTH)))
        output_BTH: Tensor = hidden_BTH + self.dropout(self.output(wide_BTX))
        return output_BTH


class CaptionDecoder(nn.Module):
    """Embedded tokens and states to the hidden state that says the next token."""

    def __init__(self, config: VideoBERTConfig, *, num_layers: int, max_num_tokens: int) -> None:
        super().__init__()
        size = config.hidden_size
        self.positions = nn.Embedding(max_num_tokens, size, _weight=torch.empty(max_num_tokens, size))
        self.layer = nn.ModuleList(DecoderLayer(config) for _ in range(num_layers))
        self.LayerNorm = nn.LayerNorm(size, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def look(self, states_BMH: Tensor, *, is_state_BM: Tensor) -> DecoderCache:
        """Return the cache of sentences not begun about states [B, M, H], those marked in `is_state_BM` being there."""
        cache = DecoderCache(is_state=is_state_BM[:, None, None, :])
        layers = cast("list[DecoderLayer]", list(self.layer))
        cache.layers = [LayerCache(seen=layer.seen.keys_and_values(states_BMH)) for layer in layers]
        return cache

    def forward(self, embedded_BTH: Tensor, cache: DecoderCache) -> Tensor:
        """Return the states [B, T, H] of T further tokens, given those that the cache has."""
        first, num = cache.num_tokens, embedded_BTH.shape[1]
        places = torch.arange(first, first + num, device=embedded_BTH.device)
        hidden_BTH = self.dropout(embedded_BTH + self.positions(places))
        is_earlier = torch.arange(first + num, device=places.device) <= places[:, None]
        for layer, kept in zip(self.layer, cache.layers, strict=True):
            hidden_BTH = layer(hidden_BTH, kept, is_state=cache.is_state, is_earlier=is_earlier)
        cache.num_tokens += num
        normed_BTH: Tensor = self.LayerNorm(hidden_BTH)
        return normed_BTH

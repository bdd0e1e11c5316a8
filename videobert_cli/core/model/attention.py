"""One attention function for sequences packed end to end; its body depends on where the tokens are.

Shapes: S tokens of all sequences, B sequences, T longest sequence, N heads, D width of a head, X any rest.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from videobert_cli.core.model.dropout import dropout as drop
from videobert_cli.core.sequences.packing import PackedBatch

# Up to this length the scores of all heads are small enough to be kept, and two plain products beat torch's
# fused CPU kernel: 6.8 against 13.6 ms (bf16) and 10.3 against 12.3 ms (fp32) a layer at T = 33, forward and
# backward.
_MAX_PLAIN_SEQLEN = 128


@dataclass(frozen=True, kw_only=True)
class SequenceLayout:
    """Where each sequence of a packed batch lies, and how its tokens fit into a padded [B, T] grid.

    Made once a batch and shared by all layers; the grid is only worked out when a body asks for it.
    """

    cu_seqlens: Tensor
    max_seqlen: int
    num_tokens: int

    @classmethod
    def of(cls, batch: PackedBatch) -> "SequenceLayout":
        """Return the layout of `batch`."""
        return cls(cu_seqlens=batch.cu_seqlens, max_seqlen=batch.max_seqlen, num_tokens=batch.num_tokens)

    @property
    def num_sequences(self) -> int:
        """Number of sequences."""
        return self.cu_seqlens.shape[0] - 1

    @property
    def has_padding(self) -> bool:
        """Whether the grid has empty cells; with equal lengths it has none and a reshape is enough."""
        return self.num_tokens != self.num_sequences * self.max_seqlen

    @cached_property
    def cells(self) -> Tensor:
        """Cell of the flattened [B, T] grid of each token, shape [S]."""
        starts = self.cu_seqlens[:-1].long()
        # The number of tokens is given, so that a GPU need not be asked for it.
        shifts_B = torch.arange(self.num_sequences, device=starts.device) * self.max_seqlen - starts
        shifts_S = shifts_B.repeat_interleave(self.cu_seqlens.diff(), output_size=self.num_tokens)
        return torch.arange(self.num_tokens, device=starts.device) + shifts_S

    @cached_property
    def is_token(self) -> Tensor:
        """Which cells of the grid hold a token, shape [B, T]."""
        columns_T = torch.arange(self.max_seqlen, device=self.cu_seqlens.device)
        return columns_T < self.cu_seqlens.diff()[:, None]

    @cached_property
    def score_bias(self) -> Tensor:
        """What is added to a key's score, shape [B, 1, 1, T]: 0 for tokens, minus 1e30 for the rest."""
        return torch.zeros(self.is_token.shape).masked_fill(~self.is_token, -1e30)[:, None, None, :]

    def pad(self, values_SX: Tensor) -> Tensor:
        """Return values [S, ...] as a grid [B, T, ...] with zeros in the empty cells."""
        shape = (self.num_sequences, self.max_seqlen, *values_SX.shape[1:])
        if not self.has_padding:
            return values_SX.reshape(shape)
        grid = values_SX.new_zeros(self.num_sequences * self.max_seqlen, *values_SX.shape[1:])
        return grid.index_copy(0, self.cells, values_SX).view(shape)

    def unpad(self, values_BTX: Tensor) -> Tensor:
        """Return the tokens of a grid [B, T, ...] as [S, ...]; the inverse of `pad`."""
        flat = values_BTX.flatten(0, 1)
        return flat.index_select(0, self.cells) if self.has_padding else flat


def attend(
    query_SND: Tensor, key_SND: Tensor, value_SND: Tensor, *, layout: SequenceLayout, dropout: float
) -> Tensor:
    """Return each token's attention [S, N, D] over the tokens of its own sequence, scaled by 1/sqrt(D).

    On CUDA in bf16 or fp16 the kernel for unpadded sequences runs; it knows no dropout (torch 2.11 to 2.13),
    so `dropout` is ignored there and the hidden states' dropout has to do. Everywhere else tokens are laid on
    a padded grid, which costs memory for the longest sequence but runs on any device and in any precision.
    """
    if _has_varlen_kernel(query_SND):
        return _attend_varlen(query_SND, key_SND, value_SND, layout=layout)
    query, key, value = (layout.pad(x).transpose(1, 2) for x in (query_SND, key_SND, value_SND))
    is_small = query.device.type == "cpu" and layout.max_seqlen <= _MAX_PLAIN_SEQLEN
    body = _attend_grid_plain if is_small else _attend_grid_fused
    attended = layout.unpad(body(query, key, value, layout=layout, dropout=dropout).transpose(1, 2))
    # One order in memory whatever the batch: another would make what is compiled after it compile again.
    return attended.contiguous()


def attend_one_by_one(
    query_SND: Tensor, key_SND: Tensor, value_SND: Tensor, *, layout: SequenceLayout
) -> Tensor:
    """Return what `attend` must without dropout, one sequence at a time: slow and plain, for tests."""
    outputs = []
    for start, stop in itertools.pairwise(layout.cu_seqlens.tolist()):
        query_TND, key_TND, value_TND = (x[start:stop] for x in (query_SND, key_SND, value_SND))
        shares_NTT = attention_shares(query_TND, key_TND)
        outputs.append((shares_NTT @ value_TND.transpose(0, 1)).transpose(0, 1))
    return torch.cat(outputs)


def attention_shares(query_TND: Tensor, key_TND: Tensor) -> Tensor:
    """Return how each token of one sequence shares its attention, [N, T, T]: row i sums to 1 over all tokens."""
    query_NTD, key_NTD = query_TND.transpose(0, 1), key_TND.transpose(0, 1)
    scores_NTT: Tensor = query_NTD @ key_NTD.transpose(1, 2) / query_NTD.shape[-1] ** 0.5
    return scores_NTT.softmax(-1)


def _attend_grid_plain(
    query_BNTD: Tensor, key_BNTD: Tensor, value_BNTD: Tensor, *, layout: SequenceLayout, dropout: float
) -> Tensor:
    scores_BNTT = (query_BNTD * query_BNTD.shape[-1] ** -0.5) @ key_BNTD.transpose(2, 3)
    if layout.has_padding:
        scores_BNTT = scores_BNTT + layout.score_bias
    shares_BNTT = scores_BNTT.softmax(-1, dtype=torch.float32).to(value_BNTD.dtype)
    return drop(shares_BNTT, probability=dropout) @ value_BNTD


def _attend_grid_fused(
    query_BNTD: Tensor, key_BNTD: Tensor, value_BNTD: Tensor, *, layout: SequenceLayout, dropout: float
) -> Tensor:
    mask = layout.is_token[:, None, None, :] if layout.has_padding else None
    return F.scaled_dot_product_attention(query_BNTD, key_BNTD, value_BNTD, attn_mask=mask, dropout_p=dropout)


def _attend_varlen(
    query_SND: Tensor, key_SND: Tensor, value_SND: Tensor, *, layout: SequenceLayout
) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    # Only the arguments that no release has moved so far; full attention is the default in all.
    kernel = cast("Callable[..., Tensor]", varlen_attn)
    bounds, longest = layout.cu_seqlens, layout.max_seqlen
    return kernel(query_SND, key_SND, value_SND, bounds, bounds, longest, longest)


def _has_varlen_kernel(query_SND: Tensor) -> bool:
    if not query_SND.is_cuda or query_SND.dtype not in {torch.bfloat16, torch.float16}:
        return False
    return _probe_varlen(query_SND.device, dtype=query_SND.dtype, head_size=query_SND.shape[-1])


@cache
def _probe_varlen(device: torch.device, *, dtype: torch.dtype, head_size: int) -> bool:
    """Return whether the kernel runs forward and backward on this device: tried once, on two sequences."""
    try:
        with torch.enable_grad():
            tokens = torch.zeros(3, 1, head_size, device=device, dtype=dtype, requires_grad=True)
            bounds = torch.tensor([0, 1, 3], device=device, dtype=torch.int32)
            layout = SequenceLayout(cu_seqlens=bounds, max_seqlen=2, num_tokens=3)
            torch.autograd.grad(_attend_varlen(tokens, tokens, tokens, layout=layout).sum(), tokens)
    except (ImportError, RuntimeError, NotImplementedError, TypeError):
        # Old card, odd head size, or a release that moved the signature: the grid is right, only slower.
        return False
    return True

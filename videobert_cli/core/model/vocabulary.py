"""Masked positions meet the vocabulary: what cross entropy needs of each row of scores, without keeping the scores.

Shapes: P predicted positions, X width of the states, C rows of one vocabulary, R rows of one part of it.
"""

from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

# Up to this size all scores are made at once. Above it they are made part by part and made again on the way back, which
# costs a third more of the head's products (1 % of BERT-large's step) and saves four arrays of that size: 2 GB at
# BERT-large's 2,600 positions and 51,258 words.
_MAX_WHOLE_BYTES = 128 << 20
_PART_BYTES = 64 << 20
# Products want many rows, and a multiple of what the hardware's tiles have.
_LEAST_PART_ROWS = 1024
_PART_MULTIPLE = 128


@dataclass(frozen=True, kw_only=True)
class VocabularyBlock:
    """The states [P, X] whose scores are asked for, and the rows [C, X] and biases [C] of one vocabulary."""

    states_PX: Tensor
    rows_CX: Tensor
    bias_C: Tensor

    def logits(self) -> Tensor:
        """Return all scores [P, C], as float32."""
        return F.linear(self.states_PX, self.rows_CX, self.bias_C).float()

    @property
    def num_bytes(self) -> int:
        """How large all scores would be."""
        return 4 * self.states_PX.shape[0] * self.rows_CX.shape[0]


@dataclass(frozen=True, kw_only=True)
class RowScores:
    """Of each row of scores: the logarithm of its sum of exponentials, the label's score, the best and its column.

    The first two carry gradients.
    """

    normalizer_P: Tensor
    target_P: Tensor
    best_P: Tensor
    best_column_P: Tensor


def fit_whole(*blocks: VocabularyBlock) -> bool:
    """Return whether the scores of all blocks together are small enough to be made at once."""
    return sum(block.num_bytes for block in blocks) <= _MAX_WHOLE_BYTES


def whole_scores(logits_PC: Tensor, column_P: Tensor) -> RowScores:
    """Return the rows' scores from all logits; columns beyond the last are brought into range."""
    best_P, best_column_P = logits_PC.detach().max(-1)
    target_P = logits_PC.gather(1, column_P.clamp(max=logits_PC.shape[1] - 1)[:, None]).squeeze(1)
    return RowScores(
        normalizer_P=logits_PC.logsumexp(-1), target_P=target_P, best_P=best_P, best_column_P=best_column_P
    )


def scores_in_parts(block: VocabularyBlock, column_P: Tensor, *, part_num_rows: int = 0) -> RowScores:
    """Return what `whole_scores` returns of the block's logits, to rounding, with never more than a part of them.

    Args:
        block: States and vocabulary.
        column_P: The label's column in each row; those beyond the last are brought into range.
        part_num_rows: Rows of the vocabulary in one part; 0 for as many as `_PART_BYTES` of scores hold.
    """
    num_positions, num_rows = len(column_P), block.rows_CX.shape[0]
    part = part_num_rows or _part_num_rows(num_positions)
    device_type = block.states_PX.device.type
    is_mixed = torch.is_autocast_enabled(device_type)
    dtype = torch.get_autocast_dtype(device_type) if is_mixed else block.states_PX.dtype
    found = cast(
        "tuple[Tensor, Tensor, Tensor, Tensor]",
        _ScoresInParts.apply(  # type: ignore[no-untyped-call]
            block.states_PX, block.rows_CX, block.bias_C, column_P.clamp(max=num_rows - 1), part, dtype
        ),
    )
    normalizer_P, target_P, best_P, best_column_P = found
    return RowScores(normalizer_P=normalizer_P, target_P=target_P, best_P=best_P, best_column_P=best_column_P)


def _part_num_rows(num_positions: int) -> int:
    wanted = _PART_BYTES // (4 * max(1, num_positions))
    return max(_LEAST_PART_ROWS, wanted // _PART_MULTIPLE * _PART_MULTIPLE)


class _ScoresInParts(torch.autograd.Function):
    """The scores of one part after another; only each row's few numbers are kept, the rest is made again going back.

    The vocabulary is cut, not the positions: each row of its gradient is then written once, by one product.
    """

    @staticmethod
    def forward(  # noqa: PLR0917 - torch hands them on by position
        ctx: Any,
        states_PX: Tensor,
        rows_CX: Tensor,
        bias_C: Tensor,
        column_P: Tensor,
        part: int,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        lowest_P = states_PX.new_full((len(states_PX),), -torch.inf, dtype=torch.float32)
        normalizer_P, best_P, target_P = lowest_P, lowest_P, torch.zeros_like(lowest_P)
        best_column_P = torch.zeros_like(column_P)
        with torch.autocast(states_PX.device.type, enabled=False):
            cast_PX = states_PX.to(dtype)
            for start in range(0, len(rows_CX), part):
                stop = min(start + part, len(rows_CX))
                logits_PR = _part_logits(cast_PX, rows_CX[start:stop], bias_C[start:stop])
                is_here_P, place_P = _places(column_P, start=start, stop=stop)
                found_P = logits_PR.gather(1, place_P[:, None]).squeeze(1)
                target_P = torch.where(is_here_P, found_P, target_P)
                part_best_P, part_column_P = logits_PR.max(-1)
                sums_P = logits_PR.sub_(part_best_P[:, None]).exp_().sum(-1)
                normalizer_P = torch.logaddexp(normalizer_P, part_best_P + sums_P.log())
                best_column_P = torch.where(part_best_P > best_P, part_column_P + start, best_column_P)
                best_P = torch.maximum(best_P, part_best_P)
        ctx.save_for_backward(states_PX, rows_CX, bias_C, column_P, normalizer_P)
        ctx.part, ctx.dtype = part, dtype
        ctx.mark_non_differentiable(best_P, best_column_P)
        return normalizer_P, target_P, best_P, best_column_P

    @staticmethod
    def backward(
        ctx: Any, grad_normalizer_P: Tensor, grad_target_P: Tensor, *_: Tensor
    ) -> tuple[Tensor | None, ...]:
        states_PX, rows_CX, bias_C, column_P, normalizer_P = ctx.saved_tensors
        wants_states, wants_rows, wants_bias = ctx.needs_input_grad[:3]
        cast_PX = states_PX.to(ctx.dtype)
        # Sums over the whole vocabulary are kept in float32, whatever the products' precision.
        grad_PX = torch.zeros_like(states_PX, dtype=torch.float32) if wants_states else None
        grad_CX = torch.empty_like(rows_CX) if wants_rows else None
        grad_C = torch.empty_like(bias_C) if wants_bias else None
        for start in range(0, len(rows_CX), ctx.part):
            stop = min(start + ctx.part, len(rows_CX))
            logits_PR = _part_logits(cast_PX, rows_CX[start:stop], bias_C[start:stop])
            grad_PR = logits_PR.sub_(normalizer_P[:, None]).exp_().mul_(grad_normalizer_P[:, None])
            is_here_P, place_P = _places(column_P, start=start, stop=stop)
            grad_PR.scatter_add_(1, place_P[:, None], torch.where(is_here_P, grad_target_P, 0.0)[:, None])
            if grad_C is not None:
                grad_C[start:stop] = grad_PR.sum(0)
            cast_PR = grad_PR.to(ctx.dtype)
            if grad_PX is not None:
                grad_PX += cast_PR @ rows_CX[start:stop].to(ctx.dtype)
            if grad_CX is not None:
                grad_CX[start:stop] = cast_PR.T @ cast_PX
        grad_states = None if grad_PX is None else grad_PX.to(states_PX.dtype)
        return grad_states, grad_CX, grad_C, None, None, None


def _part_logits(cast_PX: Tensor, rows_RX: Tensor, bias_R: Tensor) -> Tensor:
    """Return the float32 scores of one part, an array of their own that may be written over."""
    return F.linear(cast_PX, rows_RX.to(cast_PX.dtype), bias_R.to(cast_PX.dtype)).float()


def _places(column_P: Tensor, *, start: int, stop: int) -> tuple[Tensor, Tensor]:
    """Return which labels lie in the part, and each label's place in it (any place for the others)."""
    is_here_P = (column_P >= start) & (column_P < stop)
    return is_here_P, (column_P - start).clamp(0, stop - start - 1)

"""Scores and labels -> the paper's losses, as means over their own positions.

Shapes: P predicted positions, V text tokens, K visual words, C classes, B sequences.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from videobert_cli.core.model.vocabulary import RowScores, whole_scores
from videobert_cli.core.sequences.packing import NO_LABEL


@dataclass(frozen=True, kw_only=True)
class Score:
    """Mean loss over `num` positions (0, with a zero gradient, when there are none) and how many were right.

    All three are tensors of one element, on the device: reading them is the caller's decision, as it waits.
    """

    loss: Tensor
    num: Tensor
    num_correct: Tensor


def class_score(logits_BC: Tensor, labels_B: Tensor, *, weights_C: Tensor | None = None) -> Score:
    """Return the cross entropy of rows whose label is not -100, each times its class's weight where there are some.

    The mean is over rows, not over their weights, so that parts of a batch add up to it.
    """
    counted_B = labels_B != NO_LABEL
    losses_B = F.cross_entropy(
        logits_BC.float(), labels_B, weight=weights_C, ignore_index=NO_LABEL, reduction="none"
    )
    return _score(losses_B, correct_B=logits_BC.detach().argmax(-1) == labels_B, counted_B=counted_B)


def joint_scores(text_PV: Tensor, visual_PK: Tensor, labels_P: Tensor) -> tuple[Score, Score]:
    """Return text's and video's score under ONE softmax over text tokens and visual words (paper).

    The two blocks are never joined: the logarithm of their common sum is that of the two sums' sum.
    """
    is_visual_P, column_P = split_labels(labels_P, num_text=text_PV.shape[1])
    text = whole_scores(text_PV, column_P)
    visual = whole_scores(visual_PK, column_P) if visual_PK.shape[1] else None
    return joint_scores_of_rows(text, visual, is_visual_P=is_visual_P, column_P=column_P)


def joint_scores_of_rows(
    text: RowScores, visual: RowScores | None, *, is_visual_P: Tensor, column_P: Tensor
) -> tuple[Score, Score]:
    """Return the same from each row's few numbers; `visual` is None for a vocabulary without visual words."""
    if visual is None:
        normalizer_P, target_P, best_P = text.normalizer_P, text.target_P, text.best_column_P
    else:
        normalizer_P = torch.logaddexp(text.normalizer_P, visual.normalizer_P)
        target_P = torch.where(is_visual_P, visual.target_P, text.target_P)
        best_P = _best_of_both(text, visual, is_visual_P=is_visual_P)
    losses_P, correct_P = normalizer_P - target_P, best_P == column_P
    return (
        _score(losses_P, correct_B=correct_P, counted_B=~is_visual_P),
        _score(losses_P, correct_B=correct_P, counted_B=is_visual_P),
    )


def score_of_rows(rows: RowScores, column_P: Tensor) -> Score:
    """Return the score of rows that all have a label, under a softmax of their own."""
    return _score(
        rows.normalizer_P - rows.target_P,
        correct_B=rows.best_column_P == column_P,
        counted_B=torch.ones_like(column_P, dtype=torch.bool),
    )


def split_labels(labels_P: Tensor, *, num_text: int) -> tuple[Tensor, Tensor]:
    """Return which joint ids are visual words, and the column of each id within its own modality."""
    is_visual_P = labels_P > num_text
    return is_visual_P, torch.where(is_visual_P, labels_P - (num_text + 1), labels_P)


def _best_of_both(text: RowScores, visual: RowScores, *, is_visual_P: Tensor) -> Tensor:
    """Return the best column of the label's own modality, -1 where the other modality has a better one."""
    text_wins_P = text.best_P >= visual.best_P
    own_column_P = torch.where(is_visual_P, visual.best_column_P, text.best_column_P)
    return torch.where(text_wins_P == is_visual_P, -1, own_column_P)


def _score(losses_B: Tensor, *, correct_B: Tensor, counted_B: Tensor) -> Score:
    num = counted_B.sum()
    loss = torch.where(counted_B, losses_B, 0.0).sum() / num.clamp(min=1)
    return Score(loss=loss, num=num, num_correct=(correct_B & counted_B).sum())

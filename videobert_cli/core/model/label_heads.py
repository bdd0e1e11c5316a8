"""Hidden states -> classes of labelled segments, learned beside the paper's losses.

Shapes: S tokens of the labelled sequences, B labelled sequences, T longest of them, H hidden size, C classes of a head,
L numbers of a target: one a single-label head, one a class of a multi-label head, head after head.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videobert_cli.core.model.attention import SequenceLayout
from videobert_cli.core.model.labels import LabelHead
from videobert_cli.core.model.losses import class_score
from videobert_cli.core.sequences.packing import NO_LABEL


@dataclass(frozen=True, kw_only=True)
class LabelledPart:
    """The last sequences of a packed batch, which are segments with labels; the others have none.

    `targets_BL` are those of the labelled sequences alone, -100 where a segment has no label of a head.
    """

    first_sequence: int
    first_token: int
    max_seqlen: int
    targets_BL: Tensor


@dataclass(frozen=True, kw_only=True)
class LabelScore:
    """One head's mean loss over the `num` segments that have its label (0 where none has), and how well it answers.

    `num_hits / num_asked` is the `measure`: the accuracy of a single-label head, the micro-averaged F1 of a multi-label
    head (twice the right answers over all answers and all truths); sums over batches give that of all. All numbers are
    tensors of one element.
    """

    measure: Literal["accuracy", "micro_f1"]

    loss: Tensor
    num: Tensor
    num_hits: Tensor
    num_asked: Tensor


class LabelHeads(nn.Module):
    """One linear layer a head, on [CLS]'s state beside the mean state of the sequence's visual words.

    The same two parts as a fine-tuned classifier reads, but for BERT's pooler, which no loss of pretraining trains.
    """

    def __init__(self, heads: Sequence[LabelHead], *, hidden_size: int) -> None:
        super().__init__()
        self.heads = tuple(heads)
        self.layers = nn.ModuleList(nn.Linear(2 * hidden_size, len(head.classes)) for head in heads)

    def forward(self, hidden_SH: Tensor, *, is_word_S: Tensor, layout: SequenceLayout) -> list[Tensor]:
        """Return the logits [B, C] of each head, as float32; a sequence without words is averaged whole."""
        cls_BH = hidden_SH.index_select(0, layout.cu_seqlens[:-1].long())
        pooled_BH = torch.cat([cls_BH, mean_of_words(hidden_SH, is_word_S=is_word_S, layout=layout)], dim=1)
        return [layer(pooled_BH).float() for layer in self.layers]

    def scores(self, logits: Sequence[Tensor], targets_BL: Tensor) -> tuple[LabelScore, ...]:
        """Return each head's score of its own columns of the targets."""
        columns = torch.split(targets_BL, [head.num_targets for head in self.heads], dim=1)
        return tuple(
            single_score(logits_BC, own_BL) if head.kind == "single" else multi_score(logits_BC, own_BL)
            for head, logits_BC, own_BL in zip(self.heads, logits, columns, strict=True)
        )


def mean_of_words(hidden_SH: Tensor, *, is_word_S: Tensor, layout: SequenceLayout) -> Tensor:
    """Return each sequence's mean hidden state [B, H] over its visual words, over all its tokens where it has none."""
    is_word_BT = layout.pad(is_word_S)
    # On the padded grid, as adding into rows by index has no fixed order on a GPU.
    counted_BT = torch.where(is_word_BT.any(1, keepdim=True), is_word_BT, layout.is_token)
    sums_BH = (layout.pad(hidden_SH) * counted_BT[:, :, None]).sum(1)
    return sums_BH / counted_BT.sum(1, keepdim=True)


def single_score(logits_BC: Tensor, targets_B1: Tensor, *, weights_C: Tensor | None = None) -> LabelScore:
    """Return the score of one class of each sequence; `weights_C` is how much each class counts in the loss."""
    score = class_score(logits_BC, targets_B1[:, 0], weights_C=weights_C)
    return LabelScore(
        measure="accuracy",
        loss=score.loss,
        num=score.num,
        num_hits=score.num_correct,
        num_asked=score.num,
    )


def multi_score(logits_BC: Tensor, targets_BC: Tensor, *, weights_C: Tensor | None = None) -> LabelScore:
    """Return the score of any number of classes of each sequence: 1 where it has one, 0 where it has not.

    The loss is the binary cross entropy, a mean over classes; `weights_C` is how much the sequences that have a class
    count in it.
    """
    counted_B = targets_BC[:, 0] != NO_LABEL
    is_true_BC = targets_BC == 1
    losses_BC = F.binary_cross_entropy_with_logits(
        logits_BC, is_true_BC.float(), pos_weight=weights_C, reduction="none"
    )
    num = counted_B.sum()
    loss = torch.where(counted_B, losses_BC.mean(1), 0.0).sum() / num.clamp(min=1)
    is_answered_BC = (logits_BC.detach() > 0) & counted_B[:, None]
    return LabelScore(
        measure="micro_f1",
        loss=loss,
        num=num,
        num_hits=2 * (is_answered_BC & is_true_BC).sum(),
        num_asked=is_answered_BC.sum() + is_true_BC.sum(),
    )

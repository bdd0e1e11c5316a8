"""VideoBERT for pretraining: masked text tokens, masked visual words, linguistic-visual alignment.

Shapes: S tokens, P masked positions, B sequences, V text tokens, K visual words, J joint ids, H hidden size.
"""

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
from torch import Tensor

from videobert_cli.core.model.attention import SequenceLayout
from videobert_cli.core.model.checkpoint import PretrainedModel, initialize_parameter
from videobert_cli.core.model.config import VideoBERTConfig
from videobert_cli.core.model.encoder import VideoBERTModel
from videobert_cli.core.model.heads import PretrainingHeads
from videobert_cli.core.model.label_heads import LabelHeads, LabelledPart, LabelScore
from videobert_cli.core.model.labels import LabelHead
from videobert_cli.core.model.losses import (
    Score,
    class_score,
    joint_scores,
    joint_scores_of_rows,
    score_of_rows,
    split_labels,
)
from videobert_cli.core.model.vocabulary import VocabularyBlock, fit_whole, scores_in_parts
from videobert_cli.core.sequences.packing import PackedBatch


@dataclass(frozen=True, kw_only=True)
class PretrainingOutput:
    """The three losses, each a mean over its own positions or sequences (0 if there are none), and counts.

    Counts and losses are tensors of one element on the model's device. Alignment is linear(2) on [CLS]'s
    final hidden state, class 1 = aligned; `is_alignment_correct_B` is False where nobody asks. `label_scores` has one
    for each head of labels, none where the batch has no labelled part.
    """

    text_loss: Tensor
    visual_loss: Tensor
    alignment_loss: Tensor
    num_text: Tensor
    num_visual: Tensor
    num_alignment: Tensor
    num_text_correct: Tensor
    num_visual_correct: Tensor
    num_alignment_correct: Tensor
    is_alignment_correct_B: Tensor
    label_scores: tuple[LabelScore, ...] = ()

    def read(self) -> Self:
        """Return the same on the CPU, without graphs: a GPU is waited for once, not once for each number."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        values = {name: value.detach() for name, value in found.items() if isinstance(value, Tensor)}
        # float64 holds a count as well as a loss without rounding.
        joined = torch.cat([value.reshape(-1).double() for value in values.values()]).cpu()
        parts = torch.split(joined, [value.numel() for value in values.values()])
        read: dict[str, Any] = {
            name: part.to(value.dtype).view(value.shape)
            for (name, value), part in zip(values.items(), parts, strict=True)
        }
        return replace(self, **read)


class VideoBERTForPreTraining(PretrainedModel):
    """The encoder (`bert`) and its pretraining heads (`cls`), named as in BertForPreTraining."""

    def __init__(self, config: VideoBERTConfig, *, seed: int | None = 0) -> None:
        super().__init__(config)
        self.bert = VideoBERTModel(config, seed=None)
        with torch.device("meta"):
            self.cls = PretrainingHeads(config)
        # No loss of pretraining reads the pooler (alignment is from [CLS] itself): a parameter that never
        # gets a gradient would make distributed training wait for it.
        self.bert.pooler.requires_grad_(False)  # noqa: FBT003 - torch's own signature
        self.materialize(seed)

    def forward(self, batch: PackedBatch, labelled: LabelledPart | None = None) -> PretrainingOutput:
        """Return the losses of `batch`; only masked positions meet the vocabulary, only `labelled` the label heads."""
        encoded = self.bert(batch)
        labels_P = batch.labels_S.index_select(0, batch.masked_positions_P)
        text, visual = self._token_scores(encoded.hidden_SH, batch.masked_positions_P, labels_P=labels_P)
        alignment_B2 = self.cls.alignment(encoded.cls_BH)
        alignment = class_score(alignment_B2, batch.alignment_B)
        return PretrainingOutput(
            text_loss=text.loss,
            visual_loss=visual.loss,
            alignment_loss=alignment.loss,
            num_text=text.num,
            num_visual=visual.num,
            num_alignment=alignment.num,
            num_text_correct=text.num_correct,
            num_visual_correct=visual.num_correct,
            num_alignment_correct=alignment.num_correct,
            is_alignment_correct_B=alignment_B2.detach().argmax(-1) == batch.alignment_B,
            label_scores=() if labelled is None else self._label_scores(encoded.hidden_SH, batch, labelled),
        )

    def token_logits(self, batch: PackedBatch, positions_P: Tensor) -> Tensor:
        """Return the float32 scores [P, J] of all joint ids at the given tokens (indices into the batch's S).

        The glue's column is minus infinity. Scores are the same for both settings of `softmax`; with
        `per_modality` only scores of one modality may be compared.
        """
        transformed_PH = self.cls.predictions.transform(
            self.bert(batch).hidden_SH.index_select(0, positions_P)
        )
        text_PV = self.cls.predictions.text_block(transformed_PH, self.bert.embeddings).logits()
        visual_PK = self.cls.predictions.visual_block(transformed_PH, self.bert.embeddings).logits()
        return torch.cat([text_PV, text_PV.new_full((len(text_PV), 1), -torch.inf), visual_PK], dim=1)

    def alignment_logits(self, batch: PackedBatch) -> Tensor:
        """Return the scores [B, 2] of "text and video do not belong together" and "do"."""
        logits_B2: Tensor = self.cls.alignment(self.bert(batch).cls_BH)
        return logits_B2.float()

    def label_logits(self, batch: PackedBatch) -> list[Tensor]:
        """Return the scores [B, C] of each head of labels, in the order of `config.label_heads`."""
        is_word_S = batch.input_ids_S >= self.config.first_visual_id
        logits: list[Tensor] = self.cls.labels(
            self.bert(batch).hidden_SH, is_word_S=is_word_S, layout=SequenceLayout.of(batch)
        )
        return logits

    def set_label_heads(self, heads: tuple[LabelHead, ...], *, seed: int) -> None:
        """Give the model these heads of labels: those that it has already keep their weights, others are drawn."""
        before = list(zip(self.config.label_heads, self.cls.labels.layers, strict=True))
        self.config = replace(self.config, label_heads=heads)
        with torch.device("meta"):
            self.cls.labels = LabelHeads(heads, hidden_size=self.config.hidden_size)
        for number, head in enumerate(heads):
            kept = next((layer for old, layer in before if old.is_continued_by(head)), None)
            if kept is not None:
                self.cls.labels.layers[number] = kept
                continue
            for name, parameter in self.cls.labels.layers[number].to_empty(device="cpu").named_parameters():
                initialize_parameter(
                    f"cls.labels.layers.{number}.{name}",
                    parameter,
                    seed=seed,
                    std=self.config.initializer_range,
                )

    def _label_scores(
        self, hidden_SH: Tensor, batch: PackedBatch, labelled: LabelledPart
    ) -> tuple[LabelScore, ...]:
        first = labelled.first_token
        layout = SequenceLayout(
            cu_seqlens=batch.cu_seqlens[labelled.first_sequence :] - first,
            max_seqlen=labelled.max_seqlen,
            num_tokens=batch.num_tokens - first,
        )
        is_word_S = batch.input_ids_S[first:] >= self.config.first_visual_id
        logits = self.cls.labels(hidden_SH[first:], is_word_S=is_word_S, layout=layout)
        return self.cls.labels.scores(logits, labelled.targets_BL)

    def _token_scores(
        self, hidden_SH: Tensor, positions_P: Tensor, *, labels_P: Tensor
    ) -> tuple[Score, Score]:
        head, embeddings = self.cls.predictions, self.bert.embeddings
        transformed_PH = head.transform(hidden_SH.index_select(0, positions_P))
        is_visual_P, column_P = split_labels(labels_P, num_text=self.config.vocab_size)
        if self.config.softmax == "per_modality":
            # A GPU waits here for the two counts; scoring every position in both vocabularies would cost more.
            text = head.text_block(transformed_PH[~is_visual_P], embeddings)
            visual = head.visual_block(transformed_PH[is_visual_P], embeddings)
            return _own_score(text, column_P[~is_visual_P]), _own_score(visual, column_P[is_visual_P])
        text = head.text_block(transformed_PH, embeddings)
        visual = head.visual_block(transformed_PH, embeddings)
        if fit_whole(text, visual):
            return joint_scores(text.logits(), visual.logits(), labels_P)
        return joint_scores_of_rows(
            scores_in_parts(text, column_P),
            scores_in_parts(visual, column_P) if self.config.num_visual_words else None,
            is_visual_P=is_visual_P,
            column_P=column_P,
        )

    def __call__(self, *args: Any, **kwargs: Any) -> PretrainingOutput:
        """See `forward`; repeated for its type."""
        output: PretrainingOutput = super().__call__(*args, **kwargs)
        return output


def _own_score(block: VocabularyBlock, column_P: Tensor) -> Score:
    """Return the score of one modality's positions in its own vocabulary."""
    if fit_whole(block):
        return class_score(block.logits(), column_P)
    return score_of_rows(scores_in_parts(block, column_P), column_P)

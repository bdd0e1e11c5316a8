"""VideoBERT as a classifier of segments: the pretrained encoder and one linear layer.

Shapes: S tokens, B sequences, T longest sequence, H hidden size, C classes, L numbers of a target: C where a
sequence has several classes, else 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videobert_cli.core.model.attention import SequenceLayout
from videobert_cli.core.model.checkpoint import WEIGHTS_NAME, PretrainedModel, initialize_parameter
from videobert_cli.core.model.config import ProblemType, VideoBERTConfig
from videobert_cli.core.model.dropout import Dropout
from videobert_cli.core.model.encoder import VideoBERTModel
from videobert_cli.core.model.label_heads import LabelScore, mean_of_words, multi_score, single_score
from videobert_cli.core.sequences.packing import PackedBatch
from videobert_cli.errors import ArtifactError


@dataclass(frozen=True, kw_only=True)
class ClassificationOutput:
    """Scores of the classes, and with labels their cross entropy and how many were right (None without)."""

    logits_BC: Tensor
    score: LabelScore | None


class VideoBERTForSequenceClassification(PretrainedModel):
    """The encoder (`bert`) with a linear `classifier` on one vector for each sequence.

    With `classifier_pooling: cls` that vector is BERT's pooled [CLS]. The default, `cls_mean`, sets beside it
    the mean hidden state of the sequence's visual words (of all its tokens where it has none): pretraining
    has taught [CLS] only whether text and video agree, while the words' states carry what is seen, and few
    labels do not suffice to move it there.
    """

    def __init__(self, config: VideoBERTConfig, *, seed: int | None = 0) -> None:
        super().__init__(config)
        if not config.id2label:
            raise ArtifactError(
                "this model has no classes: its configuration has no id2label",
                fix="finetune it first: `videobert finetune`",
            )
        num_parts = 2 if config.classifier_pooling == "cls_mean" else 1
        self.bert = VideoBERTModel(config, seed=None)
        self.dropout = Dropout(config.hidden_dropout_prob)
        with torch.device("meta"):
            self.classifier = nn.Linear(num_parts * config.hidden_size, len(config.id2label))
        self.materialize(seed)

    def forward(
        self, batch: PackedBatch, labels: Tensor | None = None, *, weights_C: Tensor | None = None
    ) -> ClassificationOutput:
        """Return the scores of each sequence, and with labels its loss.

        Args:
            batch: The sequences.
            labels: Class indices ([B] or [B, 1]), or with `problem_type: multi_label_classification` 0 or 1 for each
                class ([B, C]); -100 where there is none.
            weights_C: How much the segments of each class count in the loss.
        """
        logits_BC = self.logits_of(self.bert(batch).hidden_SH, batch)
        if labels is None:
            return ClassificationOutput(logits_BC=logits_BC, score=None)
        targets_BL = labels.reshape(len(logits_BC), -1)
        score_of = multi_score if self.is_multi_label else single_score
        return ClassificationOutput(
            logits_BC=logits_BC, score=score_of(logits_BC, targets_BL, weights_C=weights_C)
        )

    @property
    def is_multi_label(self) -> bool:
        """Whether a sequence may have several classes, or none."""
        return self.config.problem_type == "multi_label_classification"

    def log_probabilities(self, logits_BC: Tensor) -> Tensor:
        """Return log-probabilities [B, C]: of all classes together, or of each for itself where several may be true."""
        return F.logsigmoid(logits_BC) if self.is_multi_label else F.log_softmax(logits_BC, dim=-1)

    @classmethod
    def rename_key(cls, key: str) -> str | None:
        """Leave the heads of pretraining out."""
        return None if key.startswith("cls.") else key

    @classmethod
    def from_pretrained(
        cls,
        directory: Path | str,
        *,
        labels: Sequence[str] | None = None,
        problem_type: ProblemType = "single_label_classification",
        dropout: float | None = None,
        seed: int = 0,
    ) -> Self:
        """Return the classifier in `directory`, or a new one on its encoder, in evaluation mode.

        Args:
            directory: A model directory of either kind.
            labels: The classes, in the order of the logits. Given, the head is new (drawn from `seed`);
                left out, it is the saved one.
            problem_type: With `labels`: whether a sequence has one of them or any number.
            dropout: Replaces the saved dropout of hidden states and attention.
            seed: Seed of a new head.

        Raises:
            ArtifactError: The directory has no classifier and no `labels` are given, or is damaged.
        """
        directory = Path(directory)
        config = VideoBERTConfig.from_pretrained(directory)
        # The heads of pretraining are not taken along.
        config = replace(config, label_heads=())
        if labels is not None:
            config = replace(config, id2label=dict(enumerate(labels)), problem_type=problem_type)
        if dropout is not None:
            config = replace(config, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
        model = cls(config, seed=None)
        new_head = ("classifier.",) if labels is not None else ()
        missing = model.load_weights(directory / WEIGHTS_NAME, optional=new_head, ignored=new_head)
        for name in sorted(missing):
            values = torch.empty(model.get_parameter(name).shape)
            initialize_parameter(name, values, seed=seed, std=config.initializer_range)
            setattr(model.classifier, name.removeprefix("classifier."), nn.Parameter(values))
        return model.eval()

    def logits_of(self, hidden_SH: Tensor, batch: PackedBatch) -> Tensor:
        """Return the float32 scores [B, C] of the classes from the encoder's states of `batch`."""
        logits_BC: Tensor = self.classifier(self.dropout(self._pool(hidden_SH, batch)))
        return logits_BC.float()

    def _pool(self, hidden_SH: Tensor, batch: PackedBatch) -> Tensor:
        pooled_BH: Tensor = self.bert.pooler(hidden_SH.index_select(0, batch.cu_seqlens[:-1]))
        if self.config.classifier_pooling == "cls":
            return pooled_BH
        mean_BH = mean_of_words(
            hidden_SH,
            is_word_S=batch.input_ids_S >= self.config.first_visual_id,
            layout=SequenceLayout.of(batch),
        )
        return torch.cat([pooled_BH, mean_BH], dim=1)

    def __call__(self, *args: Any, **kwargs: Any) -> ClassificationOutput:
        """See `forward`; repeated for its type."""
        output: ClassificationOutput = super().__call__(*args, **kwargs)
        return output

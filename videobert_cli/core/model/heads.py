"""Hidden states -> answers: which token was masked, and whether text and video belong together.

Shapes: P predicted positions, B sequences, H hidden size, V text tokens, K visual words, D centroids' width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videobert_cli.core.model.config import VideoBERTConfig
from videobert_cli.core.model.embeddings import VideoBERTEmbeddings
from videobert_cli.core.model.label_heads import LabelHeads
from videobert_cli.core.model.vocabulary import VocabularyBlock


class PredictionTransform(nn.Module):
    """BERT's linear, GELU and LayerNorm before the vocabulary."""

    def __init__(self, config: VideoBERTConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, hidden_PH: Tensor) -> Tensor:
        """Return the transformed states [P, H]."""
        transformed: Tensor = self.LayerNorm(F.gelu(self.dense(hidden_PH)))
        return transformed


class PredictionHead(nn.Module):
    """Scores of text tokens and of visual words, by the rows of the input embeddings (tied, as in BERT).

    The glue has no score: it is never masked, so never predicted.
    """

    def __init__(self, config: VideoBERTConfig) -> None:
        super().__init__()
        self.transform = PredictionTransform(config)
        self.bias = nn.Parameter(torch.empty(config.vocab_size))
        self.visual_bias = nn.Parameter(torch.empty(config.num_visual_words))

    def text_block(self, transformed_PH: Tensor, embeddings: VideoBERTEmbeddings) -> VocabularyBlock:
        """Return what scores all text tokens [P, V]."""
        return VocabularyBlock(
            states_PX=transformed_PH, rows_CX=embeddings.word_embeddings.weight, bias_C=self.bias
        )

    def visual_block(self, transformed_PH: Tensor, embeddings: VideoBERTEmbeddings) -> VocabularyBlock:
        """Return what scores all visual words [P, K].

        The states are taken back into the centroids' space, which costs P D H, rather than all K rows into
        the hidden space, which would cost K D H and a gradient of that size: the product is the same.
        """
        return VocabularyBlock(
            states_PX=F.linear(transformed_PH, embeddings.visual_projection.weight.T),
            rows_CX=embeddings.visual_embeddings.weight,
            bias_C=self.visual_bias,
        )


class PretrainingHeads(nn.Module):
    """The heads of pretraining, named as in transformers' BertForPreTraining where BERT has the part."""

    def __init__(self, config: VideoBERTConfig) -> None:
        super().__init__()
        self.predictions = PredictionHead(config)
        self.alignment = nn.Linear(config.hidden_size, 2)
        self.labels = LabelHeads(config.label_heads, hidden_size=config.hidden_size)

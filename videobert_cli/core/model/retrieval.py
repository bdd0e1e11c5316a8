"""VideoBERT as a retriever: sentences and segments, each alone through the encoder, side by side in one space.

What is near in it belongs together. A sentence and a segment never meet inside the encoder, so segments can be encoded
once and searched by any sentence; the alignment head, which reads both at once, can then order the first few anew.

Shapes: S tokens, B pairs, H hidden size and size of an embedding.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videobert_cli.core.model.attention import SequenceLayout
from videobert_cli.core.model.checkpoint import WEIGHTS_NAME, PretrainedModel, initialize_parameter
from videobert_cli.core.model.config import VideoBERTConfig
from videobert_cli.core.model.dropout import Dropout
from videobert_cli.core.model.encoder import VideoBERTModel
from videobert_cli.core.model.label_heads import mean_of_words
from videobert_cli.core.sequences.packing import PackedBatch

# As in CLIP (Radford et al., ICML 2021): the first temperature, and the sharpest that training may reach.
_FIRST_TEMPERATURE, _MOST_SCALE = 0.07, 100.0
_HEADS = ("text_projection.", "video_projection.", "log_scale")


@dataclass(frozen=True, kw_only=True)
class RetrievalOutput:
    """The loss, a mean over pairs and both directions, and how often the own partner was the nearest, of 2 B."""

    loss: Tensor
    num_correct: Tensor


class VideoBERTForRetrieval(PretrainedModel):
    """The encoder (`bert`) and a linear map of each modality's [CLS] and mean state to a unit vector."""

    def __init__(self, config: VideoBERTConfig, *, seed: int | None = 0) -> None:
        super().__init__(config)
        self.bert = VideoBERTModel(config, seed=None)
        # As in pretraining, nothing reads the pooler.
        self.bert.pooler.requires_grad_(False)  # noqa: FBT003 - torch's own signature
        self.dropout = Dropout(config.hidden_dropout_prob)
        with torch.device("meta"):
            self.text_projection = nn.Linear(2 * config.hidden_size, config.hidden_size, bias=False)
            self.video_projection = nn.Linear(2 * config.hidden_size, config.hidden_size, bias=False)
            self.log_scale = nn.Parameter(torch.empty(1))
        self.materialize(seed)

    def materialize(self, seed: int | None) -> None:
        """Give the parameters storage and first values."""
        super().materialize(seed)
        if seed is not None:
            nn.init.constant_(self.log_scale, -math.log(_FIRST_TEMPERATURE))

    def forward(self, batch: PackedBatch, is_same_text_BB: Tensor) -> RetrievalOutput:
        """Return the symmetric InfoNCE of B pairs: `batch` holds B sentences, then the B segments in the same order.

        Pairs whose sentences are the same (`is_same_text_BB`) are no negatives of each other.
        """
        pooled_BX = self.dropout(self._pooled(batch))
        texts_BX, videos_BX = pooled_BX.chunk(2)
        texts_BH = _unit(self.text_projection(texts_BX))
        videos_BH = _unit(self.video_projection(videos_BX))
        scores_BB = self.log_scale.exp().clamp(max=_MOST_SCALE) * (texts_BH @ videos_BH.T)
        own_B = torch.arange(len(scores_BB), device=scores_BB.device)
        is_ignored_BB = is_same_text_BB & ~torch.eye(len(own_B), dtype=torch.bool, device=own_B.device)
        scores_BB = scores_BB.masked_fill(is_ignored_BB, -torch.inf)
        loss = (F.cross_entropy(scores_BB, own_B) + F.cross_entropy(scores_BB.T, own_B)) / 2
        num_correct = (scores_BB.argmax(1) == own_B).sum() + (scores_BB.argmax(0) == own_B).sum()
        return RetrievalOutput(loss=loss, num_correct=num_correct)

    def embed_texts(self, batch: PackedBatch) -> Tensor:
        """Return the unit vectors [B, H] of sentences, each a sequence `[CLS] text [SEP]`."""
        return _unit(self.text_projection(self._pooled(batch)))

    def embed_videos(self, batch: PackedBatch) -> Tensor:
        """Return the unit vectors [B, H] of segments, each a sequence `[CLS] words [SEP]`."""
        return _unit(self.video_projection(self._pooled(batch)))

    @classmethod
    def rename_key(cls, key: str) -> str | None:
        """Leave the heads of pretraining out."""
        return None if key.startswith("cls.") else key

    @classmethod
    def from_encoder(cls, directory: Path, *, dropout: float, seed: int) -> Self:
        """Return a new retriever on the encoder of a pretrained model's directory, in evaluation mode.

        Raises:
            ArtifactError: The directory is damaged.
        """
        config = VideoBERTConfig.from_pretrained(directory)
        config = replace(
            config, label_heads=(), hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout
        )
        model = cls(config, seed=None)
        for name in sorted(model.load_weights(directory / WEIGHTS_NAME, optional=_HEADS)):
            values = torch.empty(model.get_parameter(name).shape)
            if name == "log_scale":
                nn.init.constant_(values, -math.log(_FIRST_TEMPERATURE))
            else:
                initialize_parameter(name, values, seed=seed, std=config.initializer_range)
            module, _, last = name.rpartition(".")
            setattr(model.get_submodule(module), last, nn.Parameter(values))
        return model.eval()

    def _pooled(self, batch: PackedBatch) -> Tensor:
        encoded = self.bert(batch)
        mean_BH = mean_of_words(
            encoded.hidden_SH,
            is_word_S=batch.input_ids_S >= self.config.first_visual_id,
            layout=SequenceLayout.of(batch),
        )
        return torch.cat([encoded.cls_BH, mean_BH], dim=1)

    def __call__(self, *args: Any, **kwargs: Any) -> RetrievalOutput:
        """See `forward`; repeated for its type."""
        output: RetrievalOutput = super().__call__(*args, **kwargs)
        return output


def _unit(rows_BH: Tensor) -> Tensor:
    return F.normalize(rows_BH.float(), dim=-1)

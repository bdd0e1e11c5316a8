"""The recipe's `pretrain.model:` section."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from videobert_cli.options import Options

# What of the encoder is not trained; `layers` goes with a number of them.
FrozenPart = Literal["none", "embeddings", "layers", "all_but_head"]
Compile = Literal["auto", "on", "off"]


class ModelOptions(Options):
    """`pretrain.model:` the encoder's size and where its weights start."""

    init: Path | Literal["scratch"] = Field(
        default="scratch",
        description="`scratch`, a BERT or its hub name, or an earlier pretraining's model directory; its sizes win.",
    )
    num_layers: int = Field(default=12, ge=1, le=96, description="Transformer layers (BERT-large: 24).")
    hidden_size: int = Field(default=768, ge=8, description="Width (BERT-large: 1024).")
    num_attention_heads: int = Field(default=12, ge=1, description="Attention heads (BERT-large: 16).")
    intermediate_size: int = Field(
        default=3072, ge=8, description="Width of the feed-forward layer (BERT-large: 4096)."
    )
    initializer_range: float = Field(
        default=0.02,
        gt=0,
        le=1,
        description="Spread of fresh weights (BERT: 0.02, right for widths near 1,000; a width of 200 learns at 0.07).",
    )
    dropout: float = Field(default=0.1, ge=0, lt=1, description="Dropout of hidden states and attention.")
    visual_embeddings: Literal["centroids", "random"] = Field(
        default="centroids",
        description="Start of the visual rows: the codebook's centroids (paper) or noise.",
    )
    train_visual_embeddings: bool = Field(
        default=False,
        description="Whether the visual rows are trained (paper: frozen; the projection is trained).",
    )
    softmax: Literal["joint", "per_modality"] = Field(
        default="joint",
        description="One softmax over words and visual words (paper), or one for each modality.",
    )

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of num_attention_heads {self.num_attention_heads}"
            )
        return self

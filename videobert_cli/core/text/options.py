"""The recipe's `pretrain.text:` section."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from videobert_cli.options import Options


class TextOptions(Options):
    """`pretrain.text:` subtitles become sentences, sentences become WordPiece ids."""

    vocabulary: Path | Literal["corpus"] = Field(
        default="corpus",
        description="`corpus` (made from the training text, no network), a vocab.txt, a BERT directory or a hub name.",
    )
    corpus_min_count: int = Field(
        default=2, ge=1, description="Words rarer than this are spelt with pieces (`corpus`)."
    )
    corpus_max_size: int = Field(
        default=30_000, ge=200, description="Largest vocabulary made from the corpus."
    )
    lowercase: bool = Field(default=True, description="Lowercase the text, as bert-base-uncased does.")
    pause_seconds: float = Field(
        default=0.6, ge=0, description="A silence this long between cues ends a sentence."
    )
    max_sentence_seconds: float = Field(
        default=20.0,
        gt=0,
        description="Cues without punctuation or pause are cut into sentences no longer than this.",
    )

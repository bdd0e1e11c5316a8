"""The recipe's `pretrain.text:` section."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from videobert_cli.options import Options


class AsrOptions(Options):
    """`pretrain.text.asr:` what is said in videos that have no subtitles."""

    engine: Literal["none", "faster-whisper", "transformers"] = Field(
        default="none",
        description="What listens: `faster-whisper` (extra `asr`) or `transformers`; `none`: such videos have no text.",
    )
    model: str | None = Field(
        default=None,
        min_length=1,
        description="A model's directory, a name such as `small.en` (faster-whisper), or a hub id.",
    )
    language: str | None = Field(
        default=None,
        min_length=2,
        description="The language spoken, such as `en`; null lets the model find out.",
    )
    compute_type: Literal["default", "float32", "float16", "bfloat16", "int8", "int8_float16"] = Field(
        default="default", description="Arithmetic of faster-whisper; `default` is the model's own."
    )

    @model_validator(mode="after")
    def _has_model(self) -> "AsrOptions":
        if self.engine != "none" and self.model is None:
            raise ValueError("`model` must name the speech model of this engine")
        return self


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
    languages: tuple[str, ...] = Field(
        default=(),
        description="Subtitles in other languages are left out (extra `language`), such as `[en]`; empty keeps all.",
    )
    punctuation: str = Field(
        default="none",
        min_length=1,
        description="Captions without punctuation get it from this token-classification model (directory or hub id).",
    )
    asr: AsrOptions = Field(default=AsrOptions(), description="Speech of videos without subtitles.")

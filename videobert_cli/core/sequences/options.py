"""The recipe's `pretrain.sequences:` section."""

from typing import Literal

from pydantic import Field

from videobert_cli.options import Options

Coverage = Literal["midpoint", "overlap", "rounded", "grown"]


class SequenceOptions(Options):
    """`pretrain.sequences:` sentences and visual words become the model's inputs."""

    coverage: Coverage = Field(
        default="midpoint",
        description="A sentence's clips: those whose `midpoint` it covers; all that `overlap` it; both ends `rounded`; "
        "`grown` by its neighbours' time.",
    )
    grown_min_seconds: float = Field(
        default=10.0,
        gt=0,
        le=600,
        description="With `grown`, a sentence's clips last at least this (UniVL: 10).",
    )
    video_only_num_words: int = Field(
        default=16, ge=1, description="Words of a sequence with no text (paper: 16)."
    )
    join_probability: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Chance that a sentence is joined with its neighbours into a longer one.",
    )
    max_joined_sentences: int = Field(default=3, ge=1, le=16, description="Most sentences joined into one.")
    max_subsampling: int = Field(
        default=5, ge=1, le=16, description="Words are kept one in r, r drawn from 1 to this (paper: 5)."
    )
    min_words_after_subsampling: int = Field(
        default=1, ge=1, description="The rate is lowered until this many words are left."
    )
    mask_fraction: float = Field(
        default=0.15, gt=0, lt=1, description="Share of tokens chosen in each modality."
    )
    joint_masking: Literal["both", "text", "video", "none"] = Field(
        default="both", description="Which modality is masked in an aligned video-text sequence."
    )
    negative_fraction: float = Field(
        default=0.5, ge=0, le=1, description="Share of video-text sequences whose words come from elsewhere."
    )
    same_video_negative_fraction: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Share of those negatives drawn from the same video (the rest: from others).",
    )
    text_only_share: float = Field(default=1.0, ge=0, description="Weight of text-only sequences in the mix.")
    video_only_share: float = Field(
        default=1.0, ge=0, description="Weight of video-only sequences in the mix."
    )
    video_text_share: float = Field(
        default=2.0, ge=0, description="Weight of video-text sequences in the mix."
    )
    max_num_tokens: int = Field(
        default=512, ge=16, le=4096, description="Longest sequence; the longer side is cut."
    )

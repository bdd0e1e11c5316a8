"""The recipe's `pretrain.sequences:` section."""

from typing import Literal, Self

from pydantic import Field, model_validator

from videobert_cli.options import Options

Coverage = Literal["midpoint", "overlap", "rounded", "grown"]
MaskUnit = Literal["token", "whole_word", "span"]


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
    mask_unit: MaskUnit = Field(
        default="token",
        description="What is masked at once: a `token`, a `whole_word` with its pieces, a `span` of words (SpanBERT).",
    )
    mask_token_share: float = Field(
        default=0.8, ge=0, le=1, description="Share of the chosen tokens that become [MASK]."
    )
    mask_random_share: float = Field(
        default=0.1, ge=0, le=1, description="Share of them that become another token; the rest stay."
    )
    mask_span_probability: float = Field(
        default=0.2, gt=0, le=1, description="Spans end after a word with this chance (SpanBERT: 0.2)."
    )
    mask_span_max_words: int = Field(
        default=10, ge=1, le=100, description="Most words of a span (SpanBERT: 10, so 3.8 on average)."
    )
    joint_masking: Literal["both", "text", "video", "none"] = Field(
        default="both", description="Which modality is masked in an aligned video-text sequence."
    )
    whole_modality_probability: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Chance that a video-text sequence has one of its masked sides hidden whole, the other shown whole "
        "(UniVL: 0.15).",
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

    @model_validator(mode="after")
    def _require_shares_of_one(self) -> Self:
        if self.mask_token_share + self.mask_random_share > 1:
            shares = f"{self.mask_token_share:g} and {self.mask_random_share:g}"
            raise ValueError(f"mask_token_share and mask_random_share ({shares}) are more than 1 together")
        return self

    @model_validator(mode="after")
    def _require_a_share(self) -> Self:
        if self.text_only_share + self.video_only_share + self.video_text_share == 0:
            raise ValueError(
                "text_only_share, video_only_share and video_text_share are all 0: no sequence is left"
            )
        return self

"""The recipe's `finetune:` section: what a pretrained model learns further."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from videobert_cli.core.model.caption_config import CaptionEncoder
from videobert_cli.core.model.options import FrozenPart
from videobert_cli.core.training.options import (
    NOT_REMEMBERED_OF_LOOP,
    LoopOptions,
    OptimizerOptions,
    require_a_number_of_layers,
    without,
)
from videobert_cli.options import Options

# The cloze from whose states the paper makes the features of a captioner (section 4.4).
PAPER_QUESTION = "now let's [MASK] the [MASK] to the [MASK], and then [MASK] the [MASK]"
ClassWeights = Literal["none", "balanced"]
Unit = Literal["segment", "video"]
FinetuneStage = Literal["finetune", "caption", "retrieval"]


def _finetune_optimizer() -> OptimizerOptions:
    return OptimizerOptions(learning_rate=5e-5, warmup_fraction=0.1)


def _finetune_loop() -> LoopOptions:
    return LoopOptions(
        num_steps=1_000,
        batch_num_sequences=32,
        validate_every_steps=100,
        save_every_steps=100,
        final_weights="best",
    )


class CaptionOptions(Options):
    """`finetune.caption:` a pretrained model learns to tell in a sentence what a segment shows."""

    encoder: CaptionEncoder = Field(
        default="end_to_end",
        description="`end_to_end`: the encoder is trained and the decoder looks at all its states; `cloze`: the "
        "paper's features, from an encoder that stays as it is; `features`: the mean raw feature of the segment's "
        "clips alone (the paper's S3D row); `cloze_and_features`: both (its best row).",
    )
    question: str = Field(
        default=PAPER_QUESTION,
        pattern=r"\[MASK\]",
        description="The text with masks that stands before a segment's words.",
    )
    num_layers: int = Field(
        default=2, ge=1, le=64, description="Layers of the decoder, as wide as the encoder."
    )
    max_num_tokens: int = Field(
        default=48,
        ge=2,
        le=4096,
        description="Longest caption in tokens; of longer ones the beginning is learned.",
    )
    label_smoothing: float = Field(
        default=0.1, ge=0, lt=1, description="Share of a token's target that all tokens get."
    )
    dropout: float = Field(default=0.1, ge=0, lt=1, description="Dropout while fine-tuning.")
    optimizer: OptimizerOptions = Field(default=_finetune_optimizer(), description="AdamW or SGD.")
    loop: LoopOptions = Field(default=_finetune_loop(), description="Length and rhythm of the training.")

    def remembered(self) -> dict[str, Any]:
        """Return the settings that the model depends on: what the stage records and compares."""
        return without(self.settings(), *NOT_REMEMBERED_OF_LOOP)


class RetrievalOptions(Options):
    """`finetune.retrieval:` a pretrained model learns to lay sentences and segments beside each other."""

    group_num_pairs: int = Field(
        default=32,
        ge=2,
        description="Sentences with their segments that are each other's negatives; a batch of several groups can be "
        "shared by ranks or cut into micro-batches.",
    )
    dropout: float = Field(default=0.1, ge=0, lt=1, description="Dropout while fine-tuning.")
    optimizer: OptimizerOptions = Field(default=_finetune_optimizer(), description="AdamW or SGD.")
    loop: LoopOptions = Field(default=_finetune_loop(), description="Length and rhythm of the training.")

    def remembered(self) -> dict[str, Any]:
        """Return the settings that the model depends on: what the stage records and compares."""
        return without(self.settings(), *NOT_REMEMBERED_OF_LOOP)


class FinetuneOptions(Options):
    """`finetune:` a pretrained model learns the classes of labelled segments, or the task that `task` names."""

    task: Literal["classify", "caption", "retrieval"] = Field(
        default="classify",
        description="What `videobert finetune` learns: classes of segments, or what `caption` or `retrieval` says.",
    )
    label: str = Field(
        default="label", min_length=1, description="The manifest's column that holds the class."
    )
    labels: Literal["single", "multi"] = Field(
        default="single",
        description="One class of each segment, or `multi`: any number of them, each by itself.",
    )
    separator: str = Field(
        default="|",
        min_length=1,
        description="With `labels: multi`: what stands between a segment's classes.",
    )
    unit: Unit = Field(
        default="segment",
        description="What gets an answer: each segment, or a whole `video`, whose labelled segments are read one after "
        "another; where the model has no room for all, the answer is the mean of the parts' probabilities.",
    )
    freeze: FrozenPart = Field(
        default="none",
        description="What of the encoder is not trained; `layers`: embeddings and the first layers.",
    )
    freeze_num_layers: int = Field(default=0, ge=0, description="How many layers, with `freeze: layers`.")
    lora_rank: int = Field(
        default=0,
        ge=0,
        le=1024,
        description="Rank of what is learned beside queries, keys and values of a frozen encoder (LoRA); 0: no LoRA.",
    )
    lora_alpha: float = Field(default=16.0, gt=0, description="LoRA's product counts alpha / rank times.")
    class_weights: ClassWeights = Field(
        default="none",
        description="`balanced`: a segment counts the more the rarer its class, as in scikit-learn.",
    )
    max_subsampling: int = Field(default=1, ge=1, le=16, description="Training keeps one word in 1 to this.")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="Dropout while fine-tuning.")
    optimizer: OptimizerOptions = Field(default=_finetune_optimizer(), description="AdamW or SGD.")
    loop: LoopOptions = Field(default=_finetune_loop(), description="Length and rhythm of the training.")
    caption: CaptionOptions = Field(default=CaptionOptions(), description="Captions.")
    retrieval: RetrievalOptions = Field(default=RetrievalOptions(), description="Retrieval.")

    @property
    def stage(self) -> FinetuneStage:
        """The stage that learns `task`: its directory in the run bears its name."""
        return "finetune" if self.task == "classify" else self.task

    @model_validator(mode="after")
    def _require_a_number_of_layers(self) -> Self:
        require_a_number_of_layers(self.freeze, self.freeze_num_layers)
        return self

    def remembered(self) -> dict[str, Any]:
        """Return the settings that the classifier depends on: what the stage records and compares."""
        own = self.settings() | {"task": "classify"}
        unused = ["lora_rank", "lora_alpha"] if not self.lora_rank else []
        unused += ["class_weights"] if self.class_weights == "none" else []
        unused += ["labels", "separator"] if self.labels == "single" else []
        unused += ["unit"] if self.unit == "segment" else []
        return without(own, "caption", "retrieval", *unused, *NOT_REMEMBERED_OF_LOOP)

    def asked(self) -> dict[str, Any]:
        """Return the settings that say what a classifier is asked: the scores depend on them, too."""
        names = ("label", "labels", "separator", "unit")
        return {name: value for name, value in self.remembered().items() if name in names}

    @model_validator(mode="after")
    def _require_what_lora_can(self) -> Self:
        if self.lora_rank and (self.freeze != "none" or self.loop.sharding == "full"):
            raise ValueError(
                "lora_rank freezes the encoder by itself, whole on each rank: no freeze, no sharding beside it"
            )
        return self

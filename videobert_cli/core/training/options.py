"""The recipe's `pretrain:` section, and what all trainings share."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from videobert_cli.core.model.options import Compile, FrozenPart, ModelOptions
from videobert_cli.core.sequences.options import SequenceOptions
from videobert_cli.core.text.options import TextOptions
from videobert_cli.options import Options

# No float16: gradients of a loss over a large vocabulary are below its smallest number and would vanish, unless scaled.
TrainingPrecision = Literal["auto", "float32", "bfloat16"]
SinkName = Literal["tensorboard", "trackio", "wandb"]


class OptimizerOptions(Options):
    """`optimizer:` AdamW or SGD, with warm-up and decay."""

    name: Literal["adamw", "sgd"] = Field(
        default="adamw", description="AdamW (paper: Adam), or SGD with momentum, which needs a higher rate."
    )
    learning_rate: float = Field(default=1e-5, gt=0, le=1, description="Peak rate (paper: 1e-5).")
    schedule: Literal["linear", "cosine", "constant"] = Field(
        default="linear", description="Decay after warm-up."
    )
    warmup_fraction: float = Field(
        default=0.0, ge=0, lt=1, description="Share of the steps spent warming up."
    )
    weight_decay: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Decay of weights (SGD: as a part of the gradient); never of norms and biases.",
    )
    beta1: float = Field(default=0.9, gt=0, lt=1, description="AdamW's first moment.")
    beta2: float = Field(default=0.999, gt=0, lt=1, description="AdamW's second moment.")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="SGD's momentum.")
    layer_decay: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Each layer's rate is that of the layer above times this (head: the full one); 1: all alike.",
    )
    max_gradient_norm: float = Field(default=1.0, gt=0, description="Gradients are clipped to this norm.")


class LoopOptions(Options):
    """`loop:` how long, in what portions, and how often to look and to save."""

    num_steps: int = Field(default=500_000, ge=1, description="Optimizer steps (paper: 500,000).")
    batch_num_sequences: int = Field(default=128, ge=1, description="Sequences of one step (paper: 128).")
    num_micro_batches: int = Field(
        default=1,
        ge=1,
        description="Parts of a step's sequences that go through the model one by one (gradient accumulation): "
        "less memory, the same gradients within rounding.",
    )
    sharding: Literal["none", "full"] = Field(
        default="none",
        description="Under torchrun: `none` keeps the whole model on each rank (DDP), `full` a part of it (FSDP2), "
        "for models that no GPU holds; the same results within rounding.",
    )
    precision: TrainingPrecision = Field(
        default="auto",
        description="Arithmetic of the products; weights stay float32. `auto`: bfloat16 where it is faster.",
    )
    log_every_steps: int = Field(default=50, ge=1, description="Steps between lines of metrics.jsonl.")
    log_to: tuple[SinkName, ...] = Field(
        default=(),
        description="Where these lines go too: `tensorboard`, `trackio`, `wandb`, each an extra of its name.",
    )
    validate_every_steps: int = Field(default=1_000, ge=1, description="Steps between validations.")
    validate_num_batches: int = Field(
        default=20, ge=1, description="Most batches of one validation of pretraining; fine-tuning takes all."
    )
    save_every_steps: int = Field(default=1_000, ge=1, description="Steps between checkpoints.")
    keep_num_checkpoints: int = Field(
        default=2, ge=1, description="Newest checkpoints kept, beside the best."
    )
    early_stopping_patience: int | None = Field(
        default=None,
        ge=1,
        description="Stop after so many validations without a better loss; null never stops.",
    )
    ema_decay: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="The weights' moving average over the steps is validated and becomes the model; null: no average.",
    )
    final_weights: Literal["best", "last"] = Field(
        default="last",
        description="Which weights the model gets: of the best validation, or the last (if nothing is held out).",
    )


def require_a_number_of_layers(part: FrozenPart, num_layers: int) -> None:
    """Raise ValueError where one of the two is given without the other."""
    if (part == "layers") != (num_layers > 0):
        raise ValueError("freeze: layers and freeze_num_layers (how many, from the input) go together")


def without(settings: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Return settings without some dotted keys."""
    kept = {name: value for name, value in settings.items() if name not in keys}
    inner = [key.split(".", 1) for key in keys if "." in key]
    for section, key in inner:
        kept[section] = without(kept[section], key)
    return kept


class LossWeights(Options):
    """`losses:` the weights of the paper's three losses in the sum."""

    text: float = Field(default=1.0, ge=0, description="Masked language.")
    video: float = Field(default=1.0, ge=0, description="Masked visual word.")
    alignment: float = Field(default=1.0, ge=0, description="Linguistic-visual alignment.")


class LabelHeadOptions(Options):
    """One of `pretrain.labels.heads`: a column of the manifest that is learned beside the paper's losses."""

    column: str = Field(min_length=1, description="The manifest's column.")
    kind: Literal["single", "multi"] = Field(
        default="single", description="One class of each segment, or `multi`: several, each by itself."
    )
    separator: str = Field(
        default="|", min_length=1, description="With `multi`: what stands between a segment's classes."
    )
    weight: float = Field(default=1.0, gt=0, description="Weight of its loss in the sum.")


class LabelOptions(Options):
    """`pretrain.labels:` labels of the manifest as further objectives (multi-task), from `[CLS] words [SEP]`."""

    heads: tuple[LabelHeadOptions, ...] = Field(
        default=(), description="The columns, each with a head: `[{column: verb, weight: 0.5}]`."
    )
    num_segments: int = Field(
        default=16, ge=1, description="Labelled segments of one step, beside its sequences."
    )

    @model_validator(mode="after")
    def _has_each_column_once(self) -> Self:
        columns = [head.column for head in self.heads]
        for column in columns:
            if columns.count(column) > 1:
                raise ValueError(f"heads has the column {column!r} twice")
        return self


class ProbeOptions(Options):
    """`pretrain.probe:` the zero-shot cloze, asked of labelled validation segments while the model trains."""

    every_num_validations: int = Field(
        default=1,
        ge=0,
        description="Validations from one probe to the next; the last one asks too; 0 never asks.",
    )
    max_num_segments: int = Field(
        default=256, ge=1, description="Most segments asked about, evenly spread over the videos."
    )


# How fast a model is made, what is asked of it meanwhile and who is told, not which model.
_NOT_REMEMBERED = ("num_workers", "compile", "activation_checkpointing", "probe")
NOT_REMEMBERED_OF_LOOP = ("loop.sharding", "loop.log_to")


class PretrainOptions(Options):
    """`pretrain:` visual words and sentences become a model."""

    batch_num_tokens: int | None = Field(
        default=None,
        ge=16,
        description="Most tokens of one step, in place of `loop.batch_num_sequences`; null counts sequences.",
    )
    num_workers: int = Field(
        default=0,
        ge=0,
        le=64,
        description="Processes that prepare sequences ahead of the step; the model is the same with any number.",
    )
    compile: Compile = Field(
        default="auto",
        description="Whether the layers are compiled, once for all batches; `auto`: on a GPU.",
    )
    activation_checkpointing: bool = Field(
        default=False,
        description="Make each layer's inside again on the way back: less memory, more time, the same gradients.",
    )
    text: TextOptions = Field(default=TextOptions(), description="Subtitles and vocabulary.")
    sequences: SequenceOptions = Field(default=SequenceOptions(), description="The model's inputs.")
    model: ModelOptions = Field(default=ModelOptions(), description="The encoder.")
    losses: LossWeights = Field(default=LossWeights(), description="Weights of the losses.")
    labels: LabelOptions = Field(default=LabelOptions(), description="Labels as further objectives.")
    probe: ProbeOptions = Field(default=ProbeOptions(), description="The zero-shot cloze while it trains.")
    freeze: FrozenPart = Field(
        default="none",
        description="What of the encoder is not trained; `layers`: embeddings and the first layers.",
    )
    freeze_num_layers: int = Field(default=0, ge=0, description="How many layers, with `freeze: layers`.")
    optimizer: OptimizerOptions = Field(default=OptimizerOptions(), description="AdamW or SGD.")
    loop: LoopOptions = Field(default=LoopOptions(), description="Length and rhythm of the training.")

    def remembered(self) -> dict[str, Any]:
        """Return the settings that the model depends on: what the stage records and compares."""
        return without(self.settings(), *_NOT_REMEMBERED, *NOT_REMEMBERED_OF_LOOP)

    @model_validator(mode="after")
    def _require_a_number_of_layers(self) -> Self:
        require_a_number_of_layers(self.freeze, self.freeze_num_layers)
        return self

    @model_validator(mode="after")
    def _require_an_objective(self) -> Self:
        if self.losses.text + self.losses.video + self.losses.alignment == 0 and not self.labels.heads:
            raise ValueError(
                "losses.text, losses.video and losses.alignment are all 0: nothing would be learned"
            )
        return self

    @model_validator(mode="after")
    def _require_room_for_a_sequence(self) -> Self:
        if self.batch_num_tokens is not None and self.batch_num_tokens < self.sequences.max_num_tokens:
            longest = self.sequences.max_num_tokens
            raise ValueError(
                f"batch_num_tokens ({self.batch_num_tokens}) is less than a sequence may have "
                f"(sequences.max_num_tokens: {longest})"
            )
        return self

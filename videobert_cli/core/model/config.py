"""The model's sizes and choices: `config.json` of a model directory, in transformers' style.

Joint token ids: text 0 to V - 1, the glue `[>]` V, visual word w V + 1 + w (V text tokens, `vocab_size`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self, get_args

from videobert_cli import artifacts
from videobert_cli.core.model.caption_config import CaptionerConfig
from videobert_cli.core.model.labels import LabelHead, LabelKind, read_label_heads
from videobert_cli.errors import ArtifactError

CONFIG_NAME = "config.json"
MODEL_TYPE = "videobert"
Softmax = Literal["joint", "per_modality"]
ClassifierPooling = Literal["cls", "cls_mean"]
# transformers' words for one class of each sequence, and for any number of them.
ProblemType = Literal["single_label_classification", "multi_label_classification"]
PROBLEM_TYPES: Mapping[LabelKind, ProblemType] = {
    "single": "single_label_classification",
    "multi": "multi_label_classification",
}
_MAX_CONFIG_BYTES = 16 << 20
# A config comes from strangers: sizes above these are a fault or an attack, not a model.
_RANGES: Mapping[str, tuple[float, float]] = {
    "vocab_size": (1, 4_000_000),
    "num_visual_words": (0, 4_000_000),
    "visual_embedding_size": (1, 65_536),
    "hidden_size": (1, 32_768),
    "num_hidden_layers": (1, 256),
    "num_attention_heads": (1, 512),
    "intermediate_size": (1, 262_144),
    "hidden_dropout_prob": (0, 0.99),
    "attention_probs_dropout_prob": (0, 0.99),
    "max_position_embeddings": (1, 1 << 20),
    "type_vocab_size": (2, 64),
    "layer_norm_eps": (1e-20, 0.1),
    "initializer_range": (1e-8, 10),
    "pad_token_id": (0, 4_000_000),
}


@dataclass(frozen=True, kw_only=True)
class VideoBERTConfig:
    """Sizes as in transformers' BertConfig, and what VideoBERT adds.

    `vocab_size` counts text tokens only; `visual_embedding_size` is the width of the centroids; `softmax`
    says whether text and visual words compete in one softmax (paper) or each among themselves;
    `train_visual_embeddings` whether the centroid rows move (paper: frozen in pretraining);
    `classifier_pooling` what a classifier reads; `id2label` its classes, in the order of the logits; `problem_type`
    whether it answers one of them (a softmax) or any number (a sigmoid each); `label_heads` the columns of labels that
    were learned beside the pretraining; `captioner` what a captioner has beside the encoder.
    `dropped_keys` are the keys of a file that mean nothing here and were not obeyed (`auto_map`,
    `trust_remote_code`, ...); they are never written again.
    """

    vocab_size: int
    num_visual_words: int
    visual_embedding_size: int
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: Literal["gelu"] = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    initializer_range: float = 0.02
    pad_token_id: int = 0
    softmax: Softmax = "joint"
    train_visual_embeddings: bool = False
    classifier_pooling: ClassifierPooling = "cls_mean"
    problem_type: ProblemType = "single_label_classification"
    id2label: Mapping[int, str] = field(default_factory=dict)
    label_heads: tuple[LabelHead, ...] = ()
    captioner: CaptionerConfig | None = None
    dropped_keys: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        problems = [*_range_problems(self), *_choice_problems(self)]
        if not problems and self.hidden_size % self.num_attention_heads:
            problems.append(
                f"hidden_size {self.hidden_size} is not a multiple of its {self.num_attention_heads} heads"
            )
        if sorted(self.id2label) != list(range(len(self.id2label))):
            problems.append("id2label does not number its classes 0, 1, 2, ...")
        if problems:
            raise ArtifactError("the model's configuration cannot be used: " + "; ".join(problems))

    @property
    def glue_token_id(self) -> int:
        """Id of `[>]`, the token between text and video."""
        return self.vocab_size

    @property
    def first_visual_id(self) -> int:
        """Id of visual word 0."""
        return self.vocab_size + 1

    @property
    def joint_vocab_size(self) -> int:
        """Number of ids: text tokens, glue, visual words."""
        return self.vocab_size + 1 + self.num_visual_words

    @property
    def max_num_words(self) -> int:
        """How many visual words a sequence without text has room for, beside as many specials as one with text has."""
        return self.max_position_embeddings - 3

    @property
    def label2id(self) -> dict[str, int]:
        """Class name to index of its logit."""
        return {label: index for index, label in self.id2label.items()}

    def to_dict(self, *, architecture: str = "") -> dict[str, Any]:
        """Return the configuration as JSON values; `architecture` is the class of its weights."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "dropped_keys"}
        values["id2label"] = {str(index): label for index, label in self.id2label.items()}
        values["label2id"] = self.label2id
        # Most models have none, and their files are as they were before there were any.
        heads = [head.to_dict() for head in values.pop("label_heads")]
        values |= {"label_heads": heads} if heads else {}
        if self.problem_type == "single_label_classification":
            del values["problem_type"]
        captioner = values.pop("captioner")
        values |= {} if captioner is None else {"captioner": captioner.to_dict()}
        values["model_type"] = MODEL_TYPE
        if architecture:
            values["architectures"] = [architecture]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the configuration in `values`; unknown keys are dropped and named in `dropped_keys`.

        Raises:
            ArtifactError: It is no VideoBERT configuration, or a value is missing or impossible.
        """
        if values.get("model_type", MODEL_TYPE) != MODEL_TYPE:
            raise ArtifactError(
                f"this is a {values['model_type']!r} model, not a videobert one",
                fix="a BERT is a start for pretraining: set pretrain.model.init to its directory",
            )
        known = {f.name for f in fields(cls)} - {"dropped_keys"}
        ignored = {"model_type", "architectures", "label2id"}
        kept = {key: value for key, value in values.items() if key in known}
        kept["id2label"] = _parse_labels(kept.get("id2label", {}))
        kept["label_heads"] = read_label_heads(kept.get("label_heads", ()))
        if kept.get("captioner") is not None:
            kept["captioner"] = CaptionerConfig.read(kept["captioner"])
        dropped = tuple(sorted(str(key) for key in values if key not in known | ignored))
        try:
            return cls(**kept, dropped_keys=dropped)
        except TypeError as error:
            raise ArtifactError(f"the model's configuration cannot be used: {error}") from error

    def save_pretrained(self, directory: Path, *, architecture: str = "") -> None:
        """Write `config.json` into `directory`."""
        artifacts.publish_json(Path(directory) / CONFIG_NAME, self.to_dict(architecture=architecture))

    @classmethod
    def from_pretrained(cls, directory: Path) -> Self:
        """Return the configuration in `directory`'s `config.json`.

        Raises:
            ArtifactError: The file is missing, is not JSON, or `from_dict` refuses it.
        """
        path = Path(directory) / CONFIG_NAME
        values = read_config(path)
        try:
            return cls.from_dict(values)
        except ArtifactError as error:
            raise ArtifactError(error.what, at=str(path), fix=error.fix) from error


def read_config(path: Path) -> dict[str, Any]:
    """Return the JSON object in `path`, whatever its keys.

    Raises:
        ArtifactError: The file is missing, larger than 16 MB, or no JSON object.
    """
    try:
        if not path.is_file():
            raise ArtifactError(
                "this is not a model directory: it has no config.json",
                at=str(path.parent),
                fix="give a directory that `videobert pretrain` or `videobert finetune` has written",
            )
        if path.stat().st_size > _MAX_CONFIG_BYTES:
            raise ArtifactError(f"{path.stat().st_size} bytes are too many for a configuration", at=str(path))
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"the configuration cannot be read ({error})", at=str(path)) from error
    if not isinstance(values, dict):
        raise ArtifactError("the configuration is not a JSON object", at=str(path))
    return values


def _parse_labels(labels: object) -> dict[int, str]:
    """Return JSON's {"0": "cut"} as {0: "cut"}."""
    if not isinstance(labels, Mapping):
        raise ArtifactError(f"id2label is not a mapping but {labels!r}")
    try:
        return {int(index): str(label) for index, label in labels.items()}
    except (TypeError, ValueError) as error:
        raise ArtifactError(f"id2label has a key that is no number ({error})") from error


def _range_problems(config: VideoBERTConfig) -> list[str]:
    problems = []
    for f in fields(config):
        if f.name not in _RANGES:
            continue
        value = getattr(config, f.name)
        low, high = _RANGES[f.name]
        is_number = isinstance(value, int if f.type is int else (int, float)) and not isinstance(value, bool)
        if not is_number:
            problems.append(f"{f.name} is {value!r}, not a number")
        elif not low <= value <= high:
            problems.append(f"{f.name} {value} is outside {low:g} to {high:g}")
    return problems


def _choice_problems(config: VideoBERTConfig) -> list[str]:
    problems = []
    choices = {
        "softmax": get_args(Softmax),
        "classifier_pooling": get_args(ClassifierPooling),
        "problem_type": get_args(ProblemType),
        "hidden_act": ("gelu",),
    }
    for name, allowed in choices.items():
        if getattr(config, name) not in allowed:
            problems.append(f"{name} is {getattr(config, name)!r}, not {' or '.join(allowed)}")
    if not isinstance(config.train_visual_embeddings, bool):
        problems.append(f"train_visual_embeddings is {config.train_visual_embeddings!r}, not true or false")
    return problems

"""The model directory: weights, tokenizer, codebook and backbone together, so that `predict` needs nothing else."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from videobert_cli.artifacts import (
    Manifest,
    publish_directory,
    publish_json,
    publish_text,
    read_manifest,
    seal,
    verify,
)
from videobert_cli.core.features.backbones.imported import read_imported
from videobert_cli.core.features.backbones.registry import Backbone, load_backbone_directory, save_backbone
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.model.captioning import VideoBERTForCaptioning
from videobert_cli.core.model.classification import VideoBERTForSequenceClassification
from videobert_cli.core.model.config import CONFIG_NAME, MODEL_TYPE, read_config
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.model.retrieval import VideoBERTForRetrieval
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer
from videobert_cli.core.training.finetune_options import Unit
from videobert_cli.core.words.codebook import Codebook
from videobert_cli.core.words.usage import WordUsage, save_usage
from videobert_cli.errors import ArtifactError

KIND = "model"
QUESTIONS_NAME = "questions.json"
CARD_NAME = "README.md"
CODEBOOK_NAME = "codebook"
# Where a run keeps its pretrained model.
PRETRAINED_IN_RUN = Path("pretrain") / "model"

Model = (
    VideoBERTForPreTraining
    | VideoBERTForSequenceClassification
    | VideoBERTForRetrieval
    | VideoBERTForCaptioning
)


@dataclass(frozen=True, kw_only=True)
class Questions:
    """What the model can be asked without a recipe: the cloze and its candidates, or the column of its classes.

    `unit` is what a classifier answers about: segments or whole videos.
    """

    template: str
    verbs: tuple[str, ...]
    objects: tuple[str, ...]
    label: str = ""
    unit: Unit = "segment"

    def to_dict(self) -> dict[str, Any]:
        """Return the questions as JSON values; `unit` only where it is not the usual one."""
        return {name: value for name, value in asdict(self).items() if (name, value) != ("unit", "segment")}


@dataclass(frozen=True, kw_only=True)
class ModelParts:
    """Everything that goes into a model directory beside the weights; `usage` is of the words it was pretrained on."""

    tokenizer: VideoBERTTokenizer
    codebook: Path
    backbone: Backbone
    extract: ExtractOptions
    questions: Questions
    card: str
    usage: WordUsage | None = None


def publish_model(
    directory: Path,
    model: Model,
    *,
    parts: ModelParts,
    settings: Mapping[str, Any],
    parents: Mapping[str, str],
    facts: Mapping[str, Any],
) -> Manifest:
    """Publish a model directory as one step: a reader sees the whole of it or nothing."""
    with publish_directory(directory) as temporary:
        model.save_pretrained(temporary)
        parts.tokenizer.save_pretrained(temporary)
        shutil.copytree(parts.codebook, temporary / CODEBOOK_NAME)
        save_backbone(parts.backbone, options=parts.extract, directory=temporary)
        publish_json(temporary / QUESTIONS_NAME, parts.questions.to_dict())
        publish_text(temporary / CARD_NAME, parts.card)
        if parts.usage is not None:
            save_usage(parts.usage, temporary)
        return seal(temporary, kind=KIND, settings=settings, parents=parents, facts=facts)


def model_to_continue(named: Path) -> Path | None:
    """Return the pretrained model that `named` is, or that the run of that name holds; None where it is neither."""
    for directory in (named, named / PRETRAINED_IN_RUN):
        path = directory / CONFIG_NAME
        if path.is_file() and read_config(path).get("model_type") == MODEL_TYPE:
            return directory
    return None


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A model directory in memory; `model` is on `device`, in evaluation mode."""

    directory: Path
    manifest: Manifest
    model: Model
    tokenizer: VideoBERTTokenizer
    codebook: Codebook
    questions: Questions
    device: torch.device

    def backbone(self) -> tuple[Backbone, ExtractOptions]:
        """Return the backbone that the directory carries, with its options (on demand: evaluation needs none)."""
        imported = read_imported(self.directory, dim=self.codebook.dim)
        if imported is not None:
            return imported, ExtractOptions()
        return load_backbone_directory(self.directory, device=self.device)


def load_model(directory: Path, *, device: torch.device) -> LoadedModel:
    """Load a model directory that `pretrain` or `finetune` wrote.

    Raises:
        ArtifactError: It is not one, or a part of it is damaged or missing.
    """
    if not directory.is_dir():
        raise ArtifactError(
            "there is no model directory here", at=str(directory), fix="videobert pretrain RECIPE makes one"
        )
    manifest = read_manifest(directory, kind=KIND)
    _require_undamaged(directory)
    architecture = _architecture(directory)
    model_class = _CLASSES.get(architecture)
    if model_class is None:
        raise ArtifactError(
            f"config.json names the architecture {architecture!r}, not one of {', '.join(_CLASSES)}",
            at=str(directory),
        )
    model: Model = model_class.from_pretrained(directory)
    return LoadedModel(
        directory=directory,
        manifest=manifest,
        model=model.to(device),
        tokenizer=VideoBERTTokenizer.from_pretrained(directory),
        codebook=Codebook.load(directory / CODEBOOK_NAME),
        questions=_questions(directory),
        device=device,
    )


_CLASSES: dict[
    str,
    type[VideoBERTForPreTraining]
    | type[VideoBERTForSequenceClassification]
    | type[VideoBERTForRetrieval]
    | type[VideoBERTForCaptioning],
] = {
    "VideoBERTForPreTraining": VideoBERTForPreTraining,
    "VideoBERTForSequenceClassification": VideoBERTForSequenceClassification,
    "VideoBERTForRetrieval": VideoBERTForRetrieval,
    "VideoBERTForCaptioning": VideoBERTForCaptioning,
}


def _require_undamaged(directory: Path) -> None:
    """Refuse a damaged directory; its card is for people, who may write in it."""
    damages = [damage for damage in verify(directory) if damage.path != directory / CARD_NAME]
    if damages:
        raise ArtifactError(
            f"{damages[0].path.name} {damages[0].problem}",
            at=str(damages[0].path),
            fix=f"copy the model again, or make it anew; videobert verify {directory} lists all that is damaged",
        )


def _architecture(directory: Path) -> str:
    try:
        return str(json.loads((directory / "config.json").read_text(encoding="utf-8"))["architectures"][0])
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise ArtifactError(f"config.json names no architecture ({error})", at=str(directory)) from error


def _questions(directory: Path) -> Questions:
    try:
        raw = json.loads((directory / QUESTIONS_NAME).read_text(encoding="utf-8"))
        return Questions(
            template=str(raw["template"]),
            verbs=tuple(map(str, raw["verbs"])),
            objects=tuple(map(str, raw["objects"])),
            label=str(raw["label"]),
            unit="video" if raw.get("unit") == "video" else "segment",
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{QUESTIONS_NAME} cannot be read ({error})", at=str(directory)) from error

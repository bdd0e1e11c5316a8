"""What every stage that trains from a pretrained model has in common: which it may start from, and what it leaves."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from videobert_cli.artifacts import read_manifest
from videobert_cli.core.reports.model_card import model_card
from videobert_cli.core.training.finetune_options import Unit
from videobert_cli.core.training.loop import TrainingResult
from videobert_cli.core.training.model_directory import LoadedModel, Model, ModelParts, publish_model
from videobert_cli.errors import CodebookMismatchError
from videobert_cli.pipeline.run import Run
from videobert_cli.runtime import package_version


def publish_learned(
    run: Run,
    stage: str,
    model: Model,
    *,
    start: LoadedModel,
    card: tuple[str, str],
    settings: Mapping[str, Any],
    parents: Mapping[str, str],
    facts: Mapping[str, Any],
    label: str = "",
    unit: Unit = "segment",
) -> None:
    """Publish a model with the tokenizer, codebook and backbone of the one it started from.

    `card` is the task by the name that model hubs give it, and the title; `label` the column of a classifier's classes,
    `unit` what it answers about.
    """
    backbone, extract = start.backbone()
    task, title = card
    parts = ModelParts(
        tokenizer=start.tokenizer,
        codebook=start.directory / "codebook",
        backbone=backbone,
        extract=extract,
        questions=replace(start.questions, label=label, unit=unit),
        card=model_card(title=title, task=task, command="finetune", version=package_version(), facts=facts),
    )
    directory = run.directory(stage) / "model"
    publish_model(directory, model, parts=parts, settings=settings, parents=parents, facts=facts)


def training_summary(training: TrainingResult) -> str:
    """Return how the loop ended, for people."""
    best = training.best_loss
    held_out = f", best held-out loss {best:.3f}" if best is not None else ""
    return f"{training.num_steps:,} steps{held_out}"


def require_same_codebook(run: Run, model: Path) -> None:
    """Refuse a model whose codebook is not the one the run's words come from.

    Raises:
        CodebookMismatchError: With both content hashes.
    """
    ours = read_manifest(run.paths.codebook, kind="codebook").content_hash
    theirs = read_manifest(model / "codebook", kind="codebook").content_hash
    if ours != theirs:
        raise CodebookMismatchError(
            f"the model was trained with codebook {theirs[:12]}, the words of this run come from {ours[:12]}",
            at=str(model),
            fix=f"use the model of this run: {run.loaded.command('finetune')}",
        )

"""A pretrained model learns the classes of labelled segments: the one function behind `videobert finetune`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from videobert_cli.core.model.classification import VideoBERTForSequenceClassification
from videobert_cli.core.model.config import PROBLEM_TYPES
from videobert_cli.core.model.freezing import freeze
from videobert_cli.core.model.labels import LabelHead
from videobert_cli.core.model.lora import add_lora, merge_lora
from videobert_cli.core.sequences.documents import joint_vocabulary
from videobert_cli.core.sequences.labelled import LabelledWords
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer
from videobert_cli.core.training.classification import ClassificationJob
from videobert_cli.core.training.finetune_options import FinetuneOptions
from videobert_cli.core.training.labelled import LabelledSegments
from videobert_cli.core.training.loop import TrainingLoop, TrainingResult
from videobert_cli.core.training.ranks import TrainingRanks
from videobert_cli.core.training.records import LoopEvents
from videobert_cli.core.training.units import LabelledUnit, labelled_units
from videobert_cli.errors import InputError
from videobert_cli.ranks import Ranks
from videobert_cli.runtime import StopRequest


@dataclass(frozen=True, kw_only=True)
class FinetuneResult:
    """The trained classifier in evaluation mode, its classes in the order of the logits, and how the loop ended."""

    model: VideoBERTForSequenceClassification
    classes: tuple[str, ...]
    training: TrainingResult
    num_train_units: int


def finetune_classifier(
    *,
    segments: Sequence[LabelledWords],
    pretrained: Path,
    tokenizer: VideoBERTTokenizer,
    options: FinetuneOptions,
    directory: Path,
    seed: int,
    device: torch.device,
    stop: StopRequest,
    events: LoopEvents,
    ranks: Ranks | None = None,
) -> FinetuneResult:
    """Train a classifier of column `options.label` on the training split, going on from the newest checkpoint.

    With `ranks` all of them call this with the same arguments, and all get the model.

    Raises:
        InputError: As `classified`.
        InterruptedRunError: A stop was asked for; the state is saved.
    """
    head, units = classified(segments, options=options)
    model = VideoBERTForSequenceClassification.from_pretrained(
        pretrained,
        labels=head.classes,
        problem_type=PROBLEM_TYPES[head.kind],
        dropout=options.dropout,
        seed=seed,
    ).to(device)
    freeze(model.bert, part=options.freeze, num_layers=options.freeze_num_layers)
    if options.lora_rank:
        add_lora(model, rank=options.lora_rank, alpha=options.lora_alpha, seed=seed)
    together = TrainingRanks(ranks, sharding=options.loop.sharding)
    num_train_units = sum(unit.split == "train" for unit in units)
    parts = labelled_parts(units, head=head, max_num_words=model.config.max_num_words)
    train, held_out = (
        LabelledSegments(
            [part for part in parts if part.split == split],
            heads=(head,),
            vocabulary=joint_vocabulary(tokenizer),
            max_num_tokens=model.config.max_position_embeddings,
        )
        for split in ("train", "validation")
    )
    job = ClassificationJob(
        model,
        head=head,
        train=train,
        held_out=held_out,
        batch_num_sequences=options.loop.batch_num_sequences,
        max_subsampling=options.max_subsampling,
        seed=seed,
        ranks=together,
        class_weights=options.class_weights,
    )
    training = TrainingLoop(
        job,
        section="finetune",
        loop=options.loop,
        optimizer=options.optimizer,
        directory=directory,
        seed=seed,
        device=device,
        stop=stop,
        events=events,
        ranks=together,
    ).run()
    model = together.whole(model)
    merge_lora(model)
    return FinetuneResult(
        model=model, classes=head.classes, training=training, num_train_units=num_train_units
    )


def classified(
    segments: Sequence[LabelledWords], *, options: FinetuneOptions
) -> tuple[LabelHead, tuple[LabelledUnit, ...]]:
    """Return the head with the classes that the training split shows, sorted, and the units that have a label.

    Raises:
        InputError: Fewer than two classes are labelled in the training split, or a video has several where it should
            have one.
    """
    head = LabelHead(name=options.label, kind=options.labels, separator=options.separator)
    units = labelled_units(segments, head=head, unit=options.unit)
    classes = {value for unit in units if unit.split == "train" for value in unit.values}
    if len(classes) < 2:
        raise InputError(
            f"column {options.label!r} has {len(classes)} classes in the training split; two are needed",
            at="finetune.label",
            fix="name a column of the manifest that holds classes (--set finetune.label=COLUMN)",
        )
    return replace(head, classes=tuple(sorted(classes))), units


def labelled_parts(
    units: Sequence[LabelledUnit], *, head: LabelHead, max_num_words: int
) -> list[LabelledWords]:
    """Return what the model reads of each unit, with all classes of the unit in the head's column."""
    return [
        replace(part, labels={head.name: head.separator.join(unit.values)})
        for unit in units
        for part in unit.parts(max_num_words=max_num_words)
    ]

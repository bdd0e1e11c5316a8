"""A pretrained model learns the classes of labelled segments: the one function behind `videobert finetune`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from videobert_cli.core.model.classification import VideoBERTForSequenceClassification
from videobert_cli.core.model.freezing import freeze
from videobert_cli.core.model.lora import add_lora, merge_lora
from videobert_cli.core.sequences.documents import joint_vocabulary
from videobert_cli.core.sequences.labelled import LabelledWords, with_labels
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer
from videobert_cli.core.training.classification import ClassificationJob
from videobert_cli.core.training.finetune_options import FinetuneOptions
from videobert_cli.core.training.loop import TrainingLoop, TrainingResult
from videobert_cli.core.training.ranks import TrainingRanks
from videobert_cli.core.training.records import LoopEvents
from videobert_cli.errors import InputError
from videobert_cli.ranks import Ranks
from videobert_cli.runtime import StopRequest


@dataclass(frozen=True, kw_only=True)
class FinetuneResult:
    """The trained classifier in evaluation mode, its classes in the order of the logits, and how the loop ended."""

    model: VideoBERTForSequenceClassification
    classes: tuple[str, ...]
    training: TrainingResult
    num_train_segments: int


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
        InputError: Fewer than two classes are labelled in the training split.
        InterruptedRunError: A stop was asked for; the state is saved.
    """
    labelled = with_labels(segments, options.label)
    train = [segment for segment in labelled if segment.split == "train"]
    held_out = [segment for segment in labelled if segment.split == "validation"]
    classes = tuple(sorted({segment.labels[options.label] for segment in train}))
    if len(classes) < 2:
        raise InputError(
            f"column {options.label!r} has {len(classes)} classes in the training split; two are needed",
            at="finetune.label",
            fix="name a column of the manifest that holds classes (--set finetune.label=COLUMN)",
        )
    model = VideoBERTForSequenceClassification.from_pretrained(
        pretrained, labels=classes, dropout=options.dropout, seed=seed
    ).to(device)
    freeze(model.bert, part=options.freeze, num_layers=options.freeze_num_layers)
    if options.lora_rank:
        add_lora(model, rank=options.lora_rank, alpha=options.lora_alpha, seed=seed)
    together = TrainingRanks(ranks, sharding=options.loop.sharding)
    vocabulary = joint_vocabulary(tokenizer)
    first_word = tokenizer.word_to_id(0)
    job = ClassificationJob(
        model,
        train=_examples(train, classes=classes, label=options.label, first_word=first_word),
        held_out=_examples(held_out, classes=classes, label=options.label, first_word=first_word),
        vocabulary=vocabulary,
        batch_num_sequences=options.loop.batch_num_sequences,
        max_subsampling=options.max_subsampling,
        seed=seed,
        ranks=together,
        class_weights=options.class_weights,
        train_ids=[f"{segment.video_id} at {segment.start_seconds:g} s" for segment in train],
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
    return FinetuneResult(model=model, classes=classes, training=training, num_train_segments=len(train))


def _examples(
    segments: Sequence[LabelledWords], *, classes: tuple[str, ...], label: str, first_word: int
) -> tuple[list[np.ndarray], list[int]]:
    """Return joint ids and class numbers; held-out segments of a class never trained are left out."""
    known = [segment for segment in segments if segment.labels[label] in classes]
    words = [segment.words_T.astype(np.int64) + first_word for segment in known]
    return words, [classes.index(segment.labels[label]) for segment in known]

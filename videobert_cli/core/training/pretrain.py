"""Words and sentences become a pretrained model: the one function behind `videobert pretrain`."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from videobert_cli.core.model.compiling import compile_encoder
from videobert_cli.core.model.freezing import freeze
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.sequences.ahead import AheadBatches
from videobert_cli.core.sequences.batches import Batches, BlockLoader, InlineLoader
from videobert_cli.core.sequences.corpus import TokenCorpus
from videobert_cli.core.sequences.dataset import Document, PretrainingSamples
from videobert_cli.core.sequences.documents import joint_vocabulary
from videobert_cli.core.sequences.joint import JointVocabulary
from videobert_cli.core.sequences.labelled import LabelledWords
from videobert_cli.core.sequences.loader import WorkerLoader
from videobert_cli.core.sequences.ranks import SharedLoader
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer
from videobert_cli.core.training.label_objective import label_objective
from videobert_cli.core.training.labelled import label_heads
from videobert_cli.core.training.loop import TrainingLoop, TrainingResult
from videobert_cli.core.training.objectives import PretrainingJob
from videobert_cli.core.training.options import PretrainOptions
from videobert_cli.core.training.probe import Ask, probe_of
from videobert_cli.core.training.ranks import TrainingRanks
from videobert_cli.core.training.records import LoopEvents
from videobert_cli.core.training.start import start_model
from videobert_cli.core.words.codebook import Codebook
from videobert_cli.errors import InputError, ResourceError
from videobert_cli.memory import free_memory_bytes
from videobert_cli.ranks import Ranks
from videobert_cli.runtime import StopRequest, derive_seed

# [CLS], a word and [SEP]; four int64 of each token as it is drawn and again as it is packed.
_LEAST_NUM_TOKENS, _BYTES_PER_TOKEN = 3, 64


@dataclass(frozen=True, kw_only=True)
class PretrainData:
    """What a model is trained on and measured by.

    `segments` are the labelled ones of all splits, for heads of labels; `ask` is put to the model in validations, as
    often as `pretrain.probe` says.
    """

    train: TokenCorpus | Sequence[Document]
    held_out: TokenCorpus | Sequence[Document]
    segments: Sequence[LabelledWords] = ()
    ask: Ask | None = None


@dataclass(frozen=True, kw_only=True)
class PretrainResult:
    """The trained model in evaluation mode, how the loop ended, and what it was trained on."""

    model: VideoBERTForPreTraining
    training: TrainingResult
    num_samples: dict[str, int]


def pretrain_model(
    data: PretrainData,
    *,
    tokenizer: VideoBERTTokenizer,
    codebook: Codebook,
    options: PretrainOptions,
    directory: Path,
    seed: int,
    device: torch.device,
    stop: StopRequest,
    events: LoopEvents,
    ranks: Ranks | None = None,
) -> PretrainResult:
    """Train on the data in `directory`, going on from its newest checkpoint, and return the model.

    With `ranks` all of them call this with the same arguments, and all get the model.

    Raises:
        InputError: There is nothing to train on, or a column of labels has no two classes.
        InterruptedRunError: A stop was asked for; the state is saved.
    """
    vocabulary = joint_vocabulary(tokenizer)
    samples = PretrainingSamples(data.train, options=options.sequences, vocabulary=vocabulary, seed=seed)
    events.on_message(samples.mix)
    held_out_samples = _held_out_samples(data.held_out, options=options, vocabulary=vocabulary, seed=seed)
    model = start_model(
        options.model,
        tokenizer=tokenizer,
        codebook=codebook,
        seed=seed,
        max_num_tokens=options.sequences.max_num_tokens,
    )
    model.set_label_heads(label_heads(data.segments, options.labels.heads), seed=seed)
    model.to(device)
    freeze(model.bert, part=options.freeze, num_layers=options.freeze_num_layers)
    model.bert.encoder.recomputes_activations = options.activation_checkpointing
    compile_encoder(model.bert.encoder, wanted=options.compile, device=device, on_message=events.on_message)
    _require_room_for_a_batch(options, directory=directory)
    together = TrainingRanks(ranks, sharding=options.loop.sharding)
    with (
        _train_loader(samples, options=options, ranks=together.all) as loader,
        _train_batches(loader, options=options, device=device) as batches,
    ):
        job = PretrainingJob(
            model,
            batches=batches,
            held_out=_batches(InlineLoader(held_out_samples), options=options) if held_out_samples else None,
            held_out_epoch_size=held_out_samples.epoch_size if held_out_samples else 0,
            weights=options.losses,
            validate_num_batches=options.loop.validate_num_batches,
            labels=label_objective(
                model.config.label_heads,
                segments=data.segments,
                options=options,
                vocabulary=vocabulary,
                seed=seed,
            ),
            probe=probe_of(data.ask, options=options.probe, loop=options.loop),
            ranks=together,
            sample_id=samples.name,
        )
        training = TrainingLoop(
            job,
            section="pretrain",
            loop=options.loop,
            optimizer=options.optimizer,
            directory=directory,
            seed=seed,
            device=device,
            stop=stop,
            events=events,
            ranks=together,
        ).run()
    num_samples = {str(regime): num for regime, num in samples.num_samples.items()}
    return PretrainResult(model=together.whole(model), training=training, num_samples=num_samples)


def _require_room_for_a_batch(options: PretrainOptions, *, directory: Path) -> None:
    """Refuse a step whose bare ids do not fit into memory: to build it takes minutes, and no micro-batch makes it less.

    Raises:
        ResourceError: There is less free memory than ids, types, positions and labels of the step's tokens take.
    """
    budget = options.batch_num_tokens
    num_tokens = budget or options.loop.batch_num_sequences * _LEAST_NUM_TOKENS
    needed, room = num_tokens * _BYTES_PER_TOKEN, free_memory_bytes(torch.device("cpu"))
    if needed > room:
        key = "pretrain.loop.batch_num_sequences" if budget is None else "pretrain.batch_num_tokens"
        fitting = 128 if budget is None else max(8192, options.sequences.max_num_tokens)
        raise ResourceError(
            f"a step of {num_tokens:,} tokens takes at least {needed / 1e9:.1f} GB, {room / 1e9:.1f} GB are free",
            at=f"{key} ({directory})",
            fix=f"take fewer at once: --set {key}={fitting}",
        )


@contextlib.contextmanager
def _train_loader(
    samples: PretrainingSamples, *, options: PretrainOptions, ranks: Ranks
) -> Iterator[BlockLoader]:
    """Yield what prepares the training sequences, two steps ahead where processes do, a part of them on each rank."""
    with contextlib.ExitStack() as workers:
        loader: BlockLoader
        part = (ranks.index, ranks.num)
        if options.num_workers == 0:
            loader = InlineLoader(samples, part=part)
        else:
            num_ahead = -(-2 * options.loop.batch_num_sequences // ranks.num)
            loader = workers.enter_context(
                WorkerLoader(samples, num_workers=options.num_workers, num_ahead=num_ahead, part=part)
            )
        yield loader if ranks.num == 1 else SharedLoader(loader, ranks=ranks)


@contextlib.contextmanager
def _train_batches(
    loader: BlockLoader, *, options: PretrainOptions, device: torch.device
) -> Iterator[Batches]:
    """Yield the training batches, on a GPU the next one made while a step runs."""
    if device.type != "cuda":
        yield _batches(loader, options=options)
        return
    with AheadBatches(
        loader,
        num_sequences=options.loop.batch_num_sequences,
        max_num_tokens=options.batch_num_tokens,
        is_pinned=True,
    ) as batches:
        yield batches


def _batches(loader: BlockLoader, *, options: PretrainOptions) -> Batches:
    return Batches(
        loader, num_sequences=options.loop.batch_num_sequences, max_num_tokens=options.batch_num_tokens
    )


def _held_out_samples(
    documents: TokenCorpus | Sequence[Document],
    *,
    options: PretrainOptions,
    vocabulary: JointVocabulary,
    seed: int,
) -> PretrainingSamples | None:
    """Return the held-out samples, None where no regime that is trained has one."""
    held_out_seed = derive_seed(seed, "held out")
    try:
        return PretrainingSamples(
            documents, options=options.sequences, vocabulary=vocabulary, seed=held_out_seed
        )
    except InputError:
        return None

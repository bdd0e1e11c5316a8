"""Words and sentences become a pretrained model: the one function behind `videobert pretrain`."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from videobert_cli.core.model.checkpoint import WEIGHTS_NAME
from videobert_cli.core.model.config import MODEL_TYPE, VideoBERTConfig, read_config
from videobert_cli.core.model.init import load_bert, new_model
from videobert_cli.core.model.options import ModelOptions
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.sequences.batches import Batches, BlockLoader, InlineLoader
from videobert_cli.core.sequences.corpus import TokenCorpus
from videobert_cli.core.sequences.dataset import Document, PretrainingSamples
from videobert_cli.core.sequences.documents import joint_vocabulary
from videobert_cli.core.sequences.joint import JointVocabulary
from videobert_cli.core.sequences.loader import WorkerLoader
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer
from videobert_cli.core.text.vocabulary import VOCABULARY_NAME
from videobert_cli.core.training.loop import TrainingLoop, TrainingResult
from videobert_cli.core.training.model_directory import CODEBOOK_NAME
from videobert_cli.core.training.objectives import PretrainingJob
from videobert_cli.core.training.options import PretrainOptions
from videobert_cli.core.training.records import LoopEvents
from videobert_cli.core.words.codebook import Codebook
from videobert_cli.errors import CodebookMismatchError, InputError, UsageError
from videobert_cli.runtime import StopRequest, derive_seed


@dataclass(frozen=True, kw_only=True)
class PretrainResult:
    """The trained model in evaluation mode, how the loop ended, and what it was trained on."""

    model: VideoBERTForPreTraining
    training: TrainingResult
    num_samples: dict[str, int]


def pretrain_model(
    *,
    train: TokenCorpus | Sequence[Document],
    held_out: TokenCorpus | Sequence[Document],
    tokenizer: VideoBERTTokenizer,
    codebook: Codebook,
    options: PretrainOptions,
    directory: Path,
    seed: int,
    device: torch.device,
    stop: StopRequest,
    events: LoopEvents,
) -> PretrainResult:
    """Train on the documents in `directory`, going on from its newest checkpoint, and return the model.

    Raises:
        InputError: There is nothing to train on.
        InterruptedRunError: A stop was asked for; the state is saved.
    """
    vocabulary = joint_vocabulary(tokenizer)
    samples = PretrainingSamples(train, options=options.sequences, vocabulary=vocabulary, seed=seed)
    held_out_samples = _held_out_samples(held_out, options=options, vocabulary=vocabulary, seed=seed)
    model = start_model(
        options.model,
        tokenizer=tokenizer,
        codebook=codebook,
        seed=seed,
        max_num_tokens=options.sequences.max_num_tokens,
    ).to(device)
    with _train_loader(samples, options=options) as loader:
        job = PretrainingJob(
            model,
            batches=_batches(loader, options=options),
            held_out=_batches(InlineLoader(held_out_samples), options=options) if held_out_samples else None,
            held_out_epoch_size=held_out_samples.epoch_size if held_out_samples else 0,
            weights=options.losses,
            validate_num_batches=options.loop.validate_num_batches,
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
        ).run()
    num_samples = {str(regime): num for regime, num in samples.num_samples.items()}
    return PretrainResult(model=model, training=training, num_samples=num_samples)


@contextlib.contextmanager
def _train_loader(samples: PretrainingSamples, *, options: PretrainOptions) -> Iterator[BlockLoader]:
    """Yield what prepares the training sequences, two steps ahead where processes do."""
    if options.num_workers == 0:
        yield InlineLoader(samples)
        return
    num_ahead = 2 * options.loop.batch_num_sequences
    with WorkerLoader(samples, num_workers=options.num_workers, num_ahead=num_ahead) as loader:
        yield loader


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


def start_model(
    options: ModelOptions,
    *,
    tokenizer: VideoBERTTokenizer,
    codebook: Codebook,
    seed: int,
    max_num_tokens: int = 512,
) -> VideoBERTForPreTraining:
    """Return the model that training starts from: from scratch, from a BERT, or from an earlier pretraining.

    A model from scratch has a position for each of `max_num_tokens`, and at least BERT's 512.

    Raises:
        UsageError: The model to start from has fewer positions than `max_num_tokens`.
        CodebookMismatchError: The earlier model was made with another codebook or vocabulary.
        ArtifactError: The directory of `init` cannot be read.
    """
    visual_KD = torch.from_numpy(codebook.visual_embeddings())
    if options.init != "scratch" and _is_videobert(Path(options.init)):
        model = _continued(Path(options.init), options=options, tokenizer=tokenizer, codebook=codebook)
        _require_positions(model.config, max_num_tokens=max_num_tokens)
        return model
    bert = None if options.init == "scratch" else load_bert(options.init)
    sizes = {
        "hidden_size": options.hidden_size,
        "num_hidden_layers": options.num_layers,
        "num_attention_heads": options.num_attention_heads,
        "intermediate_size": options.intermediate_size,
        "initializer_range": options.initializer_range,
        "pad_token_id": tokenizer.pad_id,
        "vocab_size": tokenizer.num_text_tokens,
        "max_position_embeddings": max(512, max_num_tokens),
    }
    if bert is not None and bert.sizes["vocab_size"] != tokenizer.num_text_tokens:
        raise CodebookMismatchError(
            f"the BERT has {bert.sizes['vocab_size']} text tokens, the vocabulary {tokenizer.num_text_tokens}",
            at=str(bert.directory),
            fix=f"use the BERT's own vocabulary: --set pretrain.text.vocabulary={bert.directory}",
        )
    config = VideoBERTConfig(
        **{**sizes, **(bert.sizes if bert is not None else {})},
        num_visual_words=codebook.num_words,
        visual_embedding_size=visual_KD.shape[1],
        **_choices(options),
    )
    _require_positions(config, max_num_tokens=max_num_tokens)
    centroids_KD = visual_KD if options.visual_embeddings == "centroids" else None
    return new_model(config, seed=seed, centroids_KD=centroids_KD, bert=bert)


def _choices(options: ModelOptions) -> dict[str, Any]:
    """Return what no model to start from decides: these are no sizes, and no weight depends on them."""
    return {
        "hidden_dropout_prob": options.dropout,
        "attention_probs_dropout_prob": options.dropout,
        "softmax": options.softmax,
        "train_visual_embeddings": options.train_visual_embeddings,
    }


def _require_positions(config: VideoBERTConfig, *, max_num_tokens: int) -> None:
    if config.max_position_embeddings < max_num_tokens:
        raise UsageError(
            f"sequences have up to {max_num_tokens} tokens, the model has {config.max_position_embeddings} positions",
            at="pretrain.sequences.max_num_tokens",
            fix=f"--set pretrain.sequences.max_num_tokens={config.max_position_embeddings}",
        )


def _is_videobert(directory: Path) -> bool:
    return (directory / "config.json").is_file() and read_config(directory / "config.json").get(
        "model_type"
    ) == MODEL_TYPE


def _continued(
    directory: Path, *, options: ModelOptions, tokenizer: VideoBERTTokenizer, codebook: Codebook
) -> VideoBERTForPreTraining:
    config = replace(VideoBERTConfig.from_pretrained(directory), **_choices(options))
    model = VideoBERTForPreTraining(config, seed=None)
    model.load_weights(directory / WEIGHTS_NAME)
    found = (model.config.num_visual_words, model.config.vocab_size)
    wanted = (codebook.num_words, tokenizer.num_text_tokens)
    if found != wanted:
        raise _not_its_own(
            f"the model to continue has {found[0]} visual words and {found[1]} text tokens, "
            f"this run {wanted[0]} and {wanted[1]}",
            directory,
        )
    # Equal numbers do not do: any two codebooks of 12 ** 4 words have them, and every row would mean something else.
    # Weights saved alone, by `save_pretrained`, lie beside neither.
    if (directory / CODEBOOK_NAME).is_dir() and not Codebook.load(
        directory / CODEBOOK_NAME
    ).gives_the_words_of(codebook):
        raise _not_its_own(
            "the model to continue was trained with another codebook of the same size", directory
        )
    if (directory / VOCABULARY_NAME).is_file():
        theirs = VideoBERTTokenizer.from_pretrained(directory, num_words=found[0]).vocabulary.tokens
        if theirs != tokenizer.vocabulary.tokens:
            raise _not_its_own(
                "the model to continue was trained with another vocabulary of the same size", directory
            )
    return model


def _not_its_own(problem: str, directory: Path) -> CodebookMismatchError:
    return CodebookMismatchError(
        problem,
        at=str(directory),
        fix="continue with the model's own: --set extract.keep=words "
        f"--set extract.codebook={directory} --set pretrain.text.vocabulary={directory}",
    )

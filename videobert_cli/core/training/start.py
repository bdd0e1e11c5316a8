"""The model that a pretraining starts from: fresh, a BERT's weights, or an earlier pretraining's."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from videobert_cli.core.model.checkpoint import WEIGHTS_NAME
from videobert_cli.core.model.config import VideoBERTConfig
from videobert_cli.core.model.init import load_bert, new_model
from videobert_cli.core.model.options import ModelOptions
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer
from videobert_cli.core.text.vocabulary import VOCABULARY_NAME
from videobert_cli.core.training.model_directory import CODEBOOK_NAME, model_to_continue
from videobert_cli.core.words.codebook import Codebook
from videobert_cli.errors import CodebookMismatchError, UsageError


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
    earlier = None if options.init == "scratch" else model_to_continue(Path(options.init))
    if earlier is not None:
        model = _continued(earlier, options=options, tokenizer=tokenizer, codebook=codebook)
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

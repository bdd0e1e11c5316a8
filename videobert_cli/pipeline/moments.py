"""Moments of a run's videos: its retriever and the index beside it, for `predict --text SENTENCE --in RUN`."""

from pathlib import Path

import numpy as np
import torch

from videobert_cli.artifacts import is_finished, read_manifest
from videobert_cli.core.model.retrieval import VideoBERTForRetrieval
from videobert_cli.core.tasks.moments import KIND, Moment, MomentIndex, index_moments, load_index, save_index
from videobert_cli.core.tasks.retrieve import Retriever, Search
from videobert_cli.core.training.model_directory import LoadedModel, load_model
from videobert_cli.core.words.table import WordTable
from videobert_cli.errors import ArtifactError, CodebookMismatchError, InputError, MissingInputError
from videobert_cli.pipeline.run import RunPaths


def find_moments(
    run: Path, text: str, *, segment_seconds: float, num: int, search: Search, device: torch.device
) -> list[Moment]:
    """Return the moments of a run's videos that show a text best, the best first.

    Raises:
        MissingInputError: The run has no retriever, or no words.
        CodebookMismatchError: The retriever is of another codebook than the words.
        InputError: The retriever knows no token of the text.
    """
    paths = RunPaths(root=run)
    loaded, model = _retriever(paths, device=device)
    token_ids = np.array(loaded.tokenizer.text_ids(text), dtype=np.int64)
    if not len(token_ids) or (token_ids == loaded.tokenizer.unk_id).all():
        raise InputError(
            "the model's vocabulary has no word of this text",
            at=f"--text {text!r}",
            fix="use words of its narrations",
        )
    retriever = Retriever(model, loaded.tokenizer)
    index = _index(paths, retriever, loaded, segment_seconds=segment_seconds)
    [query] = retriever.embed_texts([token_ids])
    return index.find(query, num=num, search=search)


def _retriever(paths: RunPaths, *, device: torch.device) -> tuple[LoadedModel, VideoBERTForRetrieval]:
    directory = paths.stage("retrieval") / "model"
    if not is_finished(directory) or not is_finished(paths.words):
        raise MissingInputError(
            "this run has no model that learned retrieval"
            if is_finished(paths.words)
            else "there is no run with words",
            at=f"--in {paths.root}",
            fix="videobert finetune RECIPE --set finetune.task=retrieval",
        )
    loaded = load_model(directory, device=device)
    if not isinstance(loaded.model, VideoBERTForRetrieval):
        raise ArtifactError("this model did not learn retrieval", at=str(directory))
    return loaded, loaded.model


def _index(
    paths: RunPaths, retriever: Retriever, loaded: LoadedModel, *, segment_seconds: float
) -> MomentIndex:
    """Return the index of the run's words, made and saved where it is missing or of something else."""
    directory = paths.stage("retrieval") / "index"
    parents = {
        "model": loaded.manifest.content_hash,
        "words": read_manifest(paths.words, kind="words").content_hash,
    }
    settings = {"segment_seconds": segment_seconds}
    if is_finished(directory):
        manifest = read_manifest(directory, kind=KIND)
        if manifest.parents == parents and manifest.settings == settings:
            return load_index(directory)
    words = WordTable.load(paths.words)
    if words.codebook_hash != read_manifest(loaded.directory / "codebook").content_hash:
        raise CodebookMismatchError(
            "the retriever was trained with another codebook than the words of this run come from",
            at=str(paths.root),
            fix="videobert finetune RECIPE --set finetune.task=retrieval",
        )
    index = index_moments(words, retriever, segment_seconds=segment_seconds)
    save_index(index, directory, settings=settings, parents=parents)
    return index

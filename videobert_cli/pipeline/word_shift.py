"""What a model remembers of its words, and how far a continued pretraining's words are from those it began with."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from videobert_cli.artifacts import publish_json, read_manifest
from videobert_cli.core.training.model_directory import CODEBOOK_NAME, model_to_continue
from videobert_cli.core.words.codebook import Codebook
from videobert_cli.core.words.shift import WordShift, word_shift
from videobert_cli.core.words.usage import WordFit, WordUsage, counts_of, fit_of, read_usage
from videobert_cli.pipeline.gallery import features_of_run
from videobert_cli.pipeline.run import Run

REPORT_NAME = "word_shift.json"


def usage_of_run(run: Run) -> WordUsage:
    """Return how the run's training videos use the words, and how its held-out videos do and fit them."""
    train, held_out = run.split_ids("train"), run.split_ids("validation")
    held_out_counts = counts_of(run.words, held_out)
    return WordUsage(
        counts_K=counts_of(run.words, train),
        held_out_counts_K=held_out_counts,
        fit=_fit(run, held_out if held_out_counts.any() else train),
    )


def report_word_shift(run: Run) -> dict[str, Any]:
    """Compare the run's words with those of the model that its pretraining goes on with; return flat numbers.

    They are written to `pretrain/word_shift.json` and told in lines. Nothing is done where no earlier pretraining is
    continued, or one with another codebook, which is refused when the training starts.
    """
    init = run.recipe.pretrain.model.init
    directory = None if init == "scratch" else model_to_continue(Path(init))
    if directory is None or not _has_codebook_of(run, directory):
        return {}
    old = _usage_of_model(directory)
    if old is None:
        run.reporter.line(f"pretrain: {directory} does not tell which words it was trained on: no word shift")
        return {}
    train = run.split_ids("train")
    shift = word_shift(old, counts_of(run.words, train), new_fit=_fit(run, train))
    for line in _lines(shift):
        run.reporter.line(f"pretrain: {line}")
    numbers = _numbers(shift)
    publish_json(
        run.directory("pretrain") / REPORT_NAME,
        {
            "model": read_manifest(directory, kind="model").content_hash,
            "words": read_manifest(run.paths.words, kind="words").content_hash,
            "verdict": shift.verdict,
            **numbers,
        },
    )
    return {f"word_shift.{name}": value for name, value in {**numbers, "verdict": shift.verdict}.items()}


def _fit(run: Run, ids: list[str]) -> WordFit | None:
    store = features_of_run(run)
    return None if store is None else fit_of(run.codebook, store, words=run.words, ids=ids)


def _has_codebook_of(run: Run, directory: Path) -> bool:
    """Return whether the model has the run's codebook, or none at all: weights alone say nothing of their words."""
    path = directory / CODEBOOK_NAME
    return not path.is_dir() or Codebook.load(path).gives_the_words_of(run.codebook)


def _usage_of_model(directory: Path) -> WordUsage | None:
    """Return the usage that the model directory holds; of an older one, what its codebook was fitted on."""
    usage = read_usage(directory)
    if usage is not None or not (directory / CODEBOOK_NAME).is_dir():
        return usage
    counts = Codebook.load(directory / CODEBOOK_NAME).usage_K
    return WordUsage(counts_K=counts, held_out_counts_K=np.zeros_like(counts), fit=None)


def _numbers(shift: WordShift) -> dict[str, Any]:
    numbers: dict[str, Any] = {
        key: value for key, value in asdict(shift).items() if key not in {"fit_old", "fit_new"}
    }
    for name, fit in (("old", shift.fit_old), ("new", shift.fit_new)):
        if fit is not None:
            numbers[f"rms_distance_{name}"] = float(np.sqrt(fit.mean_square))
            numbers[f"variance_explained_{name}"] = fit.explained
    numbers |= {"distance_ratio": shift.distance_ratio, "explained_ratio": shift.explained_ratio}
    return {key: value for key, value in numbers.items() if value is not None}


def _lines(shift: WordShift) -> list[str]:
    held_out = shift.js_divergence_held_out
    beside = f"{shift.js_divergence_by_chance:.3f} by chance"
    beside += "" if held_out is None else f", {held_out:.3f} the old data's own held-out videos"
    lines = [
        (
            f"word usage, new against old: {shift.js_divergence:.3f} bits (0 the same, 1 nothing in common; {beside}); "
            f"{shift.unused_share:.1%} of {shift.num_new_clips:,} new clips in words the old data never used; "
            f"perplexity {shift.perplexity_new:.0f}, old {shift.perplexity_old:.0f}"
        )
    ]
    if shift.fit_old is not None and shift.fit_new is not None:
        old, new = shift.fit_old, shift.fit_new
        lines.append(
            f"distance to the words' centroids: {np.sqrt(new.mean_square):.3g}, old {np.sqrt(old.mean_square):.3g}; "
            f"the words explain {new.explained:.1%} of the new clips' variance, {old.explained:.1%} of the old ones'"
        )
    return [*lines, shift.sentence]

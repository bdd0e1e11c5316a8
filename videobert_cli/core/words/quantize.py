"""The quantize stage's one function: features in, codebook and words out, both written as artifacts."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from videobert_cli.artifacts import hash_json
from videobert_cli.core.words.codebook import Codebook, LevelStatistics, fit_codebook
from videobert_cli.core.words.fit import FitControl
from videobert_cli.core.words.options import QuantizeOptions
from videobert_cli.core.words.rows import FeatureSource, StoredVideo, StoreRows
from videobert_cli.core.words.table import WordTable
from videobert_cli.core.words.tree import perplexity
from videobert_cli.errors import CodebookMismatchError, InputError

# Shapes: T clips of one video, N clips of many, D feature.

# Videos are assigned together up to so many clips: the deep levels of the tree then get products worth
# starting.
_BLOCK_NUM_CLIPS = 16_384


@dataclass(frozen=True, kw_only=True)
class QuantizeReport:
    """What quantize did. Words used and perplexity are counted over all videos, level statistics over training ones."""

    num_videos: int
    num_clips: int
    num_training_clips: int
    num_words: int
    num_words_used: int
    perplexity: float
    levels: tuple[LevelStatistics, ...]
    codebook_hash: str
    words_hash: str
    seconds: float


def quantize_features(
    store: FeatureSource,
    *,
    train_ids: Sequence[str],
    all_ids: Sequence[str],
    options: QuantizeOptions,
    directory_codebook: Path,
    directory_words: Path,
    seed: int,
    device: torch.device,
    control: FitControl | None = None,
) -> QuantizeReport:
    """Fit the codebook on the training videos, give every video its words, and write both artifacts.

    The order of the ids is of no account: they are sorted, so equal features give equal bytes. Training features that
    memory does not hold are read from the store again at each pass; the words are the same.

    Args:
        store: The features.
        train_ids: Videos the codebook is fitted on.
        all_ids: Videos that get words.
        options: The recipe's `quantize:` section.
        directory_codebook: Where the codebook goes; what is there is replaced.
        directory_words: Where the words go; what is there is replaced.
        seed: Seed of the k-means++ starts.
        device: Where the distances are computed.
        control: Where an unfinished fit is kept, who fits beside this process, who is told.

    Raises:
        InputError: No training features, or features that are not finite.
        InterruptedRunError: A stop was asked for.
    """
    started = time.monotonic()
    codebook = fit_on_videos(
        store, train_ids=train_ids, options=options, seed=seed, device=device, control=control or FitControl()
    )
    codebook_hash = codebook.save(directory_codebook, parents={"features": store.content_hash(train_ids)})
    table = assign_words(store, ids=all_ids, codebook=codebook, codebook_hash=codebook_hash)
    words_hash = table.save(
        directory_words, parents={"features": store.content_hash(all_ids), "codebook": codebook_hash}
    )
    counts = table.counts()
    return QuantizeReport(
        num_videos=len(table),
        num_clips=int(counts.sum()),
        num_training_clips=int(codebook.usage_K.sum()),
        num_words=codebook.num_words,
        num_words_used=int((counts > 0).sum()),
        perplexity=perplexity(torch.from_numpy(counts)),
        levels=codebook.statistics,
        codebook_hash=codebook_hash,
        words_hash=words_hash,
        seconds=time.monotonic() - started,
    )


def fit_on_videos(
    store: FeatureSource,
    *,
    train_ids: Sequence[str],
    options: QuantizeOptions,
    seed: int,
    device: torch.device,
    control: FitControl,
) -> Codebook:
    """Return the codebook of the training videos; the part of `quantize_features` that several processes share."""
    rows = StoreRows(store, ids=sorted(set(train_ids)))
    return fit_codebook(
        rows,
        options=options,
        parts=feature_parts(store, options=options),
        fingerprint=store.fingerprint,
        seed=seed,
        device=device,
        control=replace(control, features_hash=store.content_hash(train_ids)),
    )


def assign_words(
    store: FeatureSource, *, ids: Iterable[str], codebook: Codebook, codebook_hash: str
) -> WordTable:
    """Return the words of the named videos by an existing codebook; a video without clips has none and stays in.

    Raises:
        CodebookMismatchError: The features were made otherwise than those the codebook was fitted on.
        InputError: A feature is not finite; the error names the video.
    """
    require_same_features(store.fingerprint, codebook.fingerprint)
    clip_seconds, clip_length_seconds = clip_geometry(store.fingerprint)
    table = WordTable(
        num_words=codebook.num_words,
        clip_seconds=clip_seconds,
        clip_length_seconds=clip_length_seconds,
        codebook_hash=codebook_hash,
    )
    for block in _blocks(store, sorted(set(ids))):
        features_ND = np.concatenate([video.features_TD for video in block.values()])
        words_N = codebook.assign(features_ND)
        borders = np.cumsum([len(video.features_TD) for video in block.values()])[:-1]
        for (video_id, video), words_T in zip(block.items(), np.split(words_N, borders), strict=True):
            table.add(video_id, words_T=words_T, clip_start_seconds_T=video.clip_start_seconds_T)
    return table


def feature_parts(store: FeatureSource, *, options: QuantizeOptions) -> tuple[int, ...]:
    """Return the sizes of the parts of a feature, from the fingerprint's `parts`.

    Raises:
        InputError: The recipe wants the parts standardised and the fingerprint does not tell them.
    """
    parts = store.fingerprint.get("parts")
    if parts is None and options.scaling == "standardize_parts":
        raise InputError(
            "the features do not tell the parts they are made of, so these cannot be standardised",
            at="quantize.scaling",
            fix="run `videobert extract` again with this version, or --set quantize.scaling=none",
        )
    return tuple(parts) if parts is not None else (store.dim,)


def clip_geometry(fingerprint: Mapping[str, Any]) -> tuple[float, float]:
    """Return seconds from one clip's start to the next, and seconds a clip covers.

    Features made elsewhere tell seconds, not frames.

    >>> clip_geometry({"frames_per_second": 20.0, "clip_stride_frames": 15, "clip_num_frames": 30})
    (0.75, 1.5)
    """
    try:
        if "clip_seconds" in fingerprint:
            return float(fingerprint["clip_stride_seconds"]), float(fingerprint["clip_seconds"])
        rate = float(fingerprint["frames_per_second"])
        return float(fingerprint["clip_stride_frames"]) / rate, float(fingerprint["clip_num_frames"]) / rate
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise InputError(
            f"the features do not tell how long their clips are ({error})",
            fix="run `videobert extract` again into a new directory",
        ) from error


def require_same_features(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse features of another kind than a codebook was fitted on: `found` is their fingerprint, `wanted` its own.

    Raises:
        CodebookMismatchError: With every value that differs.
    """
    if hash_json(dict(found)) == hash_json(dict(wanted)):
        return
    keys = sorted(key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key))
    differences = ", ".join(f"{key}: {found.get(key)!r}, codebook {wanted.get(key)!r}" for key in keys)
    raise CodebookMismatchError(
        f"these features are not of the kind the codebook was fitted on ({differences})",
        fix="extract with the settings the codebook was made with, or run `videobert quantize` on these features",
    )


# --- details --------------------------------------------------------------------------------------------


def _blocks(store: FeatureSource, ids: Sequence[str]) -> Iterator[dict[str, StoredVideo]]:
    block: dict[str, StoredVideo] = {}
    num_clips = 0
    for video_id in ids:
        video = store.read(video_id)
        if not np.isfinite(video.features_TD).all():
            raise InputError(
                "its features are not finite numbers",
                at=video_id,
                fix="remove it from the feature store (or the store), then run `videobert extract` again",
            )
        block[video_id] = video
        num_clips += len(video.features_TD)
        if num_clips >= _BLOCK_NUM_CLIPS:
            yield block
            block, num_clips = {}, 0
    if block:
        yield block

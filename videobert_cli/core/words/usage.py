"""Which words a model was trained on, and how near held-out clips are to them: what new data are compared with.

On disk: `word_usage.json` in the model directory.

Shapes: K words, N clips, D feature after the projection.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from videobert_cli import artifacts
from videobert_cli.core.words.codebook import Codebook
from videobert_cli.core.words.survey import FeatureReader
from videobert_cli.core.words.table import WordTable
from videobert_cli.errors import ArtifactError

USAGE_NAME = "word_usage.json"
# Enough for a mean to within a few percent, read in seconds from any store.
MAX_NUM_CLIPS = 8_192


@dataclass(frozen=True, kw_only=True)
class WordFit:
    """How near clips are to their words' centroids, after the codebook's projection.

    `mean_square` is the mean squared distance to the word's centroid, `variance` that to the mean of these very clips.
    """

    num_clips: int
    mean_square: float
    variance: float

    @property
    def explained(self) -> float:
        """Share of the clips' variance that their words explain; below 0 where a word is farther than the mean."""
        return 1.0 - self.mean_square / self.variance if self.variance > 0 else 1.0


@dataclass(frozen=True, kw_only=True)
class WordUsage:
    """How often each word occurs in training videos, and how held-out videos of the same data use and fit the words.

    `held_out_counts_K` are all zero where nothing is held out; `fit` is that of held-out clips, of training clips where
    there are none, None where no features were kept.
    """

    counts_K: np.ndarray
    held_out_counts_K: np.ndarray
    fit: WordFit | None


def counts_of(words: WordTable, ids: Sequence[str]) -> np.ndarray:
    """Return how often each word occurs (K,) in the named videos; those without words are passed over."""
    arrays = [words.words(video_id) for video_id in ids if video_id in words]
    return np.bincount(np.concatenate([np.zeros(0, dtype=np.int64), *arrays]), minlength=words.num_words)


def fit_of(
    codebook: Codebook, store: FeatureReader, *, words: WordTable, ids: Sequence[str]
) -> WordFit | None:
    """Return how near the clips of the named videos are to their words, None where these have no clip.

    Of many clips those of videos evenly spread over the list, at most `MAX_NUM_CLIPS` and one video more.
    """
    known = [video_id for video_id in sorted(set(ids)) if video_id in words and len(words.words(video_id))]
    sums_D, squares, distances, num_clips = 0.0, 0.0, 0.0, 0
    for video_id in _spread(known, words=words):
        projected_ND = codebook.projection.apply(store.read(video_id).features_TD, device=codebook.device)
        rows_ND = projected_ND.double().cpu().numpy()
        centroids_ND = codebook.centroids_KD[words.words(video_id)]
        distances += float(np.square(rows_ND - centroids_ND).sum())
        squares += float(np.square(rows_ND).sum())
        sums_D = sums_D + rows_ND.sum(axis=0)
        num_clips += len(rows_ND)
    if num_clips == 0:
        return None
    variance = squares / num_clips - float(np.square(np.asarray(sums_D) / num_clips).sum())
    return WordFit(num_clips=num_clips, mean_square=distances / num_clips, variance=max(0.0, variance))


def usage_values(usage: WordUsage) -> dict[str, Any]:
    """Return the usage as JSON values: words that occur, and how often."""
    used = np.flatnonzero(usage.counts_K + usage.held_out_counts_K)
    return {
        "num_words": len(usage.counts_K),
        "words": used.tolist(),
        "counts": usage.counts_K[used].tolist(),
        "held_out_counts": usage.held_out_counts_K[used].tolist(),
        "fit": None if usage.fit is None else asdict(usage.fit),
    }


def read_usage(directory: Path) -> WordUsage | None:
    """Return the usage in a model directory, None where it has none.

    Raises:
        ArtifactError: It cannot be read.
    """
    path = directory / USAGE_NAME
    if not path.is_file():
        return None
    try:
        values: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        num_words, used = int(values["num_words"]), np.array(values["words"], dtype=np.int64)
        counts_K, held_out_K = (np.zeros(num_words, dtype=np.int64) for _ in range(2))
        counts_K[used] = values["counts"]
        held_out_K[used] = values["held_out_counts"]
        fit = None if values["fit"] is None else WordFit(**values["fit"])
        return WordUsage(counts_K=counts_K, held_out_counts_K=held_out_K, fit=fit)
    except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
        raise ArtifactError(f"the usage of the words cannot be read ({error})", at=str(path)) from error


def save_usage(usage: WordUsage, directory: Path) -> None:
    """Write the usage into a directory that is not sealed yet."""
    artifacts.publish_json(directory / USAGE_NAME, usage_values(usage))


def _spread(ids: Sequence[str], *, words: WordTable) -> list[str]:
    """Return videos evenly spread over the list, until there are clips enough."""
    num_clips = sum(len(words.words(video_id)) for video_id in ids)
    step = max(1.0, num_clips / MAX_NUM_CLIPS)
    return [ids[int(position)] for position in np.arange(0, len(ids), step)]

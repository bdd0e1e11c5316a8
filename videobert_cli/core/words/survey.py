"""How good a codebook is, and which clips stand for its words: one pass over the training features, block by block.

Shapes: T clips of one video, N clips of a block, K leaves, R leaves in use, C nearest clips of a word, D feature after
the projection, S sampled clips.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from videobert_cli.core.words.codebook import Codebook
from videobert_cli.core.words.nearest import ClipBlock, NearestClips, WordClips, clips_of_words
from videobert_cli.core.words.table import WordTable

MAX_NUM_SAMPLED = 4_096
_BLOCK_NUM_CLIPS = 4_096
_PORTION_NUM_CLIPS = 1_024
# Flat assignment of the sample may cost so many products of two numbers: seconds on two cores.
_MAX_FLAT_PRODUCTS = 1e11
_FLAT_BLOCK_ELEMENTS = 1 << 24


class VideoFeatures(Protocol):
    """One video's features (T, D before the projection)."""

    @property
    def features_TD(self) -> np.ndarray:  # noqa: N802 - a shape suffix
        """Float16 or float32."""
        ...


class FeatureReader(Protocol):
    """What the survey needs of a feature store."""

    def read(self, item_id: str, /) -> VideoFeatures:
        """Return one video's features."""
        ...


@dataclass(frozen=True, kw_only=True)
class DescentQuality:
    """Descent of the tree against the nearest of all leaves in use, on `num_sampled` clips spread over training.

    `same_word` is the share of clips that get the same word; `inertia_ratio` how many times the flat sum of squared
    distances the descent's is (1 is as good as flat; None where the flat sum is 0 and the descent's is not).
    """

    num_sampled: int
    same_word: float
    inertia_ratio: float | None


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What one pass over the training features found.

    `total_inertia` is the sum of squared distances of the projected training features to their mean: a level's inertia
    over it is the share of variance that the level leaves unexplained. `projection_explained` is the share of the
    features' variance (after scaling) that the PCA keeps, None without a PCA. Where the features were not kept, only
    `clips` are known, in order of ids.
    """

    num_training_clips: int
    total_inertia: float | None
    projection_explained: float | None
    descent: DescentQuality | None
    clips: WordClips


def survey_codebook(
    codebook: Codebook,
    store: FeatureReader,
    *,
    words: WordTable,
    train_ids: Sequence[str],
    num_nearest: int,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Survey:
    """Return the quality of the codebook on its training videos, and the `num_nearest` clips nearest to each word.

    Memory depends on the number of words, not of clips. Where two clips are equally near, the one of the first video
    (ids sorted), and of its first clip, comes first: the same features give the same clips, whatever the blocks.

    Args:
        codebook: The codebook; distances are computed on its device.
        store: The features.
        words: The words of the videos, by this codebook.
        train_ids: The videos it was fitted on; those without words are passed over.
        num_nearest: C; 0 looks for none.
        on_progress: Called with clips done and clips in all.
    """
    ids = tuple(video_id for video_id in sorted(set(train_ids)) if video_id in words)
    num_clips = sum(len(words.words(video_id)) for video_id in ids)
    live_R = np.flatnonzero(codebook.usage_K)
    moments = _Moments(codebook)
    nearest = NearestClips(live_R, num_words=codebook.num_words, num_nearest=num_nearest)
    sample = _Sample(codebook, num_live=len(live_R), num_clips=num_clips)
    done = 0
    for block in _blocks(store, ids, words=words):
        projected_ND = codebook.projection.apply(block.features_ND, device=codebook.device)
        moments.take(block.features_ND, projected_ND)
        distances_N = _distances(codebook, projected_ND, block.words_N)
        nearest.take(block, distances_N)
        sample.take(projected_ND, block.words_N, first=done)
        done += len(block.words_N)
        on_progress(done, num_clips)
    return Survey(
        num_training_clips=num_clips,
        total_inertia=moments.total_inertia(),
        projection_explained=moments.projection_explained(),
        descent=sample.quality(live_R),
        clips=nearest.clips(ids),
    )


def survey_words(words: WordTable, *, train_ids: Sequence[str], num_clips: int) -> Survey:
    """Return what the words alone tell, where the features were not kept: clips of each word, not the nearest.

    Up to `num_clips` of each word that the videos hold, in order of ids, each from another video as far as possible.
    """
    ids = tuple(video_id for video_id in sorted(set(train_ids)) if video_id in words)
    clips = clips_of_words(words, ids=ids, num_clips=num_clips)
    return Survey(
        num_training_clips=sum(len(words.words(video_id)) for video_id in ids),
        total_inertia=None,
        projection_explained=None,
        descent=None,
        clips=clips,
    )


# --- details ----------------------------------------------------------------------------------------------------------


def _blocks(store: FeatureReader, ids: Sequence[str], *, words: WordTable) -> Iterator[ClipBlock]:
    features: list[np.ndarray] = []
    of_words: list[np.ndarray] = []
    videos: list[np.ndarray] = []
    clips: list[np.ndarray] = []
    num_clips = 0
    for number, video_id in enumerate(ids):
        words_T = words.words(video_id).astype(np.int64)
        features.append(store.read(video_id).features_TD)
        of_words.append(words_T)
        videos.append(np.full(len(words_T), number))
        clips.append(np.arange(len(words_T)))
        num_clips += len(words_T)
        if num_clips >= _BLOCK_NUM_CLIPS or (number == len(ids) - 1 and num_clips):
            yield ClipBlock(
                features_ND=np.concatenate(features),
                words_N=np.concatenate(of_words),
                videos_N=np.concatenate(videos),
                clips_N=np.concatenate(clips),
            )
            features, of_words, videos, clips, num_clips = [], [], [], [], 0


def _distances(codebook: Codebook, projected_ND: torch.Tensor, words_N: np.ndarray) -> np.ndarray:
    """Return each clip's distance (N,) to its word's centroid, float64, row by row: the block is of no account."""
    centroids_ND = torch.from_numpy(codebook.centroids_KD[words_N]).to(projected_ND.device)
    squared_N = (projected_ND - centroids_ND).square().sum(dim=1, dtype=torch.float32)
    distances: np.ndarray = squared_N.double().sqrt().cpu().numpy()
    return distances


class _Moments:
    """The spread of the training features before and after the projection, summed in float64."""

    def __init__(self, codebook: Codebook) -> None:
        self._projection = codebook.projection
        self._count = 0
        self._sum_D = np.zeros(codebook.projected_dim)
        self._squares_D = np.zeros(codebook.projected_dim)
        self._squares_before = 0.0

    def take(self, features_ND: np.ndarray, projected_ND: torch.Tensor) -> None:
        rows_ND = projected_ND.double().cpu().numpy()
        self._count += len(rows_ND)
        self._sum_D += rows_ND.sum(axis=0)
        self._squares_D += np.square(rows_ND).sum(axis=0)
        if self._projection.components_KD is None:
            return
        mean_D, scale_D = self._projection.mean_D.cpu().numpy(), self._projection.scale_D.cpu().numpy()
        # In portions: float64 of a whole block of long features would take a gigabyte.
        for start in range(0, len(features_ND), _PORTION_NUM_CLIPS):
            portion_ND = features_ND[start : start + _PORTION_NUM_CLIPS]
            self._squares_before += float(np.square((portion_ND - mean_D) * scale_D).sum())

    def total_inertia(self) -> float:
        mean_D = self._sum_D / max(1, self._count)
        return float((self._squares_D - self._count * np.square(mean_D)).clip(min=0).sum())

    def projection_explained(self) -> float | None:
        components_KD = self._projection.components_KD
        if components_KD is None:
            return None
        # Whitening has stretched the components: at their own length each keeps its share.
        lengths_D = components_KD.square().sum(dim=1).cpu().numpy()
        kept = float((self._squares_D / lengths_D).sum())
        return min(1.0, kept / self._squares_before) if self._squares_before > 0 else 1.0


class _Sample:
    """Clips evenly spread over the training set, for what would cost too much on all: the nearest of all leaves."""

    def __init__(self, codebook: Codebook, *, num_live: int, num_clips: int) -> None:
        self._codebook = codebook
        affordable = int(_MAX_FLAT_PRODUCTS / max(1, num_live * codebook.projected_dim))
        num_sampled = min(num_clips, MAX_NUM_SAMPLED, max(16, affordable))
        self._positions_S = (
            np.unique(np.linspace(0, num_clips - 1, num_sampled).astype(np.int64))
            if num_clips
            else np.zeros(0, dtype=np.int64)
        )
        self._points: list[torch.Tensor] = []
        self._words: list[np.ndarray] = []

    def take(self, projected_ND: torch.Tensor, words_N: np.ndarray, *, first: int) -> None:
        start, stop = np.searchsorted(self._positions_S, [first, first + len(words_N)])
        rows = self._positions_S[start:stop] - first
        self._points.append(projected_ND[torch.from_numpy(rows).to(projected_ND.device)].cpu())
        self._words.append(words_N[rows])

    def quality(self, live_R: np.ndarray) -> DescentQuality | None:
        if not len(self._positions_S):
            return None
        points_SD, words_S = torch.cat(self._points), np.concatenate(self._words)
        leaves_RD = torch.from_numpy(self._codebook.centroids_KD[live_R])
        flat_S = live_R[_flat_nearest(points_SD, leaves_RD)]
        descended, flat = self._inertia(points_SD, words_S), self._inertia(points_SD, flat_S)
        ratio = descended / flat if flat > 0 else (1.0 if descended == 0 else None)
        return DescentQuality(
            num_sampled=len(words_S), same_word=float((words_S == flat_S).mean()), inertia_ratio=ratio
        )

    def _inertia(self, points_SD: torch.Tensor, words_S: np.ndarray) -> float:
        centroids_SD = torch.from_numpy(self._codebook.centroids_KD[words_S])
        return float((points_SD.double() - centroids_SD.double()).square().sum())


def _flat_nearest(points_SD: torch.Tensor, leaves_RD: torch.Tensor) -> np.ndarray:
    """Return the row of the nearest leaf (S,); both are centred first, so that float32 tells near leaves apart."""
    centre_D = leaves_RD.mean(dim=0)
    centred_RD = leaves_RD - centre_D
    lengths_R = torch.linalg.vecdot(centred_RD, centred_RD)
    block = max(1, _FLAT_BLOCK_ELEMENTS // len(leaves_RD))
    rows = [
        torch.addmm(lengths_R, points - centre_D, centred_RD.T, alpha=-2).argmin(dim=1)
        for points in torch.split(points_SD, block)
    ]
    nearest: np.ndarray = torch.cat(rows).numpy()
    return nearest

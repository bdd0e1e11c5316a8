"""The clips that stand for a word: the training clips nearest to its centroid, found block by block.

Shapes: N clips of a block, K words, R words in use, C clips of a word, D feature.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from videobert_cli.core.words.table import WordTable

NO_CLIP = -1


@dataclass(frozen=True, kw_only=True)
class WordClips:
    """Clips of each word: row k is word `words_R[k]`, its clips nearest first, `NO_CLIP` where there are fewer.

    `videos_RC` are positions in `ids`, `clips_RC` positions in the video, `distances_RC` distances to the centroid
    (NaN where they are not known); `radii_R` the root mean square distance of the word's training clips (NaN likewise).
    """

    ids: tuple[str, ...]
    words_R: np.ndarray
    videos_RC: np.ndarray
    clips_RC: np.ndarray
    distances_RC: np.ndarray
    radii_R: np.ndarray


@dataclass(frozen=True, kw_only=True)
class ClipBlock:
    """Features of clips, their words, and where each is: its video's position in a list of ids, its own in that."""

    features_ND: np.ndarray
    words_N: np.ndarray
    videos_N: np.ndarray
    clips_N: np.ndarray


class NearestClips:
    """The nearest clips of each leaf in use, and the sum of squared distances, kept up block by block.

    Where two clips are equally near, the one of the first video, and of its first clip, comes first.
    """

    def __init__(self, live_R: np.ndarray, *, num_words: int, num_nearest: int) -> None:
        self._live_R = live_R
        self._row_of_word = np.full(num_words, NO_CLIP, dtype=np.int64)
        self._row_of_word[live_R] = np.arange(len(live_R))
        shape = len(live_R), num_nearest
        self._distances_RC = np.full(shape, np.inf)
        self._videos_RC = np.full(shape, NO_CLIP, dtype=np.int64)
        self._clips_RC = np.full(shape, NO_CLIP, dtype=np.int64)
        self._squares_R = np.zeros(len(live_R))
        self._counts_R = np.zeros(len(live_R), dtype=np.int64)

    def take(self, block: ClipBlock, distances_N: np.ndarray) -> None:
        """Take note of a block and the distance of each clip to its centroid."""
        rows_N = self._row_of_word[block.words_N]
        self._squares_R += np.bincount(rows_N, weights=np.square(distances_N), minlength=len(self._live_R))
        self._counts_R += np.bincount(rows_N, minlength=len(self._live_R))
        num_nearest = self._distances_RC.shape[1]
        if not num_nearest:
            return
        touched = np.unique(rows_N)
        held = self._videos_RC[touched] != NO_CLIP
        rows = np.concatenate([np.repeat(touched, num_nearest)[held.ravel()], rows_N])
        distances = np.concatenate([self._distances_RC[touched][held], distances_N])
        videos = np.concatenate([self._videos_RC[touched][held], block.videos_N])
        clips = np.concatenate([self._clips_RC[touched][held], block.clips_N])
        order = np.lexsort((clips, videos, distances, rows))
        rows = rows[order]
        is_first = np.r_[True, rows[1:] != rows[:-1]]
        starts = np.flatnonzero(is_first)
        rank = np.arange(len(rows)) - np.repeat(starts, np.diff(np.r_[starts, len(rows)]))
        is_kept = rank < num_nearest
        at, kept = (rows[is_kept], rank[is_kept]), order[is_kept]
        self._distances_RC[at], self._videos_RC[at], self._clips_RC[at] = (
            distances[kept],
            videos[kept],
            clips[kept],
        )

    def clips(self, ids: tuple[str, ...]) -> WordClips:
        """Return what was found; `ids` are those that the blocks' positions mean."""
        return WordClips(
            ids=ids,
            words_R=self._live_R,
            videos_RC=self._videos_RC,
            clips_RC=self._clips_RC,
            distances_RC=np.where(self._videos_RC == NO_CLIP, np.nan, self._distances_RC),
            radii_R=np.sqrt(self._squares_R / self._counts_R.clip(min=1)),
        )


def clips_of_words(words: WordTable, *, ids: Sequence[str], num_clips: int) -> WordClips:
    """Return up to `num_clips` clips of each word that the videos hold, in order of ids, not the nearest.

    Each is from another video as far as possible.
    """
    ids = tuple(ids)
    found: dict[int, list[tuple[int, int]]] = {}
    later: dict[int, list[tuple[int, int]]] = {}
    for number, video_id in enumerate(ids):
        seen: set[int] = set()
        for clip, word in enumerate(words.words(video_id).tolist()):
            places = (later if word in seen else found).setdefault(word, [])
            seen.add(word)
            if len(places) < num_clips:
                places.append((number, clip))
    chosen = {word: [*places, *later.get(word, ())][:num_clips] for word, places in sorted(found.items())}
    places_RC2 = np.full((len(chosen), num_clips, 2), NO_CLIP, dtype=np.int64)
    for row, places in enumerate(chosen.values()):
        places_RC2[row, : len(places)] = places
    unknown_RC = np.full((len(chosen), num_clips), np.nan)
    return WordClips(
        ids=ids,
        words_R=np.array(list(chosen), dtype=np.int64),
        videos_RC=places_RC2[..., 0],
        clips_RC=places_RC2[..., 1],
        distances_RC=unknown_RC,
        radii_R=np.full(len(chosen), np.nan),
    )

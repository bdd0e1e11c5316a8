"""Moments of videos that a sentence finds: overlapping stretches of words, each a vector of a retriever.

They are made once and kept; another sentence costs one product.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from videobert_cli.artifacts import publish_bytes, publish_directory, publish_json, require_intact, seal
from videobert_cli.core.tasks.retrieve import Retriever, Search, nearest
from videobert_cli.core.words.table import WordTable
from videobert_cli.errors import ArtifactError

# Shapes: M moments, H size of a vector.

KIND = "retrieval-index"
_VECTORS_NAME, _VIDEOS_NAME = "vectors.safetensors", "videos.json"
# Candidates for each moment wanted: those that overlap a better one are passed over.
_NUM_CANDIDATES = 20


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A stretch of a video, in seconds, and how well it belongs to the sentence: a cosine, -1 to 1."""

    video: str
    start_seconds: float
    end_seconds: float
    score: float


@dataclass(frozen=True, kw_only=True)
class MomentIndex:
    """The stretches of all videos: unit vectors (M, H), which video each is of, start and end in seconds (M,)."""

    vectors_MH: np.ndarray
    numbers_M: np.ndarray
    starts_M: np.ndarray
    ends_M: np.ndarray
    videos: tuple[str, ...]

    def find(self, query_H: np.ndarray, *, num: int, search: Search) -> list[Moment]:
        """Return the `num` moments nearest to a vector, the nearest first, none of which overlaps a nearer one."""
        found: list[Moment] = []
        order, scores = nearest(
            self.vectors_MH, query_H, num=min(len(self.starts_M), num * _NUM_CANDIDATES), search=search
        )
        for row, score in zip(order.tolist(), scores.tolist(), strict=True):
            moment = Moment(
                video=self.videos[self.numbers_M[row]],
                start_seconds=round(float(self.starts_M[row]), 3),
                end_seconds=round(float(self.ends_M[row]), 3),
                score=round(score, 4),
            )
            if not any(_overlap(moment, other) for other in found):
                found.append(moment)
            if len(found) == num:
                break
        return found


def index_moments(words: WordTable, retriever: Retriever, *, segment_seconds: float) -> MomentIndex:
    """Return the index of all videos of a table, in stretches of about `segment_seconds`."""
    ids = words.ids()
    pieces = [
        (number, first, stop)
        for number, video_id in enumerate(ids)
        for first, stop in _stretches(
            len(words.words(video_id)), size=max(1, round(segment_seconds / words.clip_seconds))
        )
    ]
    vectors = retriever.embed_segments([words.words(ids[n])[first:stop] for n, first, stop in pieces])
    starts = [words.clip_start_seconds(ids[n])[first] for n, first, _ in pieces]
    ends = [words.clip_start_seconds(ids[n])[stop - 1] + words.clip_length_seconds for n, _, stop in pieces]
    return MomentIndex(
        vectors_MH=vectors.astype(np.float32),
        numbers_M=np.array([n for n, _, _ in pieces], dtype=np.int64),
        starts_M=np.array(starts, dtype=np.float64),
        ends_M=np.array(ends, dtype=np.float64),
        videos=tuple(ids),
    )


def save_index(
    index: MomentIndex, directory: Path, *, settings: Mapping[str, Any], parents: Mapping[str, str]
) -> None:
    """Publish the index as an artifact."""
    arrays = {
        "vectors": index.vectors_MH,
        "numbers": index.numbers_M,
        "starts": index.starts_M,
        "ends": index.ends_M,
    }
    with publish_directory(directory) as temporary:
        publish_bytes(temporary / _VECTORS_NAME, save_arrays(arrays))
        publish_json(temporary / _VIDEOS_NAME, list(index.videos))
        seal(
            temporary,
            kind=KIND,
            settings=settings,
            parents=parents,
            facts={"num_moments": len(index.starts_M)},
        )


def load_index(directory: Path) -> MomentIndex:
    """Return the index at a directory.

    Raises:
        ArtifactError: It is damaged.
    """
    require_intact(directory, kind=KIND)
    try:
        arrays = load_arrays((directory / _VECTORS_NAME).read_bytes())
        videos = json.loads((directory / _VIDEOS_NAME).read_text(encoding="utf-8"))
        return MomentIndex(
            vectors_MH=arrays["vectors"],
            numbers_M=arrays["numbers"],
            starts_M=arrays["starts"],
            ends_M=arrays["ends"],
            videos=tuple(map(str, videos)),
        )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ArtifactError(
            f"the index cannot be read ({error})",
            at=str(directory),
            fix=f"rm -r {directory}; it is made anew",
        ) from error


def _stretches(num: int, *, size: int) -> Iterator[tuple[int, int]]:
    """Yield stretches of `size` clips that overlap by half, the last one ending with the video.

    >>> list(_stretches(9, size=4)), list(_stretches(2, size=4)), list(_stretches(0, size=4))
    ([(0, 4), (2, 6), (4, 8), (5, 9)], [(0, 2)], [])
    """
    first = 0
    while first + size < num:
        yield first, first + size
        first += max(1, size // 2)
    if num:
        yield max(0, num - size), num


def _overlap(one: Moment, other: Moment) -> bool:
    return (
        one.video == other.video
        and one.start_seconds < other.end_seconds
        and other.start_seconds < one.end_seconds
    )

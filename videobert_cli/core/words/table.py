"""The visual words of every video, with the time each clip starts: what all later stages read instead of pixels."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from videobert_cli import artifacts
from videobert_cli.errors import ArtifactError, InputError

# Shapes: T clips of one video, C clips of all videos, N videos.

KIND = "words"
WORDS_NAME = "words.safetensors"
DESCRIPTION_NAME = "words.json"
_MAX_INT16_WORDS = 1 << 15


class WordTable:
    """The words of videos, by id.

    Args:
        num_words: Words of the codebook; every word is below it.
        clip_seconds: Time from one clip's start to the next (stride / frames per second).
        clip_length_seconds: Time one clip covers.
        codebook_hash: Content hash of the codebook the words come from.
    """

    def __init__(
        self, *, num_words: int, clip_seconds: float, clip_length_seconds: float, codebook_hash: str
    ) -> None:
        self.num_words = num_words
        self.clip_seconds = clip_seconds
        self.clip_length_seconds = clip_length_seconds
        self.codebook_hash = codebook_hash
        self._words: dict[str, np.ndarray] = {}
        self._clip_starts: dict[str, np.ndarray] = {}

    def __contains__(self, video_id: object) -> bool:
        """Return whether the video has words."""
        return video_id in self._words

    def __len__(self) -> int:
        """Return the number of videos."""
        return len(self._words)

    def ids(self) -> list[str]:
        """Return the ids of all videos, sorted."""
        return sorted(self._words)

    def words(self, video_id: str) -> np.ndarray:
        """Return the video's words (T,) in order of time, int32.

        Raises:
            InputError: The table has no such video.
        """
        return self._of(self._words, video_id)

    def clip_start_seconds(self, video_id: str) -> np.ndarray:
        """Return when each of the video's clips starts (T,), float64, from its first frame.

        Raises:
            InputError: The table has no such video.
        """
        return self._of(self._clip_starts, video_id)

    def add(self, video_id: str, *, words_T: np.ndarray, clip_start_seconds_T: np.ndarray) -> None:
        """Add a video's words.

        Raises:
            InputError: The video is there already, the two arrays differ in length, or a word is not in the
            codebook.
        """
        if video_id in self._words:
            raise InputError(f"video {video_id!r} is in the table already")
        if words_T.ndim != 1 or words_T.shape != clip_start_seconds_T.shape:
            raise InputError(
                f"{words_T.shape} words and {clip_start_seconds_T.shape} clip times", at=video_id
            )
        if len(words_T) and not 0 <= int(words_T.min()) <= int(words_T.max()) < self.num_words:
            raise InputError(f"a word is outside of the codebook's {self.num_words}", at=video_id)
        self._words[video_id] = words_T.astype(np.int32)
        self._clip_starts[video_id] = clip_start_seconds_T.astype(np.float64)

    def counts(self) -> np.ndarray:
        """Return how often each word occurs in all videos (num_words,), int64."""
        arrays = list(self._words.values()) or [np.zeros(0, dtype=np.int32)]
        return np.bincount(np.concatenate(arrays), minlength=self.num_words)

    def save(
        self,
        directory: Path,
        *,
        settings: Mapping[str, Any] | None = None,
        parents: Mapping[str, str] | None = None,
    ) -> str:
        """Write the artifact `words` at `directory`, replacing what is there; return its content hash."""
        ids = self.ids()
        lengths_N = np.array([len(self._words[video_id]) for video_id in ids], dtype=np.int64)
        # 16 bits where they suffice: the words of HowTo100M are 0.65 GB then.
        word_type = np.int16 if self.num_words <= _MAX_INT16_WORDS else np.int32
        arrays = {
            "words": _joined([self._words[video_id] for video_id in ids]).astype(word_type),
            "clip_start_seconds": _joined([self._clip_starts[video_id] for video_id in ids]).astype(
                np.float64
            ),
            "num_clips": lengths_N,
        }
        description = {
            "num_words": self.num_words,
            "clip_seconds": self.clip_seconds,
            "clip_length_seconds": self.clip_length_seconds,
            "codebook_hash": self.codebook_hash,
            "ids": ids,
        }
        with artifacts.publish_directory(directory) as temporary:
            artifacts.publish_bytes(temporary / WORDS_NAME, save_arrays(arrays))
            artifacts.publish_json(temporary / DESCRIPTION_NAME, description)
            manifest = artifacts.seal(
                temporary,
                kind=KIND,
                settings=settings,
                parents=parents,
                facts={"num_videos": len(ids), "num_clips": int(lengths_N.sum())},
            )
        return manifest.content_hash

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Return the table at `directory`.

        Raises:
            ArtifactError: The artifact is damaged, of another kind, or its parts do not fit each other.
        """
        artifacts.require_intact(directory, kind=KIND)
        try:
            description = json.loads((directory / DESCRIPTION_NAME).read_text(encoding="utf-8"))
            arrays = load_arrays((directory / WORDS_NAME).read_bytes())
            return cls._from_parts(description, arrays)
        except (OSError, ValueError, TypeError, KeyError, SafetensorError, InputError) as error:
            raise ArtifactError(
                f"the parts of the words do not fit each other ({error})",
                at=str(directory),
                fix="run `videobert quantize` again",
            ) from error

    @classmethod
    def _from_parts(cls, description: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        table = cls(
            num_words=int(description["num_words"]),
            clip_seconds=float(description["clip_seconds"]),
            clip_length_seconds=float(description["clip_length_seconds"]),
            codebook_hash=str(description["codebook_hash"]),
        )
        words_C, starts_C, lengths_N = arrays["words"], arrays["clip_start_seconds"], arrays["num_clips"]
        if (lengths_N < 0).any() or int(lengths_N.sum()) != len(words_C):
            raise ValueError(f"{len(words_C)} words for videos of {int(lengths_N.sum())} clips")
        borders = np.cumsum(lengths_N)[:-1]
        pieces = (np.split(words_C, borders), np.split(starts_C, borders)) if len(lengths_N) else ([], [])
        for video_id, words_T, starts_T in zip(description["ids"], *pieces, strict=True):
            table.add(video_id, words_T=words_T, clip_start_seconds_T=starts_T)
        return table

    @staticmethod
    def _of(arrays: Mapping[str, np.ndarray], video_id: str) -> np.ndarray:
        try:
            return arrays[video_id]
        except KeyError:
            raise InputError(
                f"video {video_id!r} has no visual words",
                fix="run `videobert extract` and `videobert quantize` on it; see quarantine.jsonl if it failed",
            ) from None


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays) if arrays else np.zeros(0)

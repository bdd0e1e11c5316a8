"""The manifest's labelled segments with the visual words they cover: what fine-tuning learns and evaluation asks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from videobert_cli.core.sequences.segments import clips_between
from videobert_cli.core.video.manifest import Split, Video
from videobert_cli.core.words.table import WordTable


@dataclass(frozen=True, kw_only=True)
class LabelledWords:
    """One labelled segment: times in seconds, its words (T,) as visual word ids, its labels by column.

    `first_clip` is the number of its first clip among the video's.
    """

    video_id: str
    split: Split
    start_seconds: float
    end_seconds: float | None
    words_T: np.ndarray
    labels: Mapping[str, str]
    first_clip: int = 0


def labelled_words(videos: Iterable[Video], *, words: WordTable) -> list[LabelledWords]:
    """Return every labelled segment of the videos that have words, in the manifest's order.

    Videos that were quarantined have no words and are left out, as are videos without a clip, and segments that begin
    after their video ends: the nearest clip would show something else than the label says.
    """
    known = set(words.ids())
    segments = []
    for video in videos:
        if video.id not in known:
            continue
        words_T, starts_T = words.words(video.id), words.clip_start_seconds(video.id)
        if len(words_T) == 0:
            continue
        # What is left after the last clip is shorter than one more clip.
        end_seconds = float(starts_T[-1]) + words.clip_seconds + words.clip_length_seconds
        for segment in video.segments:
            if segment.start_seconds >= end_seconds:
                continue
            span = clips_between(
                segment.start_seconds,
                segment.end_seconds,
                clip_start_seconds_T=starts_T,
                clip_seconds=words.clip_length_seconds,
            )
            segments.append(
                LabelledWords(
                    video_id=video.id,
                    split=video.split,
                    start_seconds=segment.start_seconds,
                    end_seconds=segment.end_seconds,
                    words_T=words_T[span.first : span.stop],
                    labels=segment.labels,
                    first_clip=span.first,
                )
            )
    return segments


def with_labels(segments: Iterable[LabelledWords], *columns: str) -> list[LabelledWords]:
    """Return the segments that have a non-empty value in every one of `columns`."""
    return [segment for segment in segments if all(segment.labels.get(column) for column in columns)]

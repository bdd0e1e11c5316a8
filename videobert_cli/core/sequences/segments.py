"""Sentences and clips of one video, joined by time: which clips a sentence covers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from videobert_cli.core.text.sentences import Sentence

# Shapes: T clips of one video.


@dataclass(frozen=True, kw_only=True)
class ClipSpan:
    """Clips `first` up to, not including, `stop` of one video; never empty."""

    first: int
    stop: int

    @property
    def num_clips(self) -> int:
        """How many clips the span holds."""
        return self.stop - self.first


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A sentence with the clips it covers."""

    sentence: Sentence
    clips: ClipSpan


def clips_between(
    start_seconds: float, end_seconds: float | None, *, clip_start_seconds_T: np.ndarray, clip_seconds: float
) -> ClipSpan:
    """Return the clips whose middle lies in [start, end); where none does, the one clip nearest to the interval.

    The middle gives every clip to at most one of two sentences that follow each other, and the nearest clip keeps a
    short sentence from an empty video part, the fault of rounding both ends (docs/flow.md has peers' rules).

    Args:
        start_seconds: Start of the interval, from the first frame shown.
        end_seconds: Its end; None is the end of the video.
        clip_start_seconds_T: Start of each clip, ascending; at least one.
        clip_seconds: Length of a clip.
    """
    middles_T = clip_start_seconds_T + clip_seconds / 2
    end = np.inf if end_seconds is None else end_seconds
    first = int(np.searchsorted(middles_T, start_seconds, side="left"))
    stop = int(np.searchsorted(middles_T, end, side="left"))
    if stop > first:
        return ClipSpan(first=first, stop=stop)
    centre = start_seconds if end_seconds is None else (start_seconds + end_seconds) / 2
    nearest = int(np.abs(middles_T - centre).argmin())
    return ClipSpan(first=nearest, stop=nearest + 1)


def segments_of(
    sentences: Sequence[Sentence], *, clip_start_seconds_T: np.ndarray, clip_seconds: float
) -> tuple[Segment, ...]:
    """Return each sentence that begins before the video ends, with its clips, in order of time."""
    if len(clip_start_seconds_T) == 0:
        return ()
    end_of_video = float(clip_start_seconds_T[-1]) + clip_seconds
    return tuple(
        Segment(
            sentence=sentence,
            clips=clips_between(
                sentence.start_seconds,
                sentence.end_seconds,
                clip_start_seconds_T=clip_start_seconds_T,
                clip_seconds=clip_seconds,
            ),
        )
        for sentence in sorted(sentences, key=lambda sentence: sentence.start_seconds)
        if sentence.start_seconds < end_of_video
    )

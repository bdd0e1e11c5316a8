"""Sentences and clips of one video, joined by time: which clips a sentence covers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from videobert_cli.core.sequences.options import Coverage
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


def overlapping_clips(
    start_seconds: float, end_seconds: float, *, clip_start_seconds_T: np.ndarray, clip_seconds: float
) -> ClipSpan:
    """Return every clip that shares time with the interval, the nearest where none does.

    HERO's floor and ceil: nothing that is spoken of is missed, and a clip on a border belongs to both its sentences.
    """
    first = int(np.searchsorted(clip_start_seconds_T + clip_seconds, start_seconds, side="right"))
    stop = int(np.searchsorted(clip_start_seconds_T, end_seconds, side="left"))
    return _not_empty(first, stop, num_clips=len(clip_start_seconds_T))


def rounded_clips(
    start_seconds: float, end_seconds: float, *, clip_start_seconds_T: np.ndarray, clip_seconds: float
) -> ClipSpan:
    """Return the clips from one end to the other, both rounded to whole clips, `int(0.5 + t / clip)`; never none.

    A re-implementation's rule, which leaves short sentences without video: here they get the clip at their start.
    """
    middles_T = clip_start_seconds_T + clip_seconds / 2
    first = int(np.searchsorted(middles_T, start_seconds, side="right"))
    stop = int(np.searchsorted(middles_T, end_seconds, side="right"))
    return _not_empty(first, stop, num_clips=len(clip_start_seconds_T))


def grown_interval(sentences: Sequence[Sentence], number: int, *, min_seconds: float) -> tuple[float, float]:
    """Return the time of sentence `number` and of as many neighbours as it takes to last `min_seconds`.

    Of the two neighbours the one comes first with which the interval is shorter (UniVL; there the text grows too).
    """
    first = last = number
    start, end = sentences[number].start_seconds, sentences[number].end_seconds
    while end - start < min_seconds and (first > 0 or last < len(sentences) - 1):
        before = end - sentences[first - 1].start_seconds if first > 0 else np.inf
        after = sentences[last + 1].end_seconds - start if last < len(sentences) - 1 else np.inf
        is_before_nearer = before <= after
        first, last = (first - 1, last) if is_before_nearer else (first, last + 1)
        joined = sentences[first if is_before_nearer else last]
        start, end = min(start, joined.start_seconds), max(end, joined.end_seconds)
    return start, end


def segments_of(
    sentences: Sequence[Sentence],
    *,
    clip_start_seconds_T: np.ndarray,
    clip_seconds: float,
    coverage: Coverage = "midpoint",
    grown_min_seconds: float = 10.0,
) -> tuple[Segment, ...]:
    """Return each sentence that begins before the video ends, with its clips by the rule `coverage`, in order of time.

    `grown_min_seconds` is the least time of a sentence's clips with `grown`, where the video is as long.
    """
    if len(clip_start_seconds_T) == 0:
        return ()
    end_of_video = float(clip_start_seconds_T[-1]) + clip_seconds
    kept = [
        sentence
        for sentence in sorted(sentences, key=lambda sentence: sentence.start_seconds)
        if sentence.start_seconds < end_of_video
    ]
    rule = {"overlap": overlapping_clips, "rounded": rounded_clips}.get(coverage, clips_between)
    segments = []
    for number, sentence in enumerate(kept):
        start, end = sentence.start_seconds, sentence.end_seconds
        if coverage == "grown":
            start, end = grown_interval(kept, number, min_seconds=grown_min_seconds)
        clips = rule(start, end, clip_start_seconds_T=clip_start_seconds_T, clip_seconds=clip_seconds)
        segments.append(Segment(sentence=sentence, clips=clips))
    return tuple(segments)


def _not_empty(first: int, stop: int, *, num_clips: int) -> ClipSpan:
    first = min(max(first, 0), num_clips - 1)
    return ClipSpan(first=first, stop=max(stop, first + 1))

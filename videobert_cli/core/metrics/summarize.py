"""Summaries against labelled segments: how many of a video's steps its key clips show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from videobert_cli.core.metrics.evaluate import TaskResult
from videobert_cli.core.metrics.intervals import mean_interval
from videobert_cli.core.tasks.summarize import Summarizer
from videobert_cli.errors import InputError

# Shapes: T clips of a video, V videos.

_LEAST_NUM_SEGMENTS = 2


@dataclass(frozen=True, kw_only=True)
class SegmentedVideo:
    """A video's words (T,) and the clips, `first` to `stop` (left out), of each of its labelled segments."""

    video_id: str
    words_T: np.ndarray
    segments: tuple[tuple[int, int], ...]

    def recall(self, clips: Sequence[int]) -> float:
        """Return the share of segments that one of `clips` is in."""
        shown = [any(first <= clip < stop for clip in clips) for first, stop in self.segments]
        return sum(shown) / len(shown)

    def recall_of_random(self, num_clips: int) -> float:
        """Return the recall to expect of as many different clips drawn at random."""
        num = len(self.words_T)
        missed = [_missed(num, stop - first, num_drawn=num_clips) for first, stop in self.segments]
        return 1 - sum(missed) / len(missed)


def evaluate_summaries(summarizer: Summarizer, videos: Sequence[SegmentedVideo]) -> TaskResult:
    """Return the mean share of a video's labelled segments that its key clips show, as many clips as segments.

    Baselines: as many evenly spaced clips (`even`), and as many drawn at random (`chance`, exactly). Videos with fewer
    than two segments are left out and counted.

    Raises:
        InputError: No video has two labelled segments.
    """
    kept = [video for video in videos if len(video.segments) >= _LEAST_NUM_SEGMENTS]
    if not kept:
        raise InputError(
            "summarize: no video of the chosen split has two labelled segments",
            at="data.videos",
            fix="list segments with start and end in the manifest, or name another split (evaluate.split)",
        )
    recalls: dict[str, list[float]] = {"": [], ".even": [], ".chance": []}
    explained: dict[str, list[float]] = {"": [], ".even": []}
    predictions: list[dict[str, Any]] = []
    for video in kept:
        summary = summarizer.summarize(video.words_T, num_clips=len(video.segments))
        clips = [key.clip for key in summary.clips]
        even = even_clips(len(video.words_T), num_clips=len(clips))
        recalls[""].append(video.recall(clips))
        recalls[".even"].append(video.recall(even))
        recalls[".chance"].append(video.recall_of_random(len(clips)))
        explained[""].append(summary.explained)
        explained[".even"].append(summary.explained_by_even)
        predictions.append({"video": video.video_id, "clips": clips, "recall": round(recalls[""][-1], 4)})
    interval = mean_interval(np.array(recalls[""]), [video.video_id for video in kept])
    metrics = {f"summarize.segment_recall{end}": float(np.mean(found)) for end, found in recalls.items()}
    metrics |= {f"summarize.explained{end}": float(np.mean(found)) for end, found in explained.items()}
    metrics |= {"summarize.segment_recall.low": interval.low, "summarize.segment_recall.high": interval.high}
    metrics["summarize.num_videos"] = float(len(kept))
    metrics["summarize.num_videos_of_fewer_segments"] = float(len(videos) - len(kept))
    return TaskResult(metrics=metrics, predictions=predictions)


def even_clips(num: int, *, num_clips: int) -> list[int]:
    """Return the middles of `num_clips` equal parts of `num` clips.

    >>> even_clips(10, num_clips=3)
    [1, 5, 8]
    """
    return [int((part + 0.5) * num / num_clips) for part in range(num_clips)]


def _missed(num: int, num_own: int, *, num_drawn: int) -> float:
    """Return the probability that none of `num_drawn` of `num` clips is one of `num_own`.

    >>> _missed(4, 1, num_drawn=2)
    0.5
    """
    if num - num_own < num_drawn:
        return 0.0
    left = np.arange(num_drawn)
    return float(np.prod((num - num_own - left) / (num - left)))

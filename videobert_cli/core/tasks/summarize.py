"""Summaries: a video cut into the stretches that differ most, and of each the clip that stands for it best.

Clips are the centroids of their words. The cuts make the scatter inside of stretches least, over all ways to cut
(dynamic programming, as in kernel temporal segmentation: Potapov, Douze, Harchaoui and Schmid, ECCV 2014); the key clip
of a stretch is the one nearest to the stretch's mean. What the model did not expect counts more in both: a clip weighs
`1 + surprise_weight * surprise`, its surprise the negative log-probability of its word given the words around it, over
the video's mean.
"""

from dataclasses import dataclass

import numpy as np

from videobert_cli.core.tasks.visual_questions import MASKED, VisualAsker, VisualQuestion

# Shapes: T clips of a video, D size of a centroid, K visual words, E ends of stretches.


@dataclass(frozen=True, kw_only=True)
class KeyClip:
    """A chosen clip with its word and its surprise in nats; it stands for the clips `first` to `stop` (left out)."""

    clip: int
    word: int
    surprise: float
    first: int
    stop: int


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Key clips in order of time, and the share of the clips' weighted scatter that the cuts explain, 0 to 1.

    `explained_by_even` is the same for as many stretches of equal length.
    """

    clips: tuple[KeyClip, ...]
    explained: float
    explained_by_even: float


class Summarizer:
    """Chooses the key clips of videos by a pretrained model and the centroids (K, D) of its words."""

    def __init__(
        self,
        asker: VisualAsker,
        *,
        centroids_KD: np.ndarray,
        surprise_weight: float,
        context_num_clips: int,
    ) -> None:
        self._asker = asker
        self._centroids_KD = centroids_KD
        self._surprise_weight = surprise_weight
        self._context_num_clips = context_num_clips

    def summarize(self, words_T: np.ndarray, *, num_clips: int) -> Summary:
        """Return `num_clips` key clips of a video's words (T,), or all where it has fewer."""
        surprise_T = surprise(self._asker, words_T, context_num_clips=self._context_num_clips)
        centroids_TD = self._centroids_KD[words_T].astype(np.float64)
        scatter = Scatter(
            centroids_TD, weights_T=clip_weights(surprise_T, surprise_weight=self._surprise_weight)
        )
        num = min(num_clips, len(words_T))
        ends = best_cuts(scatter, num_stretches=num)
        clips = []
        for first, stop in zip([0, *ends[:-1]], ends, strict=True):
            clip = scatter.nearest_to_mean(first, stop)
            clips.append(
                KeyClip(
                    clip=clip,
                    word=int(words_T[clip]),
                    surprise=round(float(surprise_T[clip]), 4),
                    first=first,
                    stop=stop,
                )
            )
        even = [round(len(words_T) * part / num) for part in range(1, num + 1)]
        return Summary(
            clips=tuple(clips),
            explained=round(scatter.explained(ends), 4),
            explained_by_even=round(scatter.explained(even), 4),
        )


def surprise(asker: VisualAsker, words_T: np.ndarray, *, context_num_clips: int) -> np.ndarray:
    """Return how unexpected each word (T,) is: its negative log-probability, in nats, given the words around it.

    The question is `[CLS] words [SEP]` with the clip masked and at most `context_num_clips` on each side, fewer where
    the model has no positions for them.
    """
    side = min(context_num_clips, (asker.num_positions - 3) // 2)
    questions = []
    for clip in range(len(words_T)):
        first = max(0, clip - side)
        seen_T = words_T[first : clip + side + 1].astype(np.int64)
        seen_T[clip - first] = MASKED
        questions.append(VisualQuestion(words_T=seen_T, asked=clip - first))
    found = np.empty(len(words_T))
    done = 0
    for scores_BK in asker.log_probabilities(questions):
        own = words_T[done : done + len(scores_BK)].astype(np.int64)
        found[done : done + len(own)] = -scores_BK[np.arange(len(own)), own]
        done += len(own)
    return found


def clip_weights(surprise_T: np.ndarray, *, surprise_weight: float) -> np.ndarray:
    """Return the weight (T,) of each clip from its surprise over the video's mean."""
    mean = float(surprise_T.mean())
    relative_T = surprise_T / mean if mean > 0 else np.ones_like(surprise_T)
    return np.asarray(1.0 + surprise_weight * relative_T)


class Scatter:
    """Weighted sums of squared distances of clips (T, D) to their mean, of any stretch at once."""

    def __init__(self, centroids_TD: np.ndarray, *, weights_T: np.ndarray) -> None:
        """Args: `weights_T` is positive."""
        # About the video's mean: differences of large sums would cost digits.
        self._centred_TD = centroids_TD - np.average(centroids_TD, axis=0, weights=weights_T)
        weighted_TD = self._centred_TD * weights_T[:, None]
        squares_T = (weighted_TD * self._centred_TD).sum(axis=1)
        self._weights, self._sums_D, self._squares = (
            np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
            for values in (weights_T, weighted_TD, squares_T)
        )
        self.num_clips = len(centroids_TD)

    def up_to(self, stop: int) -> np.ndarray:
        """Return the scatter of clips `first` to `stop` (left out) for every first from 0 to stop - 1."""
        sums_D = self._sums_D[stop] - self._sums_D[:stop]
        weights = self._weights[stop] - self._weights[:stop]
        found = self._squares[stop] - self._squares[:stop] - (sums_D * sums_D).sum(axis=1) / weights
        return np.asarray(np.maximum(found, 0.0))

    def explained(self, ends: list[int]) -> float:
        """Return the share of the scatter that lies between the stretches that end at `ends`; 1 where there is none."""
        whole = self._squares[-1]
        inside = sum(
            self.up_to(stop)[first] for first, stop in zip([0, *ends[:-1]], ends, strict=True) if first < stop
        )
        return float(1 - inside / whole) if whole > 0 else 1.0

    def nearest_to_mean(self, first: int, stop: int) -> int:
        """Return the clip of a stretch that is nearest to its weighted mean; of equals the one nearest its middle."""
        weight = self._weights[stop] - self._weights[first]
        mean_D = (self._sums_D[stop] - self._sums_D[first]) / weight
        distances = np.linalg.norm(self._centred_TD[first:stop] - mean_D, axis=1)
        is_nearest = distances <= distances.min() * (1 + 1e-9)
        from_middle = np.abs(np.arange(first, stop) - (first + stop - 1) / 2)
        return first + int(np.where(is_nearest, from_middle, np.inf).argmin())


def best_cuts(scatter: Scatter, *, num_stretches: int) -> list[int]:
    """Return where each of `num_stretches` stretches ends, the last with the video, for the least scatter inside.

    Exact, in num_clips ** 2 steps: a second for an hour of video.
    """
    num = scatter.num_clips
    least = np.full((num_stretches + 1, num + 1), np.inf)
    last_first = np.zeros((num_stretches + 1, num + 1), dtype=np.int64)
    least[0, 0] = 0.0
    for stop in range(1, num + 1):
        ways = least[:num_stretches, :stop] + scatter.up_to(stop)
        last_first[1:, stop] = ways.argmin(axis=1)
        least[1:, stop] = ways.min(axis=1)
    ends = [num]
    for stretches in range(num_stretches, 1, -1):
        ends.append(int(last_first[stretches, ends[-1]]))
    return ends[::-1]

"""Explanations put to the test: what an answer loses when the clips that a method calls important are hidden.

The deletion curve (Samek et al., IEEE TNNLS 2017; Petsiuk et al., BMVC 2018): clips go behind a [MASK] one after
another, the most important first, and the area over the curve, the mean loss of the answer's log-probability, tells
how well the method knows what the answer rests on. Random orders say what hiding any clips costs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from videobert_cli.core.metrics.evaluate import TaskResult, identity
from videobert_cli.core.metrics.intervals import mean_interval, paired_difference
from videobert_cli.core.sequences.labelled import LabelledWords
from videobert_cli.core.tasks.explain import METHODS, Asked, Method, clip_weights, log_probabilities
from videobert_cli.core.tasks.visual_questions import MASKED
from videobert_cli.errors import InputError
from videobert_cli.runtime import derive_seed

# Shapes: N answers, T clips of a segment, O orders of its clips, K shares of hidden clips.

# With so many the chance of the orders is small beside that of the segments; more would cost more than the methods.
_NUM_RANDOM_ORDERS = 8
_LEAST_NUM_CLIPS = 2


@dataclass(frozen=True, kw_only=True)
class ExplainedAnswer:
    """A segment and the model's own answer about it, right or wrong: that is what is explained."""

    segment: LabelledWords
    asked: Asked


@dataclass(frozen=True, kw_only=True)
class Deletion:
    """What an answer loses (K,), in nats, as more clips are hidden: in each method's order, backwards, in any.

    `all_hidden` is what it loses without any clip.
    """

    weights: dict[Method, np.ndarray]
    most_first: dict[Method, np.ndarray]
    least_first: dict[Method, np.ndarray]
    random_K: np.ndarray
    all_hidden: float


def measured_segments(
    segments: Sequence[LabelledWords], *, num_segments: int, seed: int
) -> list[LabelledWords]:
    """Return at most `num_segments` segments, drawn by `seed`, in their order; those of one clip have no order."""
    several = [number for number, each in enumerate(segments) if len(each.words_T) >= _LEAST_NUM_CLIPS]

    def drawn(number: int) -> int:
        segment = segments[number]
        return derive_seed(seed, "explain", segment.video_id, f"{segment.start_seconds:.3f}")

    return [segments[number] for number in sorted(sorted(several, key=drawn)[:num_segments])]


def deletion(asked: Asked, words_T: np.ndarray, *, hidden_shares: Sequence[float], seed: int) -> Deletion:
    """Return what the answer about words (T,) loses as `hidden_shares` of them are hidden, one clip at least.

    Clips that the model has no room for are not hidden, and do not count.
    """
    words_T = words_T[: asked.parts[0].max_num_clips]
    weights = {method: clip_weights(asked, words_T, method=method) for method in METHODS}
    most = [np.argsort(-weights[method], kind="stable") for method in METHODS]
    least = [np.argsort(weights[method], kind="stable") for method in METHODS]
    generator = np.random.default_rng(seed)
    random = [generator.permutation(len(words_T)) for _ in range(_NUM_RANDOM_ORDERS)]
    nums_K = [num_hidden(len(words_T), share=share) for share in hidden_shares]
    hidden = [_hide(words_T, order_T[:num]) for order_T in (*most, *least, *random) for num in nums_K]
    nothing_T = np.full(len(words_T), MASKED)
    found = log_probabilities(asked, [words_T, nothing_T, *hidden]).astype(np.float64)
    losses_OK = (found[0] - found[2:]).reshape(-1, len(nums_K))
    num = len(METHODS)
    return Deletion(
        weights=weights,
        most_first=dict(zip(METHODS, losses_OK[:num], strict=True)),
        least_first=dict(zip(METHODS, losses_OK[num : 2 * num], strict=True)),
        random_K=losses_OK[2 * num :].mean(axis=0),
        all_hidden=float(found[0] - found[1]),
    )


def num_hidden(num_clips: int, *, share: float) -> int:
    """Return how many of a segment's clips are hidden: never none and never all, which tells no order from another.

    >>> [num_hidden(5, share=share) for share in (0.05, 0.25, 0.5, 0.75, 0.95)]
    [1, 1, 3, 4, 4]
    """
    return min(num_clips - 1, max(1, int(share * num_clips + 0.5)))


def evaluate_explanations(
    answers: Mapping[str, Sequence[ExplainedAnswer]],
    *,
    task: str,
    hidden_shares: Sequence[float],
    seed: int,
    num_of_one_clip: int = 0,
) -> TaskResult:
    """Return the area over the deletion curve of each method beside that of random and of backward orders.

    Args:
        answers: By the beginning of their metrics' names: `explain.verb`, say.
        task: Its name, the beginning of what is counted.
        hidden_shares: The shares of a segment's clips that are hidden.
        seed: Of the random orders, with each answer's segment.
        num_of_one_clip: Segments that were left out.

    Raises:
        InputError: There is no segment of two clips.
    """
    if not any(answers.values()):
        raise InputError(
            f"{task}: no labelled segment of the chosen split has two clips",
            at="data.videos",
            fix="name another split (evaluate.split), or list longer segments in the manifest",
        )
    metrics: dict[str, float] = {}
    predictions: list[dict[str, Any]] = []
    for name, asked in answers.items():
        found = [
            deletion(
                each.asked,
                each.segment.words_T,
                hidden_shares=hidden_shares,
                seed=derive_seed(seed, name, each.segment.video_id, f"{each.segment.start_seconds:.3f}"),
            )
            for each in asked
        ]
        metrics |= _metrics(name, found, videos=[each.segment.video_id for each in asked])
        predictions += [_told(name, each, one) for each, one in zip(asked, found, strict=True)]
    metrics[f"{task}.num_segments"] = float(max(map(len, answers.values())))
    metrics[f"{task}.num_segments_of_one_clip"] = float(num_of_one_clip)
    return TaskResult(metrics=metrics, predictions=predictions)


def _metrics(name: str, found: Sequence[Deletion], *, videos: Sequence[str]) -> dict[str, float]:
    random_N = np.array([each.random_K.mean() for each in found])
    metrics: dict[str, float] = {}
    for method in METHODS:
        own_N = np.array([each.most_first[method].mean() for each in found])
        interval = mean_interval(own_N, videos)
        above = paired_difference(own_N, random_N, videos=videos)
        metrics |= {
            f"{name}.{method}": float(own_N.mean()),
            f"{name}.{method}.low": interval.low,
            f"{name}.{method}.high": interval.high,
            f"{name}.{method}.random": float(random_N.mean()),
            f"{name}.{method}.least_first": float(np.mean([each.least_first[method] for each in found])),
            f"{name}.{method}.all_hidden": float(np.mean([each.all_hidden for each in found])),
            f"{name}.{method}.above_random": above.mean,
            f"{name}.{method}.above_random.low": above.low,
            f"{name}.{method}.above_random.high": above.high,
        }
    return metrics


def _told(name: str, answer: ExplainedAnswer, found: Deletion) -> dict[str, Any]:
    """Return what an answer lost, as JSON values."""
    orders: dict[str, Any] = {
        method: {
            "weights": _rounded(found.weights[method]),
            "most_first": _rounded(found.most_first[method]),
            "least_first": _rounded(found.least_first[method]),
        }
        for method in METHODS
    }
    return {
        **identity(answer.segment),
        "question": name,
        "answer": answer.asked.answer,
        **orders,
        "random": _rounded(found.random_K),
        "all_hidden": round(found.all_hidden, 4),
    }


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 4) for value in values]


def _hide(words_T: np.ndarray, clips: np.ndarray) -> np.ndarray:
    hidden_T = words_T.astype(np.int64)
    hidden_T[clips] = MASKED
    return hidden_T

"""Answers of a model on labelled segments as flat metrics, each beside its chance and its language prior."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from videobert_cli.core.metrics.classification import top_k_accuracy, true_ranks
from videobert_cli.core.metrics.intervals import mean_interval
from videobert_cli.core.sequences.labelled import LabelledWords
from videobert_cli.core.tasks.zero_shot import SLOTS, Candidates, ClozeScorer, Slot
from videobert_cli.errors import InputError

# Shapes: N segments, C candidates or classes.

TOP_KS = (1, 5)


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """Flat metrics of one task, one prediction a segment (JSON values), and text for people (scikit-learn's table).

    `files` are written beside the report, by name.
    """

    metrics: dict[str, float]
    predictions: list[dict[str, Any]] = field(default_factory=list)
    text: str = ""
    files: dict[str, bytes] = field(default_factory=dict)


def evaluate_zero_shot(
    cloze: ClozeScorer,
    segments: Sequence[LabelledWords],
    *,
    columns: tuple[str, str],
    candidates: Candidates,
    seen_pairs: frozenset[tuple[str, str]],
) -> TaskResult:
    """Return top-1 and top-5 of the verb and the object, over all segments and over pairs unseen in training.

    Args:
        cloze: The template with its model, or several.
        segments: Held-out segments that carry both columns.
        columns: The manifest's columns with the verb and the object.
        candidates: The verbs and objects to rank.
        seen_pairs: Verb-object pairs of the training split; others count as unseen.

    Segments whose verb or object is not a candidate are left out and counted.

    Raises:
        InputError: There is no segment to measure on.
    """
    known = {slot: set(candidates.of(slot)) for slot in SLOTS}
    num_given = len(segments)
    segments = [
        segment
        for segment in segments
        if all(segment.labels[column] in known[slot] for slot, column in zip(SLOTS, columns, strict=True))
    ]
    _require_segments(segments, "zero_shot", columns)
    is_unseen_N = np.array([tuple(s.labels[c] for c in columns) not in seen_pairs for s in segments])
    metrics: dict[str, float] = {
        "zero_shot.num_segments": float(len(segments)),
        "zero_shot.num_segments_of_unknown_label": float(num_given - len(segments)),
    }
    predictions: list[dict[str, Any]] = [identity(segment) for segment in segments]
    words = [segment.words_T for segment in segments]
    for slot, column in zip(SLOTS, columns, strict=True):
        names = candidates.of(slot)
        scores_NC = cloze.scores(words, slot=slot, candidates=names)
        prior_1C = cloze.scores([None], slot=slot, candidates=names)
        prior_NC = np.repeat(prior_1C, len(segments), axis=0)
        truth_N = np.array([names.index(segment.labels[column]) for segment in segments])
        ranks_N = true_ranks(scores_NC, truth_N)
        metrics |= _slot_metrics(slot, scores_NC, prior_NC=prior_NC, truth_N=truth_N, is_unseen_N=is_unseen_N)
        for k in TOP_KS:
            metrics |= _interval(f"zero_shot.{slot}.top{k}", ranks_N <= k, segments=segments)
        for number, prediction in enumerate(predictions):
            best = int(scores_NC[number].argmax())
            prediction[slot] = {
                "truth": names[truth_N[number]],
                "predicted": names[best],
                "rank": int(ranks_N[number]),
            }
            prediction["unseen_pair"] = bool(is_unseen_N[number])
    return TaskResult(metrics=metrics, predictions=predictions)


def _slot_metrics(
    slot: Slot, scores_NC: np.ndarray, *, prior_NC: np.ndarray, truth_N: np.ndarray, is_unseen_N: np.ndarray
) -> dict[str, float]:
    metrics = {}
    num_candidates = scores_NC.shape[1]
    for k in TOP_KS:
        name = f"zero_shot.{slot}.top{k}"
        metrics[name] = top_k_accuracy(scores_NC, truth_N, k=k)
        metrics[f"{name}.language_prior"] = top_k_accuracy(prior_NC, truth_N, k=k)
        metrics[f"{name}.chance"] = min(1.0, k / num_candidates)
        for group, is_member_N in (("seen_pairs", ~is_unseen_N), ("unseen_pairs", is_unseen_N)):
            if is_member_N.any():
                metrics[f"{name}.{group}"] = top_k_accuracy(scores_NC[is_member_N], truth_N[is_member_N], k=k)
    return metrics


def _interval(name: str, is_right_N: np.ndarray, *, segments: Sequence[LabelledWords]) -> dict[str, float]:
    interval = mean_interval(is_right_N, [segment.video_id for segment in segments])
    return {f"{name}.low": interval.low, f"{name}.high": interval.high}


def identity(segment: LabelledWords) -> dict[str, Any]:
    """Return what tells a segment from others, as JSON values."""
    return {
        "video": segment.video_id,
        "start_seconds": segment.start_seconds,
        "end_seconds": segment.end_seconds,
        "num_words": len(segment.words_T),
    }


def _require_segments(segments: Sequence[LabelledWords], task: str, columns: tuple[str, ...]) -> None:
    if not segments:
        raise InputError(
            f"{task}: no segment of the chosen split has a label in {' and '.join(columns)}",
            at="data.videos",
            fix="name the columns of your manifest (evaluate.verb, evaluate.object, finetune.label) and the split",
        )

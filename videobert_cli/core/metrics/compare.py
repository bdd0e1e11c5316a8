"""Two models on the same segments: for each score, by how much one is better, and whether that could be chance."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from videobert_cli.core.metrics.intervals import PairedDifference, paired_difference
from videobert_cli.errors import InputError

_TOP_KS = (1, 5)
_CLASSIFY_NAMES = {1: "classify.accuracy", 5: "classify.top5"}


def compare_predictions(
    predictions: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]], *, task: str
) -> dict[str, PairedDifference]:
    """Return the differences (of `predictions` above `others`) of each top-k score of a task.

    Raises:
        InputError: They are of different segments, or of other truths: nothing can be paired.
    """
    by_segment = {_segment(prediction): prediction for prediction in others}
    if set(map(_segment, predictions)) != set(by_segment):
        raise _not_paired(f"{task}: the models were measured on different segments")
    videos = [str(prediction["video"]) for prediction in predictions]
    differences = {}
    for slot in ("verb", "object") if task == "zero_shot" else (None,):
        mine = [prediction[slot] if slot else prediction for prediction in predictions]
        theirs = [by_segment[_segment(prediction)] for prediction in predictions]
        theirs = [prediction[slot] if slot else prediction for prediction in theirs]
        if any(one["truth"] != other["truth"] for one, other in zip(mine, theirs, strict=True)):
            raise _not_paired(f"{task}: a segment has another label for each of the models")
        ranks_N, other_ranks_N = _ranks(mine, task=task), _ranks(theirs, task=task)
        for k in _TOP_KS:
            name = f"zero_shot.{slot}.top{k}" if slot else _CLASSIFY_NAMES[k]
            differences[name] = paired_difference(ranks_N <= k, other_ranks_N <= k, videos=videos)
    return differences


def _ranks(answers: Sequence[Mapping[str, Any]], *, task: str) -> np.ndarray:
    if not all("rank" in answer for answer in answers):
        raise InputError(
            f"{task}: measured by an earlier version, which kept no ranks",
            at="--compare",
            fix="measure again: --overwrite",
        )
    return np.array([answer["rank"] for answer in answers])


def _not_paired(problem: str) -> InputError:
    return InputError(problem, at="--compare", fix="measure both with the same recipe, manifest and split")


def _segment(prediction: Mapping[str, Any]) -> tuple[str, float, float]:
    return str(prediction["video"]), float(prediction["start_seconds"]), float(prediction["end_seconds"])

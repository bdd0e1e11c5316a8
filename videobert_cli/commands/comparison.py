"""`videobert evaluate --compare`: models side by side on the same segments."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videobert_cli.errors import UsageError

if TYPE_CHECKING:
    from videobert_cli.core.metrics.intervals import PairedDifference


def compare_evaluations(evaluations: Mapping[str, Path]) -> tuple[dict[str, float], list[str]]:
    """Return metrics and lines of what the others are above the first, for each task that all can do.

    `evaluations` are the directories of finished evaluations by the model's name.
    """
    from videobert_cli.core.metrics.compare import compare_predictions

    first, *others = evaluations
    metrics: dict[str, float] = {}
    lines = [f"above {first}, 95 % over draws of videos:"]
    tasks = [
        task
        for task in ("zero_shot", "classify")
        if all(_path(evaluation, task).is_file() for evaluation in evaluations.values())
    ]
    if not tasks:
        raise UsageError(
            "there is no task that all of the models can do",
            at="--compare",
            fix="compare pretrained models with pretrained ones, classifiers with classifiers",
        )
    for other in others:
        lines.append(other)
        for task in tasks:
            differences = compare_predictions(
                _read(evaluations[other], task), _read(evaluations[first], task), task=task
            )
            for name, found in differences.items():
                lines.append(_line(name, found))
                metrics |= {
                    f"{other}:{name}.difference": found.mean,
                    f"{other}:{name}.difference.low": found.low,
                    f"{other}:{name}.difference.high": found.high,
                    f"{other}:{name}.difference.p": found.p_value,
                }
    return metrics, lines


def _line(name: str, found: "PairedDifference") -> str:
    return f"  {name:<24}{found.mean:>+8.3f}  {found.low:+.3f} to {found.high:+.3f}  p = {found.p_value:.3f}"


def _path(evaluation: Path, task: str) -> Path:
    return evaluation / f"predictions_{task}.jsonl"


def _read(evaluation: Path, task: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _path(evaluation, task).read_text().splitlines()]

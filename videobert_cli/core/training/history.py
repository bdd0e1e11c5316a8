"""The lines of `metrics.jsonl` read back: what a training told of itself, over all its resumes.

A line is `{"step": 50, "learning_rate": ..., "loss": ..., ...}`, the means since the line before, or it has one part
with a name: `{"step": 50, "validation": {...}}`, held out, or `{"step": 50, "speed": {...}}`.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

Part = Literal["training", "validation", "speed"]
Points = list[tuple[int, float]]


def read_records(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a metrics file in order, none where there is no file; a torn last line is left out."""
    if not path.is_file():
        return []
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and isinstance(record.get("step"), int):
            records.append(record)
    return records


def flat(record: Mapping[str, Any]) -> tuple[Part, dict[str, float]]:
    """Return which part a line is of, and its numbers by name.

    >>> flat({"step": 4, "validation": {"loss": 2.5}})
    ('validation', {'loss': 2.5})
    """
    for part in ("validation", "speed"):
        if isinstance(record.get(part), Mapping):
            return part, _numbers(record[part])
    return "training", _numbers({name: value for name, value in record.items() if name != "step"})


def curves(records: Iterable[Mapping[str, Any]], part: Part) -> dict[str, Points]:
    """Return each number of one part as (step, value) points, in the order of the lines."""
    found: dict[str, Points] = defaultdict(list)
    for record in records:
        record_part, numbers = flat(record)
        if record_part == part:
            for name, value in numbers.items():
                found[name].append((record["step"], value))
    return dict(found)


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: value
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }

"""Flat metrics as a table for people: a score, its language prior, its chance, seen and unseen pairs."""

from collections.abc import Mapping
from typing import Any

_COLUMNS = ("", "language_prior", "chance", "seen_pairs", "unseen_pairs")
_HEADS = ("score", "language prior", "chance", "seen pairs", "unseen pairs")
_CLASSIFY = (
    ("accuracy", "classify.accuracy"),
    ("chance", "classify.accuracy.chance"),
    ("most frequent class", "classify.accuracy.most_frequent"),
    ("macro F1", "classify.macro_f1"),
    ("top-5", "classify.top5"),
)


def score_lines(metrics: Mapping[str, Any]) -> list[str]:
    """Return the lines of the tables that the metrics allow."""
    lines: list[str] = []
    if "zero_shot.num_segments" in metrics:
        lines += [f"zero-shot cloze, {metrics['zero_shot.num_segments']:.0f} segments"]
        lines += ["  " + "".join([f"{'':<14}", *(f"{head:>16}" for head in _HEADS)])]
        for slot in ("verb", "object"):
            for k in (1, 5):
                lines.append(_slot_line(metrics, f"zero_shot.{slot}.top{k}", name=f"{slot} top-{k}"))
    if "classify.num_segments" in metrics:
        lines += [
            *([""] if lines else []),
            f"classification, {metrics['classify.num_segments']:.0f} segments",
        ]
        lines += [f"  {name:<22}{metrics[key]:>8.3f}" for name, key in _CLASSIFY]
    if "labels.num_segments" in metrics:
        lines += [*([""] if lines else []), *_label_lines(metrics)]
    return lines


def _label_lines(metrics: Mapping[str, Any]) -> list[str]:
    """Return a line for each score of each head of labels; what stands for chance is beside it."""
    prefix, lines = "labels.", [f"heads of labels, {metrics['labels.num_segments']:.0f} segments"]
    baselines = (".chance", ".most_frequent")
    names = [name for name in metrics if name.startswith(prefix) and not name.endswith(baselines)]
    for name in (name for name in names if ".num_segments" not in name):
        beside = [
            f"{end[1:].replace('_', ' ')} {metrics[name + end]:.3f}"
            for end in baselines
            if name + end in metrics
        ]
        told = f"  ({', '.join(beside)})" if beside else ""
        lines.append(f"  {name.removeprefix(prefix):<30}{metrics[name]:>8.3f}{told}")
    return lines


def _slot_line(metrics: Mapping[str, Any], key: str, *, name: str) -> str:
    cells = []
    for column in _COLUMNS:
        value = metrics.get(f"{key}.{column}" if column else key)
        cells.append(f"{value:>16.3f}" if value is not None else f"{'-':>16}")
    return "  " + "".join([f"{name:<14}", *cells])

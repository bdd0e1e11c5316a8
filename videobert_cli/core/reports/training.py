"""The page of a training: curves of every loss and accuracy, in training and held out, its speed, and what it was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from videobert_cli.core.reports.curves import HEIGHT, WIDTH, Chart, chart, number
from videobert_cli.core.reports.html import render_page
from videobert_cli.core.training.history import Points, curves

_PROBE, _BY_KIND = "zero_shot.", "alignment_accuracy_"
_LOSS, _ACCURACY = "_loss", "_accuracy"
_SPEEDS = {
    "tokens_per_second": "tokens a second",
    "mfu": "share of the device's peak",
    "memory_bytes": "memory, bytes",
}
_NUM_ROWS = 200


@dataclass(frozen=True, kw_only=True)
class TrainingFacts:
    """What the page says beside the curves: title, name-value pairs, the recipe as text, and notes."""

    title: str
    facts: Mapping[str, str]
    recipe: str
    notes: Sequence[str]


def training_page(records: Sequence[Mapping[str, Any]], *, facts: TrainingFacts) -> str:
    """Return the page of the lines of a `metrics.jsonl`."""
    training, held_out = curves(records, "training"), curves(records, "validation")
    speed = curves(records, "speed")
    groups = [
        ("Losses", _pairs(training, held_out, names=_ends(training, held_out, whole="loss", end=_LOSS))),
        (
            "Accuracies",
            _pairs(training, held_out, names=_ends(training, held_out, whole="accuracy", end=_ACCURACY)),
        ),
        ("Alignment by kind of pair", [_by_kind(training, held_out)]),
        ("Zero-shot cloze of validation videos", _probe(held_out)),
        ("Rate and speed", [_alone(training, "learning_rate", "learning rate"), *_speeds(speed)]),
        ("Other numbers", _pairs(training, held_out, names=_others(training, held_out))),
    ]
    columns, rows = _validations(held_out)
    return render_page(
        "training.html",
        title=facts.title,
        facts={**facts.facts, **_summary(training, held_out, speed)},
        notes=facts.notes,
        groups=[(name, shown) for name, found in groups if (shown := [c for c in found if c is not None])],
        columns=columns,
        rows=rows[-_NUM_ROWS:],
        num_rows=len(rows),
        recipe=facts.recipe,
        width=WIDTH,
        height=HEIGHT,
    )


def _summary(
    training: Mapping[str, Points], held_out: Mapping[str, Points], speed: Mapping[str, Points]
) -> dict[str, str]:
    found = {}
    if losses := training.get("loss"):
        found["steps"] = f"{losses[-1][0]:,}"
        found["last training loss"] = f"{losses[-1][1]:.4g}"
    if losses := held_out.get("loss"):
        best_step, best = min(losses, key=lambda point: point[1])
        found["last held-out loss"] = f"{losses[-1][1]:.4g}"
        found["best held-out loss"] = f"{best:.4g} at step {best_step:,}"
    seconds = [value for _, value in speed.get("seconds", [])]
    if seconds:
        found["time of the steps"] = _duration(sum(seconds))
    rates = dict(speed.get("tokens_per_second", []))
    if rates and seconds:
        num_tokens = sum(rates.get(step, 0.0) * value for step, value in speed["seconds"])
        found["tokens"] = f"{number(num_tokens)}, {num_tokens / sum(seconds):,.0f} a second"
    if shares := speed.get("mfu"):
        found["share of the peak"] = f"{100 * sum(value for _, value in shares) / len(shares):.2g}%"
    if memory := speed.get("memory_bytes"):
        found["most memory"] = f"{max(value for _, value in memory) / 1e9:.1f} GB"
    return found


def _duration(seconds: float) -> str:
    """Return a time as people say it.

    >>> _duration(4.2), _duration(75), _duration(93784)
    ('4.2 s', '1 min 15 s', '26 h 3 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _ends(
    training: Mapping[str, Points], held_out: Mapping[str, Points], *, whole: str, end: str
) -> list[str]:
    """Return the names that are `whole` or end so, the whole first; probes and kinds of pairs are shown elsewhere."""
    names = list(dict.fromkeys([*training, *held_out]))
    found = [name for name in names if name == whole or name.endswith(end)]
    return sorted((name for name in found if not name.startswith(_PROBE)), key=lambda name: name != whole)


def _others(training: Mapping[str, Points], held_out: Mapping[str, Points]) -> list[str]:
    shown = {
        *_ends(training, held_out, whole="loss", end=_LOSS),
        *_ends(training, held_out, whole="accuracy", end=_ACCURACY),
    }
    return [
        name
        for name in dict.fromkeys([*training, *held_out])
        if name not in {*shown, "learning_rate"} and not name.startswith((_PROBE, _BY_KIND))
    ]


def _pairs(
    training: Mapping[str, Points], held_out: Mapping[str, Points], *, names: Sequence[str]
) -> list[Chart | None]:
    return [
        chart(
            name.replace("_", " "),
            solid={"training": training.get(name, [])},
            dashed={"held out": held_out.get(name, [])},
        )
        for name in names
    ]


def _by_kind(training: Mapping[str, Points], held_out: Mapping[str, Points]) -> Chart | None:
    """Return the accuracy of each kind of pair: negatives of the same video are hard, of another one easy."""

    def kinds(found: Mapping[str, Points]) -> dict[str, Points]:
        return {
            name.removeprefix(_BY_KIND).replace("_", " "): found[name]
            for name in sorted(found)
            if name.startswith(_BY_KIND)
        }

    return chart("alignment accuracy, held out dashed", solid=kinds(training), dashed=kinds(held_out))


def _probe(held_out: Mapping[str, Points]) -> list[Chart | None]:
    """Return a chart for each score of the probe, its language prior and chance beside it."""
    scores = [name for name in held_out if name.startswith(_PROBE) and name.count(".") == 2]
    return [
        chart(
            name.removeprefix(_PROBE).replace(".", " "),
            solid={"model": held_out[name]},
            dashed={
                part.replace("_", " "): held_out.get(f"{name}.{part}", [])
                for part in ("language_prior", "chance")
            },
        )
        for name in scores
    ]


def _speeds(speed: Mapping[str, Points]) -> list[Chart | None]:
    return [_alone(speed, name, title) for name, title in _SPEEDS.items()]


def _alone(found: Mapping[str, Points], name: str, title: str) -> Chart | None:
    return chart(title, solid={title: found.get(name, [])}, dashed={})


def _validations(held_out: Mapping[str, Points]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Return the held-out numbers as a table: columns, and for each step its cells."""
    columns = [name for name in held_out if not name.startswith(_PROBE) or name.count(".") == 2]
    by_step: dict[int, dict[str, float]] = {}
    for name in columns:
        for step, value in held_out[name]:
            by_step.setdefault(step, {})[name] = value
    rows = [
        (f"{step:,}", [f"{found[name]:.4g}" if name in found else "" for name in columns])
        for step, found in sorted(by_step.items())
    ]
    return columns, rows

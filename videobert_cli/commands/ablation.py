"""`videobert evaluate RECIPE --ablation FILE`: variants of a recipe, some seeds of each, one table."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

from videobert_cli.commands.results import CommandResult
from videobert_cli.commands.stage_command import StageFlags, run_stage
from videobert_cli.errors import UsageError

# The ends of a metric's name that say how another way to answer does.
_BASELINES = (
    "chance",
    "most_frequent",
    "language_prior",
    "no_text",
    "copy_last",
    "word_pairs",
    "word_counts",
    "alignment",
    "reranked",
    "even",
    "linear_probe",
    "encoder",
    "word_histogram",
    "nearest_neighbour",
    "random",
    "least_first",
    "all_hidden",
)


def run_ablation(name: str, recipe: str, *, flags: StageFlags) -> CommandResult:
    """Evaluate every variant with every seed, each in a run of its own, and return the table as Markdown.

    All take the features of the recipe's own run, which are made first. What is finished is not made again, so the same
    command goes on where it was stopped.
    """
    from videobert_cli.recipe.ablation import load_ablation, slug
    from videobert_cli.recipe.load import load_recipe
    from videobert_cli.recipe.names import resolve_ablation, resolve_recipe

    file, path, overrides = resolve_ablation(name), resolve_recipe(recipe), tuple(flags.overrides)
    ablation = load_ablation(file, recipe=path, overrides=overrides)
    run = load_recipe(path, overrides=overrides).recipe.run
    extracted = run_stage("extract", recipe, flags=flags)
    features = Path(str(extracted.outputs["extract"])) / "features"
    metrics: dict[str, Any] = {}
    rows: dict[str, list[Mapping[str, Any]]] = {}
    exit_code, statuses = extracted.exit_code, set()
    for variant, of_variant in ablation.variants.items():
        rows[variant] = []
        for seed in ablation.seeds:
            own = (
                f"run={run}-ablation/{slug(variant)}-{seed}",
                f"extract.features={features}",
                f"seed={seed}",
            )
            result = run_stage(
                "evaluate", recipe, flags=replace(flags, overrides=(*overrides, *of_variant, *own))
            )
            _require_metrics(ablation.metrics, result, file=file)
            rows[variant].append(result.metrics)
            metrics |= {f"{variant}:{seed}:{key}": result.metrics[key] for key in ablation.metrics}
            exit_code = max(exit_code, result.exit_code)
            statuses.add(result.status)
    return CommandResult(
        status=statuses.pop() if len(statuses) == 1 else "done",
        exit_code=exit_code,
        run=str(run),
        metrics=metrics,
        outputs={"runs": f"{run}-ablation"},
        lines=tuple(_table(rows, metrics=ablation.metrics, num_seeds=len(ablation.seeds))),
    )


def _require_metrics(names: tuple[str, ...], result: CommandResult, *, file: Path) -> None:
    missing = [name for name in names if name not in result.metrics]
    if missing:
        raise UsageError(
            f"{result.run} has no metric {', '.join(missing)}",
            at=str(file),
            fix=f"`metrics:` may name {', '.join(result.metrics)}",
        )


def _table(
    rows: Mapping[str, Sequence[Mapping[str, Any]]], *, metrics: tuple[str, ...], num_seeds: int
) -> list[str]:
    """Return a Markdown table: the mean over the seeds, and in brackets the lowest and the highest.

    A row is a variant. Of one variant alone a row is a metric, with its baselines beside it.
    """
    seeds = f"{num_seeds} seed{'s' if num_seeds > 1 else ''}"
    if len(rows) == 1:
        [(name, of_seeds)] = rows.items()
        head = [f"| {name}, {seeds} | score | beside it |", "|---|---|---|"]
        return [*head, *(_metric_line(key, of_seeds) for key in metrics)]
    lines = [f"| {seeds} | " + " | ".join(metrics) + " |", "|---" * (len(metrics) + 1) + "|"]
    for name, of_seeds in rows.items():
        cells = [_cell([float(of_seed[key]) for of_seed in of_seeds]) for key in metrics]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _metric_line(key: str, of_seeds: Sequence[Mapping[str, Any]]) -> str:
    """Return the row of one metric: its own cell, and one with those of the baselines that it has."""
    own = _cell([float(found[key]) for found in of_seeds])
    beside = [
        f"{end.replace('_', ' ')} {_cell([float(found[f'{key}.{end}']) for found in of_seeds])}"
        for end in _BASELINES
        if all(f"{key}.{end}" in found for found in of_seeds)
    ]
    return f"| {key} | {own} | {', '.join(beside)} |"


def _cell(values: list[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.3f}"
    low, high = f"{min(values):.3f}", f"{max(values):.3f}"
    return low if low == high else f"{mean(values):.3f} ({low} to {high})"

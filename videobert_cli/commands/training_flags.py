"""What `pretrain` and `finetune` have in common beside making their stage: the page of a training, and the search."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from videobert_cli.commands.models import require_model
from videobert_cli.commands.results import CommandResult
from videobert_cli.commands.session import console_and_stop
from videobert_cli.commands.stage_command import StageFlags, load_with_flags, run_stage
from videobert_cli.errors import UsageError
from videobert_cli.runtime import launched_rank

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from videobert_cli.pipeline.run import Run
    from videobert_cli.pipeline.sweep import SweepResult
    from videobert_cli.recipe.load import LoadedRecipe
    from videobert_cli.recipe.sweep import Sweep

Target = Literal["pretrain", "finetune", "caption", "retrieval"]
ReportOption = Annotated[
    bool,
    typer.Option("--report", help="Make the page of the training as it is now, finished or not, and stop."),
]
SweepOption = Annotated[
    Path | None,
    typer.Option(
        "--sweep", metavar="FILE", help="Search the recipe's keys that this file names, one training a trial."
    ),
]


def train(
    target: Target,
    recipe: str,
    *,
    flags: StageFlags,
    model: Path | None = None,
    is_report: bool = False,
    sweep: Path | None = None,
) -> CommandResult:
    """Make the stage; or the page of its training, or many trainings, as the flags say."""
    if is_report and sweep is not None:
        raise UsageError(
            "--report and --sweep cannot both be given", at="command line", fix="drop one of them"
        )
    if is_report and not flags.is_print_config:
        return make_report_page(target, recipe, flags=flags, model=model)
    if sweep is not None and not flags.is_print_config:
        return run_sweep(target, recipe, sweep_path=sweep, flags=flags, model=model)
    return run_stage(target, recipe, flags=flags, model=model)


def make_report_page(
    target: Target, recipe: str, *, flags: StageFlags, model: Path | None = None
) -> CommandResult:
    """Make the page of what the run's training has logged; the training may go on meanwhile."""
    loaded = load_with_flags(recipe, flags=flags)
    if model is not None:
        require_model(model)
    with console_and_stop(flags.common) as (console, stop):
        from videobert_cli.pipeline.run import Run
        from videobert_cli.pipeline.training_report import make_report
        from videobert_cli.runtime import pick_device

        run = Run(
            loaded,
            device=pick_device(flags.common.device),
            stop=stop,
            reporter=console,
            external_model=model,
        )
        page = make_report(run, target)
    return CommandResult(
        status="done", run=str(loaded.recipe.run), outputs={"report": str(page)}, lines=(f"report: {page}",)
    )


def run_sweep(
    target: Target, recipe: str, *, sweep_path: Path, flags: StageFlags, model: Path | None = None
) -> CommandResult:
    """Run the trials of a sweep and print the best; with `--dry-run` print the plan."""
    from videobert_cli.pipeline.study import require_optuna
    from videobert_cli.recipe.sweep import load_sweep

    loaded = load_with_flags(recipe, flags=flags)
    sweep = load_sweep(sweep_path, recipe=loaded.path, overrides=loaded.overrides)
    require_optuna()
    if model is not None:
        require_model(model)
    rank = launched_rank()
    if rank is not None and rank.num_ranks > 1:
        raise UsageError(
            "a sweep runs its trials one after another in one process",
            at="torchrun",
            fix="run it without torchrun, on one device",
        )
    if flags.is_dry_run:
        plan = run_stage(target, recipe, flags=flags, model=model)
        return CommandResult(
            status="planned",
            run=plan.run,
            metrics=plan.metrics,
            outputs={**plan.outputs, "sweep": sweep.record()},
            lines=(*_sweep_lines(sweep, target=target), *plan.lines),
        )
    return _swept(target, loaded, sweep=sweep, flags=flags, model=model)


def _sweep_lines(sweep: "Sweep", *, target: Target) -> list[str]:
    head = (
        f"sweep: {sweep.num_trials:,} trainings of {target}, {sweep.metric} to {sweep.direction}, "
        f"{sweep.sampler} draws, {sweep.pruner} prunes"
    )
    return [head, *(f"  {dimension.key}: {dimension.record()}" for dimension in sweep.space)]


def _swept(
    target: Target, loaded: "LoadedRecipe", *, sweep: "Sweep", flags: StageFlags, model: Path | None
) -> CommandResult:
    with console_and_stop(flags.common) as (console, stop):
        from videobert_cli.pipeline.run import Run
        from videobert_cli.pipeline.sweep import SweepRunner
        from videobert_cli.runtime import pick_device

        device = pick_device(flags.common.device)

        def make_run(
            of: "LoadedRecipe",
            watch: "Callable[[str, Mapping[str, Any]], None]" = lambda _stage, _record: None,
        ) -> "Run":
            return Run(
                of,
                device=device,
                stop=stop,
                reporter=console,
                external_model=model,
                is_strict=flags.is_strict,
                watch=watch,
            )

        run = make_run(loaded)
        run.require_data()
        runner = SweepRunner(run, sweep, target=target, make_run=make_run)
        result = runner.run(upstream=not flags.is_upstream_forbidden, overwrite=flags.is_overwrite)
    return _sweep_result(result, loaded, target=target, metric=sweep.metric)


def _sweep_result(
    result: "SweepResult", loaded: "LoadedRecipe", *, target: Target, metric: str
) -> CommandResult:
    from videobert_cli.recipe.sweep import setting

    counts = f"{result.num_trials:,} trials, {result.num_pruned:,} pruned, {result.num_failed:,} failed"
    lines = [
        f"{target}: {counts} -> {result.directory}",
        f"best: trial {result.best_number}, {metric} {result.best_value:.6g}",
        *(f"  {setting(key, value)}" for key, value in result.best_settings.items()),
        f"recipe: {result.best_recipe}",
    ]
    return CommandResult(
        status="nothing-to-do" if result.was_finished else "done",
        run=str(loaded.recipe.run),
        metrics={
            "sweep.num_trials": result.num_trials,
            "sweep.num_pruned": result.num_pruned,
            "sweep.num_failed": result.num_failed,
            "sweep.best.number": result.best_number,
            f"sweep.best.{metric}": result.best_value,
        },
        outputs={
            "sweep": str(result.directory),
            "best_recipe": str(result.best_recipe),
            "best_settings": dict(result.best_settings),
        },
        lines=tuple(lines),
    )

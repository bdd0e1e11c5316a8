"""What the commands of a recipe have in common: recipe in, stage made, result out."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from typer.exceptions import Exit

from videobert_cli.commands.console import Console
from videobert_cli.commands.models import require_model
from videobert_cli.commands.results import CommandResult
from videobert_cli.commands.session import CommonFlags, console_and_stop
from videobert_cli.runtime import StopRequest

if TYPE_CHECKING:
    from videobert_cli.pipeline.run import Run
    from videobert_cli.recipe.load import LoadedRecipe


# The stages that the processes of a `torchrun` make together.
_SHARED_STAGES = frozenset({"quantize", "pretrain", "finetune", "caption", "retrieval"})


@dataclass(frozen=True, kw_only=True)
class StageFlags:
    """The flags of a command that takes a recipe."""

    overrides: Sequence[str]
    seed: int | None
    is_dry_run: bool
    is_print_config: bool
    is_upstream_forbidden: bool
    is_overwrite: bool
    common: CommonFlags
    is_retry: bool = False
    is_strict: bool = False


def run_stage(target: str, recipe: str, *, flags: StageFlags, model: Path | None = None) -> CommandResult:
    """Make stage `target` of the recipe and what it needs; or print the plan or the resolved recipe.

    Of the processes that `torchrun` starts the first does that, the others take part in what they share.

    Heavy modules are imported here, after the recipe has been checked, so that a typo is answered at once.
    """
    if target not in _SHARED_STAGES or flags.is_print_config or flags.is_dry_run:
        return _run_stage(target, recipe, flags=flags, model=model)
    from videobert_cli.ranks import launched_ranks

    with launched_ranks() as ranks:
        if ranks.is_first:
            from videobert_cli.pipeline.ranks import dismiss

            result = _run_stage(target, recipe, flags=flags, model=model)
            dismiss(ranks)
            # torchrun takes any code but 0 for a crash, and ends the other ranks.
            return result if ranks.num == 1 else replace(result, exit_code=0)
        with _live_run(load_with_flags(recipe, flags=flags), flags=flags, model=model, is_heard=False) as run:
            from videobert_cli.pipeline.execute import help_stages

            help_stages(run, ranks=ranks)
    # What there is to tell, rank 0 tells.
    raise Exit(0)


def _run_stage(target: str, recipe: str, *, flags: StageFlags, model: Path | None) -> CommandResult:
    from videobert_cli.recipe.snapshot import print_config

    loaded = load_with_flags(recipe, flags=flags)
    if flags.is_print_config:
        return CommandResult(
            status="printed",
            run=str(loaded.recipe.run),
            outputs={"recipe": loaded.recipe.settings()},
            lines=tuple(print_config(loaded).splitlines()),
        )
    if model is not None:
        require_model(model)
    if flags.is_dry_run:
        # A plan saves nothing, so it has nothing to do with signals: Ctrl-C ends it as it ends any program.
        return _plan(target, loaded, flags=flags, console=Console(flags.common.verbosity), model=model)
    return _run(target, loaded, flags=flags, model=model)


@contextlib.contextmanager
def prepared_run(recipe: str, *, flags: StageFlags) -> "Iterator[Run]":
    """Yield the run of a recipe, its data checked, its console and signals live until the end of `with`."""
    with _live_run(load_with_flags(recipe, flags=flags), flags=flags, model=None) as run:
        yield run


def load_with_flags(recipe: str, *, flags: StageFlags) -> "LoadedRecipe":
    """Load the recipe with `--set` and `--seed` put in."""
    from videobert_cli.recipe.load import load_recipe
    from videobert_cli.recipe.names import resolve_recipe

    overrides = list(flags.overrides)
    if flags.seed is not None:
        overrides.append(f"seed={flags.seed}")
    return load_recipe(resolve_recipe(recipe), overrides=overrides)


def _plan(
    target: str, loaded: "LoadedRecipe", *, flags: StageFlags, console: Console, model: Path | None
) -> CommandResult:
    from videobert_cli.pipeline.plan import make_plan
    from videobert_cli.pipeline.run import Run
    from videobert_cli.runtime import pick_device

    run = Run(
        loaded,
        device=pick_device(flags.common.device),
        stop=StopRequest(),
        reporter=console,
        external_model=model,
        on_failed="retry" if flags.is_retry else "keep",
        is_strict=flags.is_strict,
    )
    plan = make_plan(run, target=target)
    return CommandResult(
        status="planned",
        run=str(loaded.recipe.run),
        metrics=plan.facts,
        outputs={"stages": plan.stages, "needs": list(plan.needs)},
        lines=plan.lines,
    )


@contextlib.contextmanager
def _live_run(
    loaded: "LoadedRecipe", *, flags: StageFlags, model: Path | None, is_heard: bool = True
) -> "Iterator[Run]":
    """Yield the run, its console and signals live; one that is not heard tells nothing."""
    with console_and_stop(flags.common) as (console, stop):
        from videobert_cli.pipeline.data_plan import tell_dataset
        from videobert_cli.pipeline.leaks import leaks_of_files, tell_leaks
        from videobert_cli.pipeline.reporter import SilentReporter
        from videobert_cli.pipeline.run import Run
        from videobert_cli.runtime import pick_device

        run = Run(
            loaded,
            device=pick_device(flags.common.device),
            stop=stop,
            reporter=console if is_heard else SilentReporter(),
            external_model=model,
            on_failed="retry" if flags.is_retry else "keep",
            is_strict=flags.is_strict,
        )
        run.require_data()
        tell_dataset(run)
        tell_leaks(run, leaks_of_files(run))
        yield run


def _run(target: str, loaded: "LoadedRecipe", *, flags: StageFlags, model: Path | None) -> CommandResult:
    with _live_run(loaded, flags=flags, model=model) as run:
        from videobert_cli.pipeline.execute import run_pipeline

        result = run_pipeline(
            run, target=target, upstream=not flags.is_upstream_forbidden, overwrite=flags.is_overwrite
        )
    partial = result.num_failed > 0
    nothing = result.was_finished and not partial
    return CommandResult(
        status="partial" if partial else "nothing-to-do" if nothing else "done",
        exit_code=4 if partial else 0,
        run=str(loaded.recipe.run),
        metrics=dict(result.report.facts),
        outputs={target: str(run.directory(target))},
        lines=(
            f"{target}: {'nothing to do, ' if nothing else ''}{result.report.summary} -> {run.directory(target)}",
        ),
    )

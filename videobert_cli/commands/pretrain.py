"""`videobert pretrain`: a shell around the pipeline's pretrain stage."""

from typing import Annotated

import typer

from videobert_cli.commands import flags
from videobert_cli.commands.results import CommandResult
from videobert_cli.commands.session import CommonFlags
from videobert_cli.commands.stage_command import StageFlags, prepared_run
from videobert_cli.commands.training_flags import ReportOption, SweepOption, train
from videobert_cli.errors import UsageError

HELP = """Visual words and sentences become a pretrained model.

It learns masked language, masked visual words, and which words and sentences belong together.

What lies before it and is missing is made first; what is finished is not made again; a stopped run goes on.

A page shows its curves when it is finished, and with --report at any time: pretrain/report/index.html in the run.

With --sweep FILE it is trained many times with other values, and the best becomes a recipe.

With --show N nothing is trained: the first N sequences are printed, and a page shows them with pictures of their words.

\b
Examples:
  videobert pretrain recipes/demo.yaml
  videobert pretrain recipes/demo.yaml --show 5
  videobert pretrain recipes/demo.yaml --sweep sweep.yaml
"""


def command(  # noqa: PLR0913 - one parameter a flag
    *,
    recipe: flags.RecipeArgument,
    show: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100,
            metavar="N",
            help="Print the first N training sequences, write a page of them and stop.",
        ),
    ] = None,
    report: ReportOption = False,
    sweep: SweepOption = None,
    overrides: flags.SetOption = [],  # noqa: B006 - typer reads the default, nothing changes it
    dry_run: flags.DryRunOption = False,
    print_config: flags.PrintConfigOption = False,
    no_upstream: flags.NoUpstreamOption = False,
    overwrite: flags.OverwriteOption = False,
    strict: flags.StrictOption = False,
    device: flags.DeviceOption = "auto",
    seed: flags.SeedOption = None,
    json: flags.JsonOption = False,  # noqa: ARG001 - read by the frame around all commands
    quiet: flags.QuietOption = False,
    verbose: flags.VerboseOption = False,
    debug: flags.DebugOption = False,  # noqa: ARG001 - read by the frame around all commands
) -> CommandResult:
    """Make the pretrain stage of a recipe."""
    stage_flags = StageFlags(
        overrides=overrides,
        seed=seed,
        is_dry_run=dry_run,
        is_print_config=print_config,
        is_upstream_forbidden=no_upstream,
        is_overwrite=overwrite,
        is_strict=strict,
        common=CommonFlags(device=device, is_quiet=quiet, is_verbose=verbose),
    )
    if show is None or print_config:
        return train("pretrain", recipe, flags=stage_flags, is_report=report, sweep=sweep)
    if report or sweep is not None:
        raise UsageError(
            "--show prints sequences and trains nothing", at="command line", fix="drop --report and --sweep"
        )
    if dry_run:
        raise UsageError(
            "--show makes what is missing before pretraining, --dry-run writes nothing",
            at="command line",
            fix="drop one of them",
        )
    return _show(recipe, num_sequences=show, stage_flags=stage_flags)


def _show(recipe: str, *, num_sequences: int, stage_flags: StageFlags) -> CommandResult:
    with prepared_run(recipe, flags=stage_flags) as run:
        from videobert_cli.core.reports.sequences import MARKS
        from videobert_cli.pipeline.show_sequences import show_sequences

        shown = show_sequences(
            run,
            num_sequences=num_sequences,
            upstream=not stage_flags.is_upstream_forbidden,
            overwrite=stage_flags.is_overwrite,
        )
    blocks = [line for sequence in shown.sequences for line in (*sequence.lines(), "")]
    return CommandResult(
        status="partial" if shown.num_failed else "done",
        exit_code=4 if shown.num_failed else 0,
        run=str(run.paths.root),
        outputs={"page": str(shown.page), "sequences": [sequence.record() for sequence in shown.sequences]},
        lines=(*blocks, f"marks: {MARKS}", f"page: {shown.page}"),
    )

"""`videobert pretrain`: a shell around the pipeline's pretrain stage."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from videobert_cli.commands import flags, slurm
from videobert_cli.commands.results import CommandResult
from videobert_cli.commands.session import CommonFlags
from videobert_cli.commands.stage_command import StageFlags, load_with_flags, prepared_run
from videobert_cli.commands.training_flags import ReportOption, SweepOption, train
from videobert_cli.errors import UsageError

_NUM_RANKS = 8
_SLURM_FLAGS = frozenset({"--emit-slurm", "--num-ranks"})

HELP = """Visual words and sentences become a pretrained model.

It learns masked language, masked visual words, and which words and sentences belong together.

What lies before it and is missing is made first; what is finished is not made again; a stopped run goes on.

Several GPUs: torchrun --nproc-per-node N -m videobert_cli pretrain RECIPE; on a cluster, --emit-slurm writes the job.

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
    emit_slurm: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a SLURM job of --num-ranks GPUs and stop."),
    ] = None,
    num_ranks: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help=f"With --emit-slurm: GPUs, 8 a node ({_NUM_RANKS}).", show_default=False
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
    time_limit: flags.TimeLimitOption = None,
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
        common=CommonFlags(device=device, is_quiet=quiet, is_verbose=verbose, time_limit_seconds=time_limit),
    )
    if num_ranks is not None and emit_slurm is None:
        raise UsageError(
            "--num-ranks says how many GPUs --emit-slurm asks for, and there is no --emit-slurm",
            at="command line",
            fix="add --emit-slurm job.sh; on one machine: torchrun --nproc-per-node N -m videobert_cli pretrain RECIPE",
        )
    if emit_slurm is not None:
        # A typo must not be found when the job has waited a day for its nodes.
        load_with_flags(recipe, flags=stage_flags)
        arguments = slurm.without_flags(sys.argv[2:], names=_SLURM_FLAGS)
        return slurm.emit_training_slurm(emit_slurm, arguments=arguments, num_ranks=num_ranks or _NUM_RANKS)
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

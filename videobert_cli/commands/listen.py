"""`videobert listen`: a shell around the pipeline's listen stage."""

from typing import Annotated

import typer

from videobert_cli.commands import flags
from videobert_cli.commands.results import CommandResult
from videobert_cli.commands.session import CommonFlags
from videobert_cli.commands.stage_command import StageFlags, run_stage

HELP = """Speech becomes text, for videos that have no subtitles.

The recipe's `pretrain.text.asr` says what listens; `videobert pretrain` does this by itself.

A stopped run goes on; a video whose sound cannot be read is listed in quarantine.jsonl (exit code 4).

\b
Examples:
  videobert listen recipe.yaml
  videobert listen recipe.yaml --set pretrain.text.asr.engine=faster-whisper --set pretrain.text.asr.model=small.en
  videobert listen recipe.yaml --device cuda --dry-run
"""


def command(  # noqa: PLR0913 - one parameter a flag
    *,
    recipe: flags.RecipeArgument,
    overrides: flags.SetOption = [],  # noqa: B006 - typer reads the default, nothing changes it
    dry_run: flags.DryRunOption = False,
    print_config: flags.PrintConfigOption = False,
    overwrite: flags.OverwriteOption = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try quarantined videos again.")
    ] = False,
    time_limit: flags.TimeLimitOption = None,
    device: flags.DeviceOption = "auto",
    seed: flags.SeedOption = None,
    json: flags.JsonOption = False,  # noqa: ARG001 - read by the frame around all commands
    quiet: flags.QuietOption = False,
    verbose: flags.VerboseOption = False,
    debug: flags.DebugOption = False,  # noqa: ARG001 - read by the frame around all commands
) -> CommandResult:
    """Make the listen stage of a recipe."""
    stage_flags = StageFlags(
        overrides=overrides,
        seed=seed,
        is_dry_run=dry_run,
        is_print_config=print_config,
        is_upstream_forbidden=False,
        is_overwrite=overwrite,
        is_retry=retry_failed,
        common=CommonFlags(device=device, is_quiet=quiet, is_verbose=verbose, time_limit_seconds=time_limit),
    )
    return run_stage("listen", recipe, flags=stage_flags)

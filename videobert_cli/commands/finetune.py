"""`videobert finetune`: a shell around the pipeline's finetune stage."""

from videobert_cli.commands import flags
from videobert_cli.commands.results import CommandResult
from videobert_cli.commands.session import CommonFlags
from videobert_cli.commands.stage_command import StageFlags, load_with_flags
from videobert_cli.commands.training_flags import ReportOption, SweepOption, train

HELP = """A pretrained model learns classes, or another `finetune.task`.

What lies before it and is missing is made first; `--model DIR` starts from a model made elsewhere
with the same codebook.

A page shows its curves when it is finished, and with --report at any time: finetune/report/index.html in the run.

With --sweep FILE it is trained many times with other values, and the best becomes a recipe.

\b
Examples:
  videobert finetune recipes/demo.yaml --sweep sweep.yaml
  videobert finetune recipes/demo.yaml --set finetune.label=object --set run=runs/objects
  videobert finetune recipes/demo.yaml --model runs/other/pretrain/model
"""


def command(  # noqa: PLR0913 - one parameter a flag
    *,
    recipe: flags.RecipeArgument,
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
    model: flags.ModelOption = None,
    seed: flags.SeedOption = None,
    json: flags.JsonOption = False,  # noqa: ARG001 - read by the frame around all commands
    quiet: flags.QuietOption = False,
    verbose: flags.VerboseOption = False,
    debug: flags.DebugOption = False,  # noqa: ARG001 - read by the frame around all commands
) -> CommandResult:
    """Make the finetune stage of a recipe."""
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
    target = load_with_flags(recipe, flags=stage_flags).recipe.finetune.stage
    return train(target, recipe, flags=stage_flags, model=model, is_report=report, sweep=sweep)

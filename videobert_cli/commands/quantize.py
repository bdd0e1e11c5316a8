"""`videobert quantize`: a shell around the pipeline's quantize stage."""

from dataclasses import replace
from pathlib import Path

from videobert_cli.commands import flags
from videobert_cli.commands.results import CommandResult
from videobert_cli.commands.session import CommonFlags
from videobert_cli.commands.stage_command import StageFlags, run_stage

HELP = """Features become visual words: a codebook, and every video's words.

The codebook is a tree, fitted by hierarchical k-means on the training videos. Its quality is printed, and a page, the
gallery, shows the words: quantize/gallery/index.html in the run.

What lies before it and is missing is made first; what is finished is not made again; a stopped run goes on.

\b
Examples:
  videobert quantize recipes/demo.yaml
  videobert quantize recipes/demo.yaml --set quantize.num_levels=2 --set run=runs/small
  videobert quantize recipes/howto100m.yaml --dry-run
"""


def command(  # noqa: PLR0913 - one parameter a flag
    *,
    recipe: flags.RecipeArgument,
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
    """Make the quantize stage of a recipe."""
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
    result = run_stage("quantize", recipe, flags=stage_flags)
    return result if dry_run or print_config else _with_quality(result)


def _with_quality(result: CommandResult) -> CommandResult:
    """Return the result with the codebook's quality and the place of the gallery."""
    from videobert_cli.core.reports.codebook_lines import codebook_lines

    page = Path(str(result.outputs["quantize"])) / "gallery" / "index.html"
    gallery = {"gallery": str(page)} if page.is_file() else {}
    return replace(
        result,
        outputs={**result.outputs, **gallery},
        lines=(
            *result.lines,
            *codebook_lines(result.metrics),
            *(f"gallery: {path}" for path in gallery.values()),
        ),
    )

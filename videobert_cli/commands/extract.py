"""`videobert extract`: a recipe's extract stage, or features of named videos without a recipe."""

from pathlib import Path
from typing import Annotated

import typer

from videobert_cli.commands import flags
from videobert_cli.commands.inputs import expand_inputs
from videobert_cli.commands.results import CommandResult
from videobert_cli.commands.session import CommonFlags, console_and_stop
from videobert_cli.commands.stage_command import StageFlags, run_stage
from videobert_cli.errors import UsageError

HELP = """Videos become features: one vector for each clip of 30 frames.

With a recipe, the videos of its `data:` section; with --out DIR, the videos and folders named, by built-in defaults
(--backbone, --weights and --set extract.KEY=VALUE choose others; `videobert doctor` lists the backbones). Videos that
cannot be read are listed in quarantine.jsonl (exit code 4).

\b
Examples:
  videobert extract recipes/demo.yaml
  videobert extract clips/ more.mp4 --out features
  videobert extract clips/ --out features --backbone s3d --weights s3d.pth
"""


def command(  # noqa: PLR0913 - one parameter a flag
    *,
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="RECIPE | VIDEO", help="A recipe, or with --out: files, folders, globs, -."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write a feature store here, no recipe.")
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="With --out: efficientnet_lite0, s3d, transformers:DIR_OR_HUB_ID, a plug-in, ...",
        ),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="FILE", help="With --out: a weights file, or a name as in a recipe.")
    ] = None,
    null: Annotated[bool, typer.Option("--null", help="Names on standard input end with NUL.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try quarantined videos again.")
    ] = False,
    overrides: flags.SetOption = [],  # noqa: B006 - typer reads the default, nothing changes it
    dry_run: flags.DryRunOption = False,
    print_config: flags.PrintConfigOption = False,
    overwrite: flags.OverwriteOption = False,
    device: flags.DeviceOption = "auto",
    seed: flags.SeedOption = None,
    json: flags.JsonOption = False,  # noqa: ARG001 - read by the frame around all commands
    quiet: flags.QuietOption = False,
    verbose: flags.VerboseOption = False,
    debug: flags.DebugOption = False,  # noqa: ARG001 - read by the frame around all commands
) -> CommandResult:
    """Extract features of a recipe's videos, or of the videos named."""
    common = CommonFlags(device=device, is_quiet=quiet, is_verbose=verbose)
    if out is not None:
        values = {"backbone": backbone, "weights": weights}
        chosen = {name: value for name, value in values.items() if value is not None}
        videos = expand_inputs(inputs, is_null_separated=null)
        return _extract_videos(
            videos, out=out, options=chosen, overrides=overrides, is_retry=retry_failed, common=common
        )
    if len(inputs) != 1 or backbone or weights or null:
        raise UsageError(
            "without --out, extract takes one recipe and no flag for named videos",
            at="command line",
            fix="videobert extract RECIPE; or videobert extract VIDEO... --out DIR",
        )
    stage_flags = StageFlags(
        overrides=overrides,
        seed=seed,
        is_dry_run=dry_run,
        is_print_config=print_config,
        is_upstream_forbidden=False,
        is_overwrite=overwrite,
        common=common,
        is_retry=retry_failed,
    )
    return run_stage("extract", inputs[0], flags=stage_flags)


def _extract_videos(
    videos: list[Path],
    *,
    out: Path,
    options: dict[str, str],
    overrides: list[str],
    is_retry: bool,
    common: CommonFlags,
) -> CommandResult:
    with console_and_stop(common) as (console, stop):
        from videobert_cli.pipeline.extract_files import extract_files

        report = extract_files(
            videos, directory=out, chosen=options, overrides=overrides, device=common.device,
            on_failed="retry" if is_retry else "keep", stop=stop, reporter=console,
        )  # fmt: skip
    num_videos = report.num_readable
    failed = f", {report.num_failed} failed" if report.num_failed else ""
    status = "partial" if report.num_failed else "done" if report.num_done else "nothing-to-do"
    return CommandResult(
        status=status,
        exit_code=4 if report.num_failed else 0,
        metrics={
            **report.facts,
            "extract.num_failed": report.num_failed,
            **{f"extract.failed.{reason}": count for reason, count in report.failures_by_reason.items()},
        },
        outputs={"features": str(out)},
        lines=(f"extract: {num_videos:,} videos, {report.num_clips:,} clips{failed}{report.speed} -> {out}",),
    )

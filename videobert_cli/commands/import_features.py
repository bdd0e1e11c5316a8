"""`videobert import`: published features become a feature store."""

from pathlib import Path
from typing import Annotated

import typer

from videobert_cli.commands import flags
from videobert_cli.commands.results import CommandResult
from videobert_cli.commands.session import CommonFlags, console_and_stop

HELP = """Published .npy features become a feature store.

One file is one video: an array [rows, size] of floating-point numbers, a row for each --clip-seconds. The id is the
path without .npy. Files that cannot be used are listed in quarantine.jsonl (exit code 4); nothing is ever unpickled.

A recipe takes the store by `extract.features: DIR`. A model made so cannot `predict` on raw videos.

\b
Examples:
  videobert import s3d_features/ --out features --clip-seconds 1.5
  videobert import s3d_features/ --out features --clip-seconds 1 --backbone-name s3d_howto100m
  videobert import clip_features/ --out features --clip-seconds 2 --json
"""


def command(
    *,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of .npy files, at any depth.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Write the feature store here.")],
    clip_seconds: Annotated[
        float, typer.Option(min=0.001, max=86_400, metavar="SECONDS", help="Time from one row to the next.")
    ],
    backbone_name: Annotated[
        str, typer.Option(metavar="NAME", help="What made them, in your words: part of the fingerprint.")
    ] = "unknown",
    json: flags.JsonOption = False,  # noqa: ARG001 - read by the frame around all commands
    quiet: flags.QuietOption = False,
    verbose: flags.VerboseOption = False,
    debug: flags.DebugOption = False,  # noqa: ARG001 - read by the frame around all commands
) -> CommandResult:
    """Import published features."""
    with console_and_stop(CommonFlags(is_quiet=quiet, is_verbose=verbose)) as (console, stop):
        from videobert_cli.pipeline.import_features import import_features

        report = import_features(
            folder,
            directory=out,
            clip_seconds=clip_seconds,
            backbone_name=backbone_name,
            stop=stop,
            reporter=console,
        )
    num_videos = report.num_done + report.num_kept
    failed = f", {report.num_failed:,} failed" if report.num_failed else ""
    nothing = "" if report.num_done or report.num_failed else "nothing to do, "
    counts = f"{num_videos:,} videos, {report.num_clips:,} clips of size {report.dim}{failed}"
    return CommandResult(
        status="partial" if report.num_failed else "done" if report.num_done else "nothing-to-do",
        exit_code=4 if report.num_failed else 0,
        metrics={
            "import.num_videos": num_videos,
            "import.num_clips": report.num_clips,
            "import.num_failed": report.num_failed,
            **{f"import.failed.{reason}": count for reason, count in report.failures_by_reason.items()},
        },
        outputs={"features": str(out)},
        lines=(f"import: {nothing}{counts} -> {out}",),
    )

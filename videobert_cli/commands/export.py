"""`videobert export`: features or words as files that any program reads."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from videobert_cli.commands import flags
from videobert_cli.commands.results import CommandResult
from videobert_cli.commands.session import CommonFlags, console_and_stop

HELP = """Features or words as .npy files or one HDF5 file.

STORE is a feature store, words that extraction kept, or those of `quantize`. With --to npy OUT is a folder of one file
a video, and index.jsonl says which is whose and when its clips start; with --to hdf5 (extra [hdf5]) OUT is one file.

OUT appears when it is whole. What is there is not replaced unasked.

\b
Examples:
  videobert export runs/demo/extract/features features-npy --to npy
  videobert export runs/demo/extract/features features.h5 --to hdf5
  videobert export runs/demo/quantize/words words-npy --to npy
"""


def command(
    *,
    store: Annotated[Path, typer.Argument(metavar="STORE", help="A feature store, or words.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder (npy) or file (hdf5) to write.")],
    to: Annotated[Literal["npy", "hdf5"], typer.Option("--to", help="The form.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is at OUT.")] = False,
    json: flags.JsonOption = False,  # noqa: ARG001 - read by the frame around all commands
    quiet: flags.QuietOption = False,
    verbose: flags.VerboseOption = False,
    debug: flags.DebugOption = False,  # noqa: ARG001 - read by the frame around all commands
) -> CommandResult:
    """Export features or words."""
    with console_and_stop(CommonFlags(is_quiet=quiet, is_verbose=verbose)) as (console, stop):
        from videobert_cli.pipeline.export import export

        report = export(
            store,
            out=out,
            form=to,
            on_existing="replace" if overwrite else "keep",
            stop=stop,
            reporter=console,
        )
    nothing = "" if report.is_new else "nothing to do, "
    counts = f"{report.num_videos:,} videos, {report.num_clips:,} clips"
    return CommandResult(
        status="done" if report.is_new else "nothing-to-do",
        metrics={
            "export.num_videos": report.num_videos,
            "export.num_clips": report.num_clips,
            "export.num_bytes": report.num_bytes,
        },
        outputs={"export": str(out)},
        lines=(f"export: {nothing}{counts}, {report.num_bytes / 1e6:,.1f} MB -> {out}",),
    )

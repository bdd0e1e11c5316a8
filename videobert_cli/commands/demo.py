"""`videobert demo`: writes the demo corpus, a little kitchen in real video files."""

from pathlib import Path
from typing import Annotated

import typer

from videobert_cli.commands import flags
from videobert_cli.commands.results import CommandResult
from videobert_cli.commands.session import CommonFlags, console_and_stop

HELP = """A demo corpus: a little kitchen in real video files.

H.264 videos with subtitles beside them, and videos.csv, which lists them with their labels.

The same seed gives the same pixels and the same text.

\b
Examples:
  videobert demo demo
  videobert demo small --train 8 --validation 2 --test 2
  videobert demo demo && videobert evaluate demo
"""


def command(
    *,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write it.")],
    train: Annotated[int, typer.Option(min=1, metavar="N", help="Training videos.")] = 120,
    validation: Annotated[int, typer.Option(min=0, metavar="N", help="Validation videos.")] = 12,
    test: Annotated[int, typer.Option(min=0, metavar="N", help="Test videos.")] = 40,
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="All randomness is a function of this number.")
    ] = 0,
    json: flags.JsonOption = False,  # noqa: ARG001 - read by the frame around all commands
    quiet: flags.QuietOption = False,
    verbose: flags.VerboseOption = False,
    debug: flags.DebugOption = False,  # noqa: ARG001 - read by the frame around all commands
) -> CommandResult:
    """Write the demo corpus."""
    from videobert_cli.demo.corpus import write_corpus

    with console_and_stop(CommonFlags(is_quiet=quiet, is_verbose=verbose)) as (console, stop):

        def on_progress(done: int, total: int) -> None:
            stop.raise_if_requested(f"{done} of {total} videos are written")
            console.progress("demo", done=done, total=total, detail="videos")

        report = write_corpus(
            directory,
            seed=seed,
            num_train_videos=train,
            num_validation_videos=validation,
            num_test_videos=test,
            on_progress=on_progress,
        )
    is_new = report.status != "already-finished"
    nothing = "" if is_new else "nothing to do, "
    summary = (
        f"demo: {nothing}{report.num_videos} videos, {report.num_steps:,} steps, "
        f"{report.video_seconds / 60:.0f} min, {report.num_bytes / 1e6:.0f} MB -> {directory}"
    )
    return CommandResult(
        status="done" if is_new else "nothing-to-do",
        metrics={"demo.num_videos": report.num_videos, "demo.num_steps": report.num_steps},
        outputs={"demo": str(directory)},
        lines=(summary,),
    )

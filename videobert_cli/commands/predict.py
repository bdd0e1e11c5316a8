"""`videobert predict`: answers about raw videos, from a model directory alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from videobert_cli.commands import flags
from videobert_cli.commands.console import print_json_line, print_results
from videobert_cli.commands.inputs import expand_inputs
from videobert_cli.commands.models import find_models
from videobert_cli.commands.results import CommandResult
from videobert_cli.commands.session import CommonFlags, console_and_stop
from videobert_cli.commands.timelines import timeline_lines
from videobert_cli.errors import MissingInputError, UsageError, VideoBERTError

HELP = """Raw videos become timelines: verbs, objects, classes, confidences.

VIDEO is a file, a folder, a quoted glob, @list.txt, or - for names on standard input (--null for find -print0). The
model is --model (a model directory or a run), else $VIDEOBERT_MODEL, else the newest finished run under ./runs.

\b
Examples:
  videobert predict clip.mp4
  videobert predict clips/ --model runs/demo --jsonl > answers.jsonl
  find . -name '*.mp4' -print0 | videobert predict - --null --json
"""


def command(  # noqa: PLR0913 - one parameter a flag
    *,
    videos: Annotated[list[str], typer.Argument(metavar="VIDEO", help="Files, folders, globs, @list or -.")],
    model: Annotated[
        str | None, typer.Option("--model", metavar="DIR", help="A model directory or a run.")
    ] = None,
    captions: Annotated[
        Path | None, typer.Option("--captions", metavar="FILE", help="Subtitles of the one video given.")
    ] = None,
    segment_seconds: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="Length of a segment without subtitles.")
    ] = 6.0,
    top: Annotated[int, typer.Option(min=1, max=100, metavar="N", help="Answers to each question.")] = 3,
    null: Annotated[bool, typer.Option("--null", help="Names on standard input end with NUL.")] = False,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="One JSON line for each video, as it is done.")
    ] = False,
    device: flags.DeviceOption = "auto",
    json: flags.JsonOption = False,
    quiet: flags.QuietOption = False,
    verbose: flags.VerboseOption = False,
    debug: flags.DebugOption = False,  # noqa: ARG001 - read by the frame around all commands
) -> CommandResult:
    """Answer about raw videos."""
    if json and jsonl:
        raise UsageError("--json and --jsonl cannot both be given", at="command line", fix="drop one of them")
    directories = find_models(model)
    paths = expand_inputs(videos, is_null_separated=null)
    if captions is not None and len(paths) != 1:
        raise UsageError(
            f"--captions is for one video, {len(paths)} were given",
            at="--captions",
            fix="put subtitles beside the videos",
        )
    if captions is not None and not captions.is_file():
        raise MissingInputError("there is no such file", at=f"--captions {captions}", fix="check the name")
    with console_and_stop(CommonFlags(device=device, is_quiet=quiet, is_verbose=verbose)) as (console, stop):
        from videobert_cli.core.tasks.options import PredictOptions
        from videobert_cli.core.tasks.timeline import Predictor
        from videobert_cli.core.training.model_directory import load_model
        from videobert_cli.core.video.folders import captions_beside
        from videobert_cli.runtime import pick_device

        console.line(f"model: {', '.join(str(directory) for directory in directories)}")
        torch_device = pick_device(device)
        loaded = [load_model(directory, device=torch_device) for directory in directories]
        predictor = Predictor(loaded, options=PredictOptions(segment_seconds=segment_seconds, top=top))
        answers: list[dict[str, Any]] = []
        failures: list[dict[str, str]] = []
        try:
            for path in paths:
                stop.raise_if_requested(f"{len(answers)} of {len(paths)} videos answered")
                try:
                    timeline = predictor.timeline(path, captions=captions or captions_beside(path))
                except VideoBERTError as error:
                    _require_input_error(error)
                    failures.append(
                        {"video": str(path), "error": error.what, "reason": getattr(error, "reason", "")}
                    )
                    console.warning(f"{path}: {error.what}")
                    continue
                document = _document(timeline)
                answers.append(document)
                _show(document, is_json_line=jsonl, is_document=json)
        finally:
            predictor.close()
    return _result(answers, failures=failures, directories=directories)


def _require_input_error(error: VideoBERTError) -> None:
    """Let a fault of one video pass as that video's; anything else ends the command."""
    if error.exit_code != MissingInputError.exit_code:
        raise error


def _document(timeline: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(timeline)


def _show(document: dict[str, Any], *, is_json_line: bool, is_document: bool) -> None:
    if is_json_line:
        print_json_line(document)
    elif not is_document:
        print_results(timeline_lines(document))


def _result(
    answers: list[dict[str, Any]], *, failures: list[dict[str, str]], directories: Sequence[Path]
) -> CommandResult:
    if failures and not answers:
        first = failures[0]
        raise MissingInputError(
            f"no video could be read: {first['error']}",
            at=first["video"],
            fix="give a file that plays in a video player; docs/formats.md lists the reasons",
        )
    return CommandResult(
        status="partial" if failures else "done",
        exit_code=4 if failures else 0,
        metrics={"predict.num_videos": len(answers), "predict.num_failed": len(failures)},
        outputs={
            "models": [str(directory) for directory in directories],
            "timelines": answers,
            "failures": failures,
        },
    )

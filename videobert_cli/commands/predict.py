"""`videobert predict`: answers about raw videos, from a model directory alone."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from videobert_cli.commands import flags
from videobert_cli.commands.answer_lines import document_lines
from videobert_cli.commands.console import Console, print_json_line, print_results
from videobert_cli.commands.inputs import expand_inputs
from videobert_cli.commands.models import find_models, models_of_recipe
from videobert_cli.commands.predict_files import PredictFiles
from videobert_cli.commands.predict_options import predict_options, split_recipe
from videobert_cli.commands.predict_text import (
    require_text_alone,
    require_text_for_moments,
    show_moments,
    show_text,
)
from videobert_cli.commands.results import CommandResult
from videobert_cli.commands.session import CommonFlags, console_and_stop
from videobert_cli.errors import InputError, MissingInputError, UsageError, VideoBERTError

if TYPE_CHECKING:
    from videobert_cli.core.tasks.options import PredictOptions

HELP = """Raw videos become timelines: verbs, objects, classes, confidences.

VIDEO is a file, a folder, a quoted glob, @list.txt, or - for names on standard input (--null for find -print0). The
model is --model (a model directory or a run), else $VIDEOBERT_MODEL, else the newest finished run under ./runs.

A recipe (*.yaml) in front of them, or alone, gives the model of its run and its `predict:` section. --task asks for
other answers than the timeline; --text in place of videos asks which visual words show a sentence.

\b
Examples:
  videobert predict clip.mp4 --task summarize --picture keys.png --cuts keys.ffconcat
  videobert predict clips/ --model runs/demo --jsonl > answers.jsonl
  find . -name '*.mp4' -print0 | videobert predict - --null --json
"""


def command(  # noqa: PLR0913 - one parameter a flag
    *,
    videos: Annotated[
        list[str],
        typer.Argument(metavar="[RECIPE] VIDEO", help="Files, folders, globs, @list or -; a recipe before."),
    ] = [],  # noqa: B006 - typer reads the default, nothing changes it
    text: Annotated[
        str | None,
        typer.Option("--text", metavar="SENTENCE", help="In place of videos: which visual words show it."),
    ] = None,
    within: Annotated[
        Path | None,
        typer.Option("--in", metavar="RUN", help="With --text: find the moments of this run's videos."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="DIR", help="A model directory or a run.")
    ] = None,
    captions: Annotated[
        Path | None, typer.Option("--captions", metavar="FILE", help="Subtitles of the one video given.")
    ] = None,
    segment_seconds: Annotated[
        float | None,
        typer.Option(
            min=0.1, metavar="SECONDS", help="Length of a segment without subtitles: the recipe's, else 6."
        ),
    ] = None,
    task: Annotated[
        list[str],
        typer.Option(
            "--task", metavar="NAME", help="What is asked, repeatable: the recipe's, else timeline."
        ),
    ] = [],  # noqa: B006 - typer reads the default, nothing changes it
    top: Annotated[
        int | None,
        typer.Option(min=1, max=100, metavar="N", help="Answers to each question: the recipe's, else 3."),
    ] = None,
    explain: Annotated[
        str | None,
        typer.Option(
            "--explain",
            metavar="METHOD",
            help="Which clips carried the timeline's answers: occlusion, gradients or attention.",
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            "--picture",
            metavar="FILE",
            help="Draw the answers about one video, or --text: .png or .html.",
        ),
    ] = None,
    cuts: Annotated[
        Path | None,
        typer.Option(
            "--cuts", metavar="FILE", help="Write the key clips of one video: .csv, .ffconcat or .mp4."
        ),
    ] = None,
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
    recipe, named = split_recipe(videos)
    if within is not None:
        require_text_for_moments(text, within=within, model=model)
    if text is not None and within is not None:
        options = predict_options(
            recipe, segment_seconds=segment_seconds, top=top, tasks=task, explain=explain
        )
        return show_moments(
            text,
            within=within,
            options=options,
            common=CommonFlags(device=device, is_quiet=quiet, is_verbose=verbose),
            is_json=json,
            is_json_line=jsonl,
        )
    directories = find_models(model) if recipe is None or model else models_of_recipe(recipe)
    options = predict_options(recipe, segment_seconds=segment_seconds, top=top, tasks=task, explain=explain)
    files = PredictFiles(picture=picture, cuts=cuts)
    common = CommonFlags(device=device, is_quiet=quiet, is_verbose=verbose)
    if text is not None:
        require_text_alone(named, task=task, files=files)
        return show_text(
            text,
            directories=directories,
            options=options,
            files=files,
            common=common,
            is_json=json,
            is_json_line=jsonl,
        )
    paths = _paths(named, options=options, is_null_separated=null)
    files.check(options, num_videos=len(paths))
    _check_captions(captions, num_videos=len(paths))
    show = partial(_show, is_json_line=jsonl, is_document=json)
    return _answer(
        paths,
        captions=captions,
        directories=directories,
        options=options,
        files=files,
        common=common,
        show=show,
    )


def _paths(named: Sequence[str], *, options: "PredictOptions", is_null_separated: bool) -> list[Path]:
    """Return the videos named, else those of the recipe.

    Raises:
        UsageError: There is none.
        MissingInputError: A name stands for nothing.
    """
    if not named and not options.inputs:
        raise UsageError(
            "there is nothing to answer about",
            at="command line",
            fix="name a video, or a sentence: videobert predict --text SENTENCE",
        )
    return expand_inputs(named or map(str, options.inputs), is_null_separated=is_null_separated)


def _check_captions(captions: Path | None, *, num_videos: int) -> None:
    if captions is not None and num_videos != 1:
        raise UsageError(
            f"--captions is for one video, {num_videos} were given",
            at="--captions",
            fix="put subtitles beside the videos",
        )
    if captions is not None and not captions.is_file():
        raise MissingInputError("there is no such file", at=f"--captions {captions}", fix="check the name")


def _answer(
    paths: Sequence[Path],
    *,
    captions: Path | None,
    directories: Sequence[Path],
    options: "PredictOptions",
    files: PredictFiles,
    common: CommonFlags,
    show: Callable[[dict[str, Any]], None],
) -> CommandResult:
    """Answer about one video after another; one that cannot be read is told of and passed over."""
    answers: list[dict[str, Any]] = []
    failures: list[dict[str, str]] = []
    written: list[Path] = []
    with console_and_stop(common) as (console, stop):
        from videobert_cli.core.tasks.predict import Predictor
        from videobert_cli.core.training.model_directory import load_model
        from videobert_cli.core.video.folders import captions_beside
        from videobert_cli.pipeline.word_pictures import word_pictures
        from videobert_cli.runtime import pick_device

        console.line(f"model: {', '.join(str(directory) for directory in directories)}")
        torch_device = pick_device(common.device)
        loaded = [load_model(directory, device=torch_device) for directory in directories]
        words = word_pictures(directories[0], num_words=loaded[0].codebook.num_words)
        predictor = Predictor(loaded, options=options)
        try:
            for path in paths:
                stop.raise_if_requested(f"{len(answers)} of {len(paths)} videos answered")
                try:
                    found = captions or _readable(captions_beside(path), console=console)
                    document = predictor.document(path, captions=found)
                except VideoBERTError as error:
                    _require_input_error(error)
                    failures.append(
                        {"video": str(path), "error": error.what, "reason": getattr(error, "reason", "")}
                    )
                    console.warning(f"{path}: {error.what}")
                    continue
                answers.append(document)
                show(document)
                written += files.write(document, predictor=predictor, words=words)
        finally:
            predictor.close()
        for file in written:
            console.line(f"written: {file}")
    return _result(answers, failures=failures, directories=directories, files=written)


def _readable(captions: Path | None, *, console: Console) -> Path | None:
    """Return what lies beside a video if it is captions: a `clip.json` may be anything, and costs no answer."""
    from videobert_cli.core.text.subtitles import read_subtitles

    try:
        if captions is not None:
            read_subtitles(captions)
    except InputError as error:
        console.warning(f"no text from {captions}: {error.what}")
        return None
    return captions


def _require_input_error(error: VideoBERTError) -> None:
    """Let a fault of one video pass as that video's; anything else ends the command."""
    if error.exit_code != MissingInputError.exit_code:
        raise error


def _show(document: dict[str, Any], *, is_json_line: bool, is_document: bool) -> None:
    if is_json_line:
        print_json_line(document)
    elif not is_document:
        print_results(document_lines(document))


def _result(
    answers: list[dict[str, Any]],
    *,
    failures: list[dict[str, str]],
    directories: Sequence[Path],
    files: Sequence[Path],
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
            "files": [str(path) for path in files],
        },
    )

"""`videobert predict --text SENTENCE`: which visual words show it, or with `--in RUN` which moments of its videos."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from videobert_cli.commands.answer_lines import moment_lines, text_lines
from videobert_cli.commands.console import print_json_line, print_results
from videobert_cli.commands.predict_files import PredictFiles
from videobert_cli.commands.results import CommandResult
from videobert_cli.commands.session import CommonFlags, console_and_stop
from videobert_cli.errors import UsageError

if TYPE_CHECKING:
    from videobert_cli.core.tasks.options import PredictOptions


def require_text_alone(videos: Sequence[str], *, task: Sequence[str], files: PredictFiles) -> None:
    """Refuse what has no meaning for a text.

    Raises:
        UsageError: Videos, tasks or a list of cuts are asked for, too.
    """
    others = [
        *videos,
        *(f"--task {name}" for name in task),
        *([f"--cuts {files.cuts}"] if files.cuts else []),
    ]
    if others:
        raise UsageError(
            "--text asks about a sentence, this about videos", at=others[0], fix="drop one of the two"
        )


def show_text(
    text: str,
    *,
    directories: Sequence[Path],
    options: "PredictOptions",
    files: PredictFiles,
    common: CommonFlags,
    is_json: bool,
    is_json_line: bool,
) -> CommandResult:
    """Print the words of the clips that show a text, and draw them if that was asked for."""
    files.check(None, num_videos=1)
    with console_and_stop(common) as (console, _stop):
        from videobert_cli.core.tasks.predict import imagined
        from videobert_cli.core.training.model_directory import load_model
        from videobert_cli.pipeline.word_pictures import word_pictures
        from videobert_cli.runtime import pick_device

        console.line(f"model: {', '.join(str(directory) for directory in directories)}")
        device = pick_device(common.device)
        models = [load_model(directory, device=device) for directory in directories]
        answer = imagined(models, text, options=options)
        if is_json_line:
            print_json_line(answer)
        elif not is_json:
            print_results(text_lines(answer))
        words = word_pictures(directories[0], num_words=models[0].codebook.num_words)
        written = files.draw_text(answer, words=words)
        for path in written:
            console.line(f"written: {path}" + (f" ({words.problem})" if words.problem else ""))
    return CommandResult(
        metrics={"predict.num_videos": 0, "predict.num_failed": 0},
        outputs={
            "models": [str(directory) for directory in directories],
            "text": answer,
            "files": [str(path) for path in written],
        },
    )


def require_text_for_moments(text: str | None, *, within: Path, model: str | None) -> None:
    """Refuse `--in` without a sentence, or with a model beside the run's own.

    Raises:
        UsageError: One of these is so.
    """
    if text is None:
        raise UsageError(
            "--in finds the moments that a sentence tells of",
            at=f"--in {within}",
            fix="add --text SENTENCE",
        )
    if model is not None:
        raise UsageError(
            "--in searches with the run's own model", at=f"--model {model}", fix="drop one of the two"
        )


def show_moments(
    text: str,
    *,
    within: Path,
    options: "PredictOptions",
    common: CommonFlags,
    is_json: bool,
    is_json_line: bool,
) -> CommandResult:
    """Print the moments of a run's videos that show a text."""
    with console_and_stop(common) as (console, _stop):
        from videobert_cli.pipeline.moments import find_moments
        from videobert_cli.runtime import pick_device

        console.line(f"model: {within / 'retrieval' / 'model'}")
        moments = find_moments(
            within,
            text,
            segment_seconds=options.segment_seconds,
            num=options.top,
            search=options.search,
            device=pick_device(common.device),
        )
        answer = {"text": text, "moments": [asdict(moment) for moment in moments]}
        if is_json_line:
            print_json_line(answer)
        elif not is_json:
            print_results(moment_lines(answer))
    return CommandResult(
        run=str(within),
        metrics={"predict.num_videos": 0, "predict.num_failed": 0},
        outputs={"models": [str(within / "retrieval" / "model")], "text": answer},
    )

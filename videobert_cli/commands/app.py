"""The `videobert` command: its subcommands, its errors in three lines, its exit codes."""

import contextlib
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.exceptions import Abort, Exit, TyperException

from videobert_cli.commands import (
    demo,
    doctor,
    evaluate,
    export,
    extract,
    finetune,
    import_features,
    listen,
    predict,
    pretrain,
    quantize,
    verify,
)
from videobert_cli.commands.console import (
    ReaderGoneError,
    print_document,
    print_error,
    print_help,
    print_results,
)
from videobert_cli.commands.failures import CODE_CTRL_C, CODE_USAGE, describe
from videobert_cli.commands.results import CommandResult, error_document
from videobert_cli.errors import OtherRankFailedError, ResourceError

_HELP = """VideoBERT whole: from videos with subtitles to answers about a clip.

\b
  videobert demo demo                     write a small corpus of real video files
  videobert evaluate demo                 run every stage on it and print the scores
  videobert predict demo/videos/NAME.mp4  ask the trained model about a video
"""
_STAGES = {
    "extract": extract,
    "quantize": quantize,
    "pretrain": pretrain,
    "finetune": finetune,
    "evaluate": evaluate,
    "predict": predict,
}
_HELPERS = {
    "demo": demo,
    "listen": listen,
    "import": import_features,
    "export": export,
    "verify": verify,
    "doctor": doctor,
}
COMMANDS = (*_STAGES, *_HELPERS)

app = typer.Typer(
    name="videobert",
    help=_HELP,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for _name, _module in {**_STAGES, **_HELPERS}.items():
    app.command(
        _name, help=_module.HELP, short_help=_module.HELP.splitlines()[0], no_args_is_help=_name != "doctor"
    )(_module.command)


@app.callback(invoke_without_command=True, help=_HELP)
def _root(
    *,
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        from videobert_cli.runtime import package_version

        print_results([f"videobert {package_version()}"])
        raise Exit(0)
    if context.invoked_subcommand is None:
        print_help(context.get_help())
        raise Exit(CODE_USAGE)


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code; nothing but the result ever reaches stdout."""
    is_json, is_debug = "--json" in arguments, "--debug" in arguments
    command = next((word for word in arguments if not word.startswith("-")), "")
    try:
        outcome = app(list(arguments), prog_name="videobert", standalone_mode=False)
        if outcome == CODE_CTRL_C:  # what typer makes of a KeyboardInterrupt
            raise KeyboardInterrupt
        return _show_outcome(outcome, command=command, is_json=is_json)
    except ReaderGoneError:
        return 0
    except OtherRankFailedError as error:
        return error.ends_with
    except Exit as end:
        return int(end.exit_code)
    except (Exception, KeyboardInterrupt, SystemExit, Abort) as error:  # noqa: BLE001 - the frame around everything
        return _fail(error, command=command, is_json=is_json, is_debug=is_debug)


def _show_outcome(outcome: Any, *, command: str, is_json: bool) -> int:
    if not isinstance(outcome, CommandResult):
        return int(outcome or 0)
    if is_json:
        print_document(outcome.document(command))
    else:
        print_results(outcome.lines)
    return outcome.exit_code


def _fail(error: BaseException, *, command: str, is_json: bool, is_debug: bool) -> int:
    if isinstance(error, SystemExit):
        # Typer's way of saying that help could not be written because its reader has gone.
        return 0
    if isinstance(error, TyperException) and error.message.startswith("Usage: "):
        print_help(error.message)
        return CODE_USAGE
    if is_debug:
        traceback.print_exception(error)
    # Typer wraps an EOFError of ours (a file that ends early) in its Abort.
    cause = error.__cause__ if isinstance(error, Abort) and error.__cause__ else error
    failure = describe(cause, command=command, commands=COMMANDS)
    if is_json:
        with contextlib.suppress(ReaderGoneError, ResourceError):
            print_document(error_document(command, failure))
    print_error(what=failure.what, at=failure.at, fix=failure.fix)
    return failure.exit_code

"""The `videobert` command: its subcommands, its errors in three lines, its exit codes."""

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import Abort, Exit, TyperException

from videobert_cli.commands import (
    demo,
    doctor,
    evaluate,
    extract,
    finetune,
    predict,
    pretrain,
    quantize,
    verify,
)
from videobert_cli.commands.console import print_document, print_error, print_results
from videobert_cli.commands.results import CommandResult, error_document
from videobert_cli.errors import VideoBERTError

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
_HELPERS = {"demo": demo, "verify": verify, "doctor": doctor}
CODE_BUG, CODE_USAGE, CODE_RESOURCE, CODE_CTRL_C = 1, 2, 5, 130

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
        sys.stderr.write(context.get_help() + "\n")
        raise Exit(CODE_USAGE)


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code; nothing but the result ever reaches stdout."""
    is_json, is_debug = "--json" in arguments, "--debug" in arguments
    command = next((word for word in arguments if not word.startswith("-")), "")
    try:
        outcome = app(list(arguments), standalone_mode=False)
        return _show_outcome(outcome, command=command, is_json=is_json)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): nobody is left to tell, and nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exit as end:
        return int(end.exit_code)
    except (KeyboardInterrupt, Abort):
        return _fail(
            command,
            CODE_CTRL_C,
            "stopped by Ctrl-C",
            fix="run the same command again to go on",
            is_json=is_json,
        )
    except Exception as error:  # noqa: BLE001 - the frame around everything: each kind of error gets its exit code
        if is_debug:
            traceback.print_exc()
        code, what, at, fix = _describe(error, command=command)
        return _fail(command, code, what, at=at, fix=fix, is_json=is_json)


def _show_outcome(outcome: Any, *, command: str, is_json: bool) -> int:
    if not isinstance(outcome, CommandResult):
        return int(outcome or 0)
    if is_json:
        print_document(outcome.document(command))
    else:
        print_results(outcome.lines)
    return outcome.exit_code


def _fail(command: str, code: int, what: str, *, at: str = "", fix: str = "", is_json: bool) -> int:
    if is_json:
        print_document(error_document(command, exit_code=code, what=what, at=at, fix=fix))
    print_error(what=what, at=at, fix=fix)
    return code


def _describe(error: Exception, *, command: str) -> tuple[int, str, str, str]:
    """Return exit code, what, at and fix of any exception."""
    if isinstance(error, VideoBERTError):
        return error.exit_code, error.what, error.at, error.fix
    if isinstance(error, TyperException):
        known = f"videobert {command}" if command in {**_STAGES, **_HELPERS} else "videobert"
        what = error.format_message().rstrip(".")
        return CODE_USAGE, what[:1].lower() + what[1:], "command line", f"{known} --help"
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return (
            CODE_RESOURCE,
            "memory ran out",
            command,
            "use smaller batches (--set ...batch...) or a larger machine",
        )
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}:
        return (
            CODE_RESOURCE,
            f"cannot write: {error.strerror}",
            str(error.filename or "output"),
            "free some space and run again",
        )
    log = _write_crash_log()
    return (
        CODE_BUG,
        f"this is a bug in videobert: {type(error).__name__}: {error}",
        log,
        "report it with that file",
    )


def _write_crash_log() -> str:
    descriptor, name = tempfile.mkstemp(prefix="videobert-crash-", suffix=".log")
    with os.fdopen(descriptor, "w") as stream:
        traceback.print_exc(file=stream)
    return str(Path(name))

"""Any exception as an exit code and three lines: what, at, fix."""

import difflib
import errno
import os
import re
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from typer.exceptions import TyperException

from videobert_cli.errors import ArtifactError, CodebookMismatchError, VideoBERTError, is_out_of_memory

CODE_BUG, CODE_USAGE, CODE_INPUT, CODE_RESOURCE, CODE_CTRL_C = 1, 2, 3, 5, 130
_DISK_IS_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
# What a path may be that the user gave: not ours to read or write, of another kind, or no path at all.
_PATH_IS_UNUSABLE = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
}
_MEANT = re.compile(
    r"^(?P<what>.*?)[.]? (?:Did you mean (?P<one>.*)[?]|[(]Possible options: (?P<more>.*)[)])$"
)

_WAYS_OUT: dict[type[VideoBERTError], str] = {
    ArtifactError: "give one that is whole, or make it anew; `videobert verify PATH` names what is damaged",
    CodebookMismatchError: "use features, words and models that were made with one codebook, or make them anew",
    VideoBERTError: "mend what is named above, then run the same command again",
}


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The end of a command that failed."""

    exit_code: int
    what: str
    at: str
    fix: str


def describe(error: BaseException, *, command: str, commands: Sequence[str]) -> Failure:
    """Return the failure that an exception is; one that nobody foresaw is a bug, its traceback put in a file."""
    if isinstance(error, VideoBERTError):
        return Failure(
            exit_code=error.exit_code,
            what=error.what,
            at=error.at or command,
            fix=error.fix or _way_out(error),
        )
    if isinstance(error, KeyboardInterrupt):
        return Failure(
            exit_code=CODE_CTRL_C,
            what="stopped by Ctrl-C",
            at=command,
            fix="run the same command again to go on",
        )
    if isinstance(error, TyperException):
        return _usage(error, command=command, commands=commands)
    if is_out_of_memory(error):
        return Failure(
            exit_code=CODE_RESOURCE,
            what="memory ran out",
            at=command,
            fix="use smaller batches (--set pretrain.loop.batch_num_sequences=N, extract.batch_num_clips=N), "
            "let quantize keep less (quantize.max_memory_bytes=N) "
            "or a larger machine",
        )
    if isinstance(error, OSError) and error.errno in _DISK_IS_FULL | _PATH_IS_UNUSABLE:
        return _of_path(error)
    return Failure(
        exit_code=CODE_BUG,
        what=f"this is a bug in videobert: {type(error).__name__}: {error}",
        at=_write_crash_log(error),
        fix="report it with that file",
    )


def _way_out(error: VideoBERTError) -> str:
    """Return what mends an error whose raiser, deep in the core, could not know the command."""
    kind = next((kind for kind in _WAYS_OUT if isinstance(error, kind)), VideoBERTError)
    return _WAYS_OUT[kind]


def _usage(error: TyperException, *, command: str, commands: Sequence[str]) -> Failure:
    """Typer's own words, the suggestion taken out of them and put where the fix is."""
    what = error.format_message().rstrip(".")
    meant = ""
    if match := _MEANT.match(what):
        what, meant = match["what"], match["one"] or match["more"]
    elif command not in commands:
        meant = ", ".join(difflib.get_close_matches(command, commands, n=1))
    closest = difflib.get_close_matches(what.rpartition(" ")[2], meant.split(", "), n=1)
    meant = closest[0] if closest else meant
    known = f"videobert {command}" if command in commands else "videobert"
    others = "" if command in commands else f" (commands: {', '.join(commands)})"
    return Failure(
        exit_code=CODE_USAGE,
        what=what[:1].lower()
        + what[1:].replace("Input should be", "it should be").replace("Value error, ", ""),
        at="command line",
        fix=f"did you mean {meant}? {known} --help lists all" if meant else f"{known} --help{others}",
    )


def _of_path(error: OSError) -> Failure:
    path = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes | os.PathLike) else ""
    if error.errno in _DISK_IS_FULL:
        return Failure(
            exit_code=CODE_RESOURCE,
            what=f"cannot write: {error.strerror}",
            at=path or "output",
            fix="free some space and run again",
        )
    return Failure(
        exit_code=CODE_INPUT,
        what=f"cannot use this path: {error.strerror}",
        at=path,
        fix="give another path, or mend what lies there",
    )


def _write_crash_log(error: BaseException) -> str:
    descriptor, name = tempfile.mkstemp(prefix="videobert-crash-", suffix=".log")
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:
        traceback.print_exception(error, file=stream)
    return str(Path(name))

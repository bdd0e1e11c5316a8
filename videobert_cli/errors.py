"""The errors a user can meet: each says what happened, where, and the command that mends it.

An error knows its exit code (docs/commands.md lists them); the command line prints it as three lines,
`error:`, `at:` and `fix:`, and never shows a traceback unless `--debug` asks for one.
"""

from typing import ClassVar

# The last two are what oneDNN and C++ say when an allocation has failed.
_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "cublas_status_alloc_failed",
    "could not create a primitive",
    "bad_alloc",
)


class VideoBERTError(Exception):
    """Base of every error that videobert raises on purpose.

    Args:
        what: One sentence: what went wrong, with the offending value in it.
        at: Where: a file, a file and line, an option, an item. Empty when nothing can be named.
        fix: The command to run or the change to make.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, at: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.at = at
        self.fix = fix


class UsageError(VideoBERTError):
    """The command line asks for something that cannot be done as asked."""

    exit_code = 2


class RecipeError(UsageError):
    """The recipe is not valid; `what` lists all its problems, one a line, sorted by line number."""


class StaleStageError(UsageError):
    """A stage of the run was made from other settings or inputs than the recipe now asks for."""


class InputError(VideoBERTError):
    """An input is missing, empty or of the wrong kind."""

    exit_code = 3


class MissingInputError(InputError):
    """A file or folder that the recipe or the command names does not exist."""


class ManifestError(InputError):
    """The list of videos cannot be used; `at` names its file and line."""


class LeakError(InputError):
    """The same video is in two splits, and `--strict` was given; `what` lists the ids."""


class VideoError(InputError):
    """One video cannot be read. `reason` is one of the fixed words of docs/formats.md.

    Args:
        what: One sentence with the details.
        reason: The word under which the item is quarantined, for example `truncated`.
        at: The file.
    """

    def __init__(self, what: str, *, reason: str, at: str = "") -> None:
        super().__init__(
            what, at=at, fix="see quarantine.jsonl; repair or remove the file, then run the same command"
        )
        self.reason = reason


class ArtifactError(InputError):
    """An artifact on disk is damaged, incomplete, of another kind or of a newer format."""


class CodebookMismatchError(InputError):
    """Features, words or a model belong to another codebook or backbone than the one at hand."""


class NonFiniteLossError(InputError):
    """Training produced a loss that is not a number; the last good checkpoint is kept."""


class ResourceError(VideoBERTError):
    """Disk or memory ran out."""

    exit_code = 5


class LockedError(VideoBERTError):
    """Another live process works in this run directory."""

    exit_code = 6


class InterruptedRunError(VideoBERTError):
    """The run was asked to stop (SIGTERM, SIGUSR1, time limit) and has saved its state; run again to go on."""

    exit_code = 75


class LostRankError(ResourceError):
    """Another process of the same `torchrun` is gone and has told nothing: killed, or its machine with it."""


class OtherRankFailedError(VideoBERTError):
    """Another process of the same `torchrun` failed before this one, and tells; this one ends with `ends_with`."""

    exit_code = 5

    def __init__(self, *, ends_with: int) -> None:
        super().__init__("another process of this torchrun failed first")
        self.ends_with = ends_with


class KeyboardStopError(InterruptedRunError):
    """The run was stopped by Ctrl-C and has saved its state; run again to go on."""

    exit_code = 130


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory has run out: Python's and NumPy's error, torch's, CUDA's, cuBLAS's, oneDNN's."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in _OUT_OF_MEMORY)

"""Models that others made and a recipe names: where they are, whether they changed, and what is said of a wrong one."""

import functools
from pathlib import Path

from videobert_cli.artifacts import hash_file, hash_json
from videobert_cli.errors import InputError, MissingInputError


def place_of_model(model: str, *, at: str) -> str:
    """Return the directory of a model, or the name as given, which the package that runs it fetches.

    Raises:
        MissingInputError: It can only be a directory, and is not there; `at` names the recipe's key.
    """
    directory = Path(model).expanduser()
    if directory.is_dir():
        return str(directory)
    if model.startswith(("/", ".", "~")) or model.count("/") > 1:
        raise MissingInputError(
            "there is no such directory", at=f"{at}: {model}", fix="correct the path of the model"
        )
    return model


def model_identity(model: str) -> str:
    """Return a hash of the files of a model's directory, or the name of one that is fetched."""
    directory = Path(model).expanduser()
    if not directory.is_dir():
        return model
    files = sorted(path for path in directory.iterdir() if path.is_file() and not path.name.startswith("."))
    stamps = tuple((path, path.stat().st_size, path.stat().st_mtime_ns) for path in files)
    return _hash_of_files(stamps)


@functools.lru_cache(maxsize=8)
def _hash_of_files(stamps: tuple[tuple[Path, int, int], ...]) -> str:
    """Hash files once: a command asks several times, and a large Whisper is 3 GB."""
    return hash_json({path.name: hash_file(path) for path, _, _ in stamps})


def unusable_model(model: str, *, what: str, at: str, error: BaseException) -> InputError:
    """Return the error of a model that could not be loaded, with the first line of the package's own words."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return InputError(
        f"{what} ({lines[0][:300]})",
        at=f"{at}: {model}",
        fix="give the directory of a model, or check the name; names are fetched from the hub, which needs a network",
    )

"""Public models: named files of one from the Hugging Face hub or its cache on this disk, never code; and quiet."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from videobert_cli.errors import MissingInputError


def fetch_from_hub(name: str, *, files: Sequence[str], at: str, fix: str) -> Path:
    """Return the local copy of a hub model with the files that match `files` (glob patterns); others are not fetched.

    Raises:
        MissingInputError: There is no directory and no hub model of that name, or no network (`at` and `fix` say
            where the name came from and what else may be given).
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import EntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=list(files)))
    except (OSError, ValueError, EntryNotFoundError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise MissingInputError(
            f"there is no directory {name!r}, and the hub gave no model of that name ({reason})",
            at=at,
            fix=fix,
        ) from error


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers' bars and reports off the terminal inside `with`: what is wrong is told by us."""
    from transformers.utils import logging

    level, has_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if has_bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]

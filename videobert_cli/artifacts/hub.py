"""Named files of a public model, fetched from the Hugging Face hub or its cache on this disk; never code."""

from collections.abc import Sequence
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

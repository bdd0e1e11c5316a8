"""Features of files named on the command line, with no recipe."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from videobert_cli.core.features.extract import ExtractReport
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.video.manifest import videos_from_files
from videobert_cli.errors import MissingInputError, UsageError
from videobert_cli.pipeline.extraction import extract_reported
from videobert_cli.pipeline.reporter import Reporter
from videobert_cli.runtime import StopRequest, pick_device


def extract_files(
    files: Sequence[Path],
    *,
    directory: Path,
    chosen: Mapping[str, str],
    device: str,
    on_failed: Literal["keep", "retry"],
    stop: StopRequest,
    reporter: Reporter,
) -> ExtractReport:
    """Extract features of `files` into a store at `directory`; `chosen` overrides fields of `ExtractOptions`.

    Raises:
        UsageError: A chosen value is not one.
        MissingInputError: There is no such weights file.
        InputError: No file could be read.
    """
    try:
        given = {**ExtractOptions().settings(), **chosen}
        options = ExtractOptions.model_validate_json(json.dumps(given), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        name = "--" + str(first["loc"][0])
        raise UsageError(
            f"{first['msg'].lower()}, got {first['input']!r}", at=name, fix="videobert extract --help"
        ) from error
    if isinstance(options.weights, Path) and not options.weights.is_file():
        raise MissingInputError(
            "there is no such weights file", at=f"--weights {options.weights}", fix="check the name"
        )

    return extract_reported(
        videos_from_files(files),
        options=options,
        directory=directory,
        device=pick_device(device),
        on_failed=on_failed,
        stop=stop,
        reporter=reporter,
    )

"""Features of files named on the command line, with no recipe."""

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.features.sharding import Shard
from videobert_cli.core.video.manifest import videos_from_files
from videobert_cli.errors import MissingInputError, UsageError
from videobert_cli.pipeline.extract_shard import extract_files_shard
from videobert_cli.pipeline.extraction import ExtractEnd, ExtractJob, extract_reported
from videobert_cli.pipeline.locks import lock_alone
from videobert_cli.pipeline.reporter import Reporter
from videobert_cli.runtime import StopRequest, pick_device


def extract_files(
    files: Sequence[Path],
    *,
    directory: Path,
    chosen: Mapping[str, str],
    device: str,
    on_failed: Literal["keep", "retry"],
    shard: Shard | None = None,
    stop: StopRequest,
    reporter: Reporter,
) -> ExtractEnd:
    """Extract features of `files` into a store at `directory`; `chosen` overrides fields of `ExtractOptions`.

    Raises:
        UsageError: A chosen value is not one.
        MissingInputError: There is no such weights file.
        InputError: No file could be read.
        LockedError: Another process writes there.
    """
    job = ExtractJob(
        videos=videos_from_files(files),
        options=_options(chosen),
        directory=directory,
        device=pick_device(device),
        on_failed=on_failed,
        stop=stop,
        reporter=reporter,
    )
    if shard is not None:
        return extract_files_shard(job, shard)
    # Where nothing is to be written, not even a lock is.
    with nullcontext() if job.is_done() else lock_alone(directory):
        return ExtractEnd.of(extract_reported(job))


def _options(chosen: Mapping[str, str]) -> ExtractOptions:
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
    return options

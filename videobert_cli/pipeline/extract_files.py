"""Features of files named on the command line, with no recipe."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from videobert_cli.core.features.line.sharding import Shard
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.video.manifest import videos_from_files
from videobert_cli.errors import MissingInputError
from videobert_cli.pipeline.extract_shard import extract_files_shard
from videobert_cli.pipeline.extraction import ExtractEnd, ExtractJob, extract_reported
from videobert_cli.pipeline.kept_words import place_of
from videobert_cli.pipeline.locks import lock_alone
from videobert_cli.pipeline.reporter import Reporter
from videobert_cli.runtime import StopRequest, pick_device


def extract_files(
    files: Sequence[Path],
    *,
    directory: Path,
    options: ExtractOptions,
    device: str,
    on_failed: Literal["keep", "retry"],
    shard: Shard | None = None,
    stop: StopRequest,
    reporter: Reporter,
) -> ExtractEnd:
    """Extract features of `files` into a store at `directory`; with `keep: both`, into two stores under it.

    Raises:
        MissingInputError: There is no such weights file.
        InputError: No file could be read.
        LockedError: Another process writes there.
    """
    if isinstance(options.weights, Path) and not options.weights.is_file():
        raise MissingInputError(
            "there is no such weights file", at=f"--weights {options.weights}", fix="check the name"
        )
    torch_device = pick_device(device)
    place = place_of(
        options,
        words=directory if options.keep == "words" else directory / "words",
        features=directory if options.keep == "features" else directory / "features",
        device=torch_device,
    )
    job = ExtractJob(
        videos=videos_from_files(files),
        options=options,
        directory=place.directory,
        open_writer=place.open_writer,
        sealed_together=place.beside,
        device=torch_device,
        on_failed=on_failed,
        stop=stop,
        reporter=reporter,
    )
    if shard is not None:
        return extract_files_shard(job, shard)
    if job.is_done():
        # Where nothing is to be written, not even a lock is. Without it the store is not ours to seal: another process
        # may have begun to add to it, and sealing takes what is in flight away from under it.
        return ExtractEnd.of(extract_reported(job, at_end="leave"))
    with lock_alone(directory):
        return ExtractEnd.of(extract_reported(job))

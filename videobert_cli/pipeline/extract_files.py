"""Features of files named on the command line, with no recipe."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from videobert_cli.core.features.extract import ExtractProgress, ExtractReport, extract_features
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.video.manifest import videos_from_files
from videobert_cli.errors import InputError, MissingInputError, UsageError
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

    def on_progress(progress: ExtractProgress) -> None:
        done = progress.num_done + progress.num_kept + progress.num_failed
        failed = f"  {progress.num_failed} failed" if progress.num_failed else ""
        reporter.progress("extract", done=done, total=progress.num_total, detail=f"videos{failed}")

    report = extract_features(
        videos_from_files(files),
        options=options,
        directory=directory,
        device=pick_device(device),
        on_progress=on_progress,
        should_stop=lambda: stop.requested,
        retry_failed=on_failed == "retry",
    )
    stop.raise_if_requested(f"{report.num_readable:,} of {len(files):,} videos are extracted")
    if report.num_failed:
        failures = ", ".join(
            f"{count} {reason}" for reason, count in sorted(report.failures_by_reason.items())
        )
        path = directory / "quarantine.jsonl"
        reporter.warning(f"{report.num_failed:,} of {len(files):,} videos failed: {failures} -> {path}")
        if not report.num_readable:
            raise InputError(
                f"no video could be read: {failures}", at=str(path), fix="look at the reasons in that file"
            )
    return report

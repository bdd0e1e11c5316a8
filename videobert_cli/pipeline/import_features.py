"""Published features into a store, told and stopped as every long work is."""

from pathlib import Path

from videobert_cli.core.features.store.import_npy import ImportReport, import_npy
from videobert_cli.core.features.store.quarantine import QUARANTINE_NAME
from videobert_cli.errors import MissingInputError
from videobert_cli.pipeline.locks import lock_alone
from videobert_cli.pipeline.reporter import Reporter
from videobert_cli.runtime import StopRequest


def import_features(
    folder: Path,
    *,
    directory: Path,
    clip_seconds: float,
    backbone_name: str,
    stop: StopRequest,
    reporter: Reporter,
) -> ImportReport:
    """Import the `.npy` files under `folder` into the feature store at `directory`.

    Raises:
        MissingInputError: There is no such folder.
        InputError: No file could be used.
        LockedError: Another process writes there.
        InterruptedRunError: A stop was asked for; what is done is kept.
    """
    if not folder.is_dir():
        raise MissingInputError("there is no such folder", at=str(folder), fix="check the name")

    def on_progress(done: int, total: int) -> None:
        if done < total:
            stop.raise_if_requested(f"{done:,} of {total:,} files are imported")
        reporter.progress("import", done=done, total=total, detail="files")

    with lock_alone(directory):
        report = import_npy(
            folder,
            directory=directory,
            clip_seconds=clip_seconds,
            backbone_name=backbone_name,
            on_progress=on_progress,
        )
    if report.num_failed:
        failures = ", ".join(f"{count} {reason}" for reason, count in report.failures_by_reason.items())
        reporter.warning(
            f"{report.num_failed:,} files were not imported: {failures} -> {directory / QUARANTINE_NAME}"
        )
    return report

"""A file of results that shell loops fill, several processes at once: one line an evaluation, none twice."""

import json
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from videobert_cli.artifacts import append_line, hash_json, read_manifest
from videobert_cli.errors import ArtifactError, LockedError, ResourceError
from videobert_cli.pipeline.evaluate_stage import REPORT_NAME

SCHEMA = "videobert/evaluation-1"
_PATIENCE_SECONDS = 60.0


def append_evaluation(path: Path, evaluation: Path, *, run: str, model: str | None) -> bool:
    """Append the line of a finished evaluation's directory, unless the file has it; return whether it was appended.

    An evaluation is what it was made of: model, words, labels and settings. A run that was killed and repeated, or the
    same model under another name, has one line.

    Raises:
        ArtifactError: A line of the file is no evaluation's.
        LockedError: Another process has held the file for a minute.
        ResourceError: The file cannot be written.
    """
    manifest = read_manifest(evaluation, kind="evaluation")
    report = json.loads((evaluation / REPORT_NAME).read_text())
    key = hash_json([dict(manifest.settings), dict(manifest.parents)])
    entry = {
        "schema": SCHEMA,
        "key": key,
        "run": run,
        "model": model,
        "split": report["split"],
        "metrics": report["metrics"],
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f"{path.name}.lock"), timeout=_PATIENCE_SECONDS):
            if key in _keys(path):
                return False
            append_line(path, entry)
    except Timeout as error:
        raise LockedError(
            f"another process has held {path} for a minute", at=str(path), fix="run the same command again"
        ) from error
    except OSError as error:
        raise ResourceError(
            f"{path} cannot be written: {error.strerror}", at=f"--append {path}", fix="name another file"
        ) from error
    return True


def _keys(path: Path) -> set[Any]:
    if not path.exists():
        return set()
    keys = set()
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            keys.add(json.loads(line)["key"])
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactError(
                f"line {number} is no evaluation",
                at=str(path),
                fix="name a new file, or take the line out",
            ) from error
    return keys

"""`videobert verify`: re-hash artifacts and say what is damaged."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from videobert_cli.artifacts import MANIFEST_NAME, Damage, read_manifest, verify
from videobert_cli.commands import flags
from videobert_cli.commands.results import CommandResult
from videobert_cli.errors import ArtifactError, MissingInputError

_NUM_SHOWN = 20
# A feature store has this file from its beginning, its manifest only once it is sealed.
_STORE_NAME = "store.json"
# A run that trains replaces its checkpoints every few seconds at most.
_NUM_TRIES = 3
_FIX = "remove the artifact and run its stage again; what it was made from is still there"
HELP = """Artifacts are read again and compared with their hashes.

PATH is an artifact (a feature store, codebook, model, checkpoint, demo corpus) or a folder with artifacts in it, such
as a run. A feature store may be verified while it is being written.

\b
Examples:
  videobert verify runs/demo
  videobert verify runs/demo/extract/features --deep
  videobert verify demo --json
"""


@dataclass(frozen=True, kw_only=True)
class _Checked:
    """What was found of one artifact: its line, or problems; neither where it is gone."""

    artifact: Path
    problems: tuple[str, ...] = ()
    fix: str = _FIX
    line: str = ""


def command(
    *,
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH", help="Artifacts, or folders with artifacts.")
    ],
    deep: Annotated[
        bool, typer.Option("--deep", help="Also every video of a feature store against its own hash.")
    ] = False,
    json: flags.JsonOption = False,  # noqa: ARG001 - read by the frame around all commands
    debug: flags.DebugOption = False,  # noqa: ARG001 - read by the frame around all commands
) -> CommandResult:
    """Re-hash artifacts."""
    checked = [_check(artifact, is_deep=deep) for path in paths for artifact in _artifacts(path)]
    damaged = [result for result in checked if result.problems]
    if damaged:
        problems = [problem for result in damaged for problem in result.problems]
        more = [f"... and {len(problems) - _NUM_SHOWN} more"] if len(problems) > _NUM_SHOWN else []
        raise ArtifactError(
            "\n".join([*problems[:_NUM_SHOWN], *more]), at=str(damaged[0].artifact), fix=damaged[0].fix
        )
    lines = tuple(result.line for result in checked if result.line)
    return CommandResult(metrics={"verify.num_artifacts": len(lines)}, lines=lines)


def _line(artifact: Path) -> str:
    try:
        manifest = read_manifest(artifact)
    except ArtifactError:
        # Only a store may be without: it is being written, perhaps since it was checked a moment ago.
        from videobert_cli.core.features.store.reader import locate_items, read_description

        kind = read_description(artifact).get("kind", "features")
        return f"ok  {kind:<10} being written  {len(locate_items(artifact)):,} videos  {artifact}"
    return f"ok  {manifest.kind:<10} {manifest.content_hash[:12]}  {len(manifest.files)} files  {artifact}"


def _artifacts(path: Path) -> list[Path]:
    if not path.exists():
        raise MissingInputError("there is nothing here", at=str(path), fix="name an artifact or a run")
    # What a killed process was writing or deleting lies under a hidden name and is no artifact.
    found = {
        mark.parent
        for name in (MANIFEST_NAME, _STORE_NAME)
        for mark in path.rglob(name)
        if not any(part.startswith(".") for part in mark.relative_to(path).parts)
    }
    if not found:
        raise ArtifactError(
            "there is no finished artifact here", at=str(path), fix="name an artifact or a run"
        )
    return sorted(found)


def _check(artifact: Path, *, is_deep: bool) -> _Checked:
    """Check one artifact; what was replaced meanwhile is looked at again, what was thrown away is not damaged."""
    result = _Checked(artifact=artifact)
    for _ in range(_NUM_TRIES):
        before = _change_of(artifact / MANIFEST_NAME)
        result = _look(artifact, is_deep=is_deep)
        if not result.problems:
            return result
        if not artifact.is_dir():
            return _Checked(artifact=artifact)
        if _change_of(artifact / MANIFEST_NAME) == before:
            return result
    return result


def _look(artifact: Path, *, is_deep: bool) -> _Checked:
    try:
        problems = tuple(f"{damage.path} {damage.problem}" for damage in _damages(artifact, is_deep=is_deep))
        return _Checked(artifact=artifact, problems=problems, line="" if problems else _line(artifact))
    except ArtifactError as error:
        problem, fix = f"{error.at}: {error.what}", error.fix or _FIX
        return _Checked(artifact=artifact, problems=(problem,), fix=fix)
    except FileNotFoundError as error:
        return _Checked(artifact=artifact, problems=(f"{error.filename} is missing",))


def _damages(artifact: Path, *, is_deep: bool) -> list[Damage]:
    """Compare files with the manifest, and where it is asked for every item of a feature store with its own hash."""
    if not (artifact / _STORE_NAME).is_file():
        return verify(artifact)
    from videobert_cli.core.features.store.check import verify_store

    return verify_store(artifact, depth="items" if is_deep else "files")


def _change_of(path: Path) -> tuple[int, int] | None:
    """Return what tells that a file has been replaced, None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns

"""`videobert verify`: re-hash artifacts and say what is damaged."""

from pathlib import Path
from typing import Annotated

import typer

from videobert_cli.artifacts import MANIFEST_NAME, Damage, read_manifest, verify
from videobert_cli.commands import flags
from videobert_cli.commands.results import CommandResult
from videobert_cli.errors import ArtifactError, MissingInputError

_NUM_SHOWN = 20
HELP = """Artifacts are read again and compared with their hashes.

PATH is an artifact (a feature store, codebook, model, checkpoint, demo corpus) or a folder with artifacts in it, such
as a run.

\b
Examples:
  videobert verify runs/demo
  videobert verify runs/demo/pretrain/model
  videobert verify demo --json
"""


def command(
    *,
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH", help="Artifacts, or folders with artifacts.")
    ],
    json: flags.JsonOption = False,  # noqa: ARG001 - read by the frame around all commands
    debug: flags.DebugOption = False,  # noqa: ARG001 - read by the frame around all commands
) -> CommandResult:
    """Re-hash artifacts."""
    artifacts = [artifact for path in paths for artifact in _artifacts(path)]
    damages = [damage for artifact in artifacts for damage in _check(artifact)]
    if damages:
        shown = [f"{damage.path} {damage.problem}" for damage in damages[:_NUM_SHOWN]]
        more = [f"... and {len(damages) - _NUM_SHOWN} more"] if len(damages) > _NUM_SHOWN else []
        raise ArtifactError(
            "\n".join([*shown, *more]),
            at=str(damages[0].path.parent),
            fix="remove the artifact and run its stage again; what it was made from is still there",
        )
    lines = []
    for artifact in artifacts:
        manifest = read_manifest(artifact)
        lines.append(
            f"ok  {manifest.kind:<10} {manifest.content_hash[:12]}  {len(manifest.files)} files  {artifact}"
        )
    return CommandResult(metrics={"verify.num_artifacts": len(artifacts)}, lines=tuple(lines))


def _artifacts(path: Path) -> list[Path]:
    if not path.exists():
        raise MissingInputError("there is nothing here", at=str(path), fix="name an artifact or a run")
    # What a killed process was writing or deleting lies under a hidden name and is no artifact.
    found = sorted(
        manifest.parent
        for manifest in path.rglob(MANIFEST_NAME)
        if not any(part.startswith(".") for part in manifest.relative_to(path).parts)
    )
    if not found:
        raise ArtifactError(
            "there is no finished artifact here", at=str(path), fix="name an artifact or a run"
        )
    return found


def _check(artifact: Path) -> list[Damage]:
    """Compare files with the manifest, and of a feature store every item with its own hash."""
    damages = verify(artifact)
    if damages or read_manifest(artifact).kind != "features":
        return damages
    from videobert_cli.core.features.store import verify_store

    return verify_store(artifact)

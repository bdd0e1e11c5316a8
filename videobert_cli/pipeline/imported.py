"""The extract stage where features were made elsewhere (`extract.features`): nothing is computed, all is matched."""

from videobert_cli.artifacts import hash_json, read_manifest
from videobert_cli.core.features.store.matching import MatchedFeatures
from videobert_cli.errors import InputError
from videobert_cli.pipeline.run import Run
from videobert_cli.pipeline.stage import StageReport

_NUM_SHOWN = 3


def imported_inputs(run: Run) -> dict[str, str]:
    """Return the hashes of what the stage takes: the features, and which videos are asked of them."""
    directory = run.recipe.extract.features
    assert directory is not None  # noqa: S101 - asked only of a recipe that names features
    return {
        "features": read_manifest(directory, kind="features").content_hash,
        "videos": hash_json([video.id for video in run.videos]),
    }


def take_imported(run: Run) -> StageReport:
    """Report which of the recipe's videos have features in the store it names.

    Raises:
        InputError: None has.
        ArtifactError: There is no sealed feature store.
    """
    store = run.store
    assert isinstance(store, MatchedFeatures)  # noqa: S101 - asked only of a recipe that names features
    known = set(store.ids())
    missing = [video.id for video in run.videos if video.id not in known]
    directory = run.recipe.extract.features
    if missing:
        shown = ", ".join(missing[:_NUM_SHOWN]) + (", ..." if len(missing) > _NUM_SHOWN else "")
        run.reporter.warning(
            f"{len(missing):,} of {len(run.videos):,} videos have no features in {directory}: {shown}"
        )
    if not known:
        raise InputError(
            f"none of the {len(run.videos):,} videos has features there, for example {missing[0]!r}",
            at=f"extract.features: {directory}",
            fix="a video finds the features of its own id, or of the last part of it: see index of the store "
            "(videobert export), and the `id` column of the manifest",
        )
    num_clips = store.num_clips()
    without = f", {len(missing):,} without features" if missing else ""
    return StageReport(
        summary=f"{len(known):,} videos, {num_clips:,} clips made elsewhere{without}",
        facts={
            "extract.num_videos": len(known),
            "extract.num_clips": num_clips,
            "extract.num_failed": len(missing),
        },
        num_failed=len(missing),
    )

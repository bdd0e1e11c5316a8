"""The survey on disk: the numbers of a codebook's quality, and the clips that stand for its words."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from videobert_cli import artifacts
from videobert_cli.core.words.nearest import WordClips
from videobert_cli.core.words.survey import DescentQuality, Survey
from videobert_cli.errors import ArtifactError

KIND = "survey"
CLIPS_NAME = "clips.safetensors"
DESCRIPTION_NAME = "survey.json"
_ARRAYS = ("words_R", "videos_RC", "clips_RC", "distances_RC", "radii_R")


def save_survey(survey: Survey, directory: Path, *, parents: Mapping[str, str]) -> str:
    """Write the artifact `survey` at `directory`, replacing what is there; return its content hash."""
    clips = survey.clips
    arrays = {name.rpartition("_")[0]: getattr(clips, name) for name in _ARRAYS}
    numbers = {
        key: value for key, value in asdict(replace(survey, clips=_no_clips(clips))).items() if key != "clips"
    }
    with artifacts.publish_directory(directory) as temporary:
        artifacts.publish_bytes(temporary / CLIPS_NAME, save_arrays(arrays))
        artifacts.publish_json(temporary / DESCRIPTION_NAME, {**numbers, "ids": list(clips.ids)})
        manifest = artifacts.seal(temporary, kind=KIND, parents=parents)
    return manifest.content_hash


def load_survey(directory: Path) -> Survey:
    """Return the survey at `directory`.

    Raises:
        ArtifactError: It is damaged, of another kind, or its parts do not fit each other.
    """
    artifacts.require_intact(directory, kind=KIND)
    try:
        description = json.loads((directory / DESCRIPTION_NAME).read_text(encoding="utf-8"))
        arrays = load_arrays((directory / CLIPS_NAME).read_bytes())
        clips = WordClips(
            ids=tuple(description["ids"]), **{name: arrays[name.rpartition("_")[0]] for name in _ARRAYS}
        )
        descent = description["descent"]
        return Survey(
            num_training_clips=int(description["num_training_clips"]),
            total_inertia=description["total_inertia"],
            projection_explained=description["projection_explained"],
            descent=None if descent is None else DescentQuality(**descent),
            clips=clips,
        )
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise ArtifactError(
            f"the parts of the survey do not fit each other ({error})",
            at=str(directory),
            fix=f"remove {directory}; `videobert quantize` makes it anew",
        ) from error


def _no_clips(clips: WordClips) -> WordClips:
    """Return the clips without their arrays, which `asdict` would copy."""
    return WordClips(ids=(), **{name: getattr(clips, name)[:0] for name in _ARRAYS})

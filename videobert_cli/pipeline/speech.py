"""What is said in videos without subtitles: where a run keeps it, one file a video, and what makes it another."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videobert_cli.artifacts import hash_json
from videobert_cli.core.features.store.source import source_fingerprint
from videobert_cli.core.text.borrowed_models import model_identity
from videobert_cli.core.video.entries import Video

if TYPE_CHECKING:
    from videobert_cli.pipeline.run import Run

# A network disk takes a millisecond and more to open a file.
_NUM_FILES_AT_ONCE = 16


@dataclass(frozen=True, kw_only=True)
class Speech:
    """A video without subtitles, and the file of its transcript: of these bytes, this model and these settings."""

    video: Video
    file: Path


def speech_directory(run: "Run") -> Path:
    """Return where the transcripts of a run lie."""
    return run.paths.stage("listen") / "transcripts"


def speech_settings(run: "Run") -> dict[str, Any]:
    """Return the settings that change what is heard."""
    return run.recipe.pretrain.text.asr.settings()


def speech_model(run: "Run") -> str:
    """Return what the model is: the hash of its files, or its name where the engine fetches it; empty without one."""
    model = run.recipe.pretrain.text.asr.model
    return model_identity(model) if model else ""


def speech_of(run: "Run") -> list[Speech]:
    """Return the videos without subtitles; empty unless the recipe names a recogniser, and reads what is said.

    A video that cannot be opened has a file all the same: it is never there.
    """
    if run.recipe.pretrain.text.asr.engine == "none" or run.sentence_source == "annotations":
        return []
    videos = [video for video in run.videos if video.captions is None]
    settings = {key: value for key, value in speech_settings(run).items() if key != "model"}
    made_with = hash_json({"settings": settings, "model": speech_model(run)})
    with ThreadPoolExecutor(_NUM_FILES_AT_ONCE) as threads:
        sources = list(threads.map(lambda video: source_fingerprint(video.path), videos))
    directory = speech_directory(run)
    return [
        Speech(video=video, file=directory / f"{hash_json([video.id, source, made_with])}.json")
        for video, source in zip(videos, sources, strict=True)
    ]

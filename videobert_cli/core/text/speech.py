"""Speech into timed text by a recogniser: faster-whisper, or any speech model of transformers."""

import importlib.util
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from videobert_cli.core.text.audio import audio_windows
from videobert_cli.core.text.borrowed_models import place_of_model, unusable_model
from videobert_cli.errors import InputError

# Shapes: S samples at 16 kHz.

Engine = Literal["faster-whisper", "transformers"]
_PACKAGES = {"faster-whisper": "faster_whisper", "transformers": "transformers"}


@dataclass(frozen=True, kw_only=True)
class SpokenWord:
    """One word as the recogniser spells it, and when it is spoken."""

    word: str
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True, kw_only=True)
class SpeechSegment:
    """What is said without a pause; `words` is empty where the recogniser tells no word's time."""

    start_seconds: float
    end_seconds: float
    text: str
    words: tuple[SpokenWord, ...] = ()


class Recogniser(Protocol):
    """A loaded speech model. `window_seconds` is how much sound it is given at once."""

    window_seconds: float

    def segments(self, samples_S: NDArray[np.float32]) -> list[SpeechSegment]:
        """Return what is said in samples of 16 kHz, times from the first one; the same samples, the same text."""
        ...


@dataclass(frozen=True, kw_only=True)
class AudioLimits:
    """The largest file, in bytes, and the longest sound, in seconds, that are listened to."""

    max_bytes: int
    max_seconds: float


def load_recogniser(
    engine: Engine, *, model: str, language: str | None, compute_type: str, device: str
) -> Recogniser:
    """Return the speech model, ready on the device.

    Args:
        engine: Which package runs it.
        model: A directory, a name the engine knows, or a hub id.
        language: A code such as `en`; None lets the model find out.
        compute_type: Arithmetic of faster-whisper; `default` is the model's own.
        device: `cpu` or `cuda`, as torch calls it.

    Raises:
        InputError: The package is missing, or the model cannot be loaded.
    """
    if importlib.util.find_spec(_PACKAGES[engine]) is None:
        raise InputError(
            f"the package {engine} is not installed",
            at=f"pretrain.text.asr.engine: {engine}",
            fix="pip install 'videobert-cli[asr]'",
        )
    place = place_of_model(model, at="pretrain.text.asr.model")
    if engine == "faster-whisper":
        from videobert_cli.core.text.faster_whisper_engine import FasterWhisper

        return FasterWhisper(place, language=language, compute_type=compute_type, device=device)
    from videobert_cli.core.text.transformers_speech import TransformersSpeech

    return TransformersSpeech(place, language=language, device=device)


def unusable_speech_model(model: str, *, engine: Engine, error: BaseException) -> InputError:
    """Return the error of a speech model that could not be loaded."""
    return unusable_model(
        model, what=f"{engine} cannot load this speech model", at="pretrain.text.asr.model", error=error
    )


def require_language(language: str | None, *, known: Collection[str]) -> None:
    """Refuse a language that the model does not know.

    Raises:
        InputError: `known` lacks it.
    """
    if language is not None and language not in known:
        raise InputError(
            f"this speech model does not know the language {language[:40]!r}",
            at=f"pretrain.text.asr.language: {language[:40]}",
            fix=f"use null (the model finds out) or one of: {', '.join(sorted(known))}",
        )


def transcribe(
    path: Path, *, recogniser: Recogniser, limits: AudioLimits, should_stop: Callable[[], bool]
) -> dict[str, Any] | None:
    """Return what is said in a video, as Whisper's JSON has it; None if `should_stop` said so in the middle.

    Raises:
        VideoError: The sound cannot be read; `no-sound` where there is none.
    """
    segments: list[dict[str, Any]] = []
    windows = audio_windows(
        path,
        window_seconds=recogniser.window_seconds,
        max_bytes=limits.max_bytes,
        max_seconds=limits.max_seconds,
    )
    for window in windows:
        if should_stop():
            return None
        found = recogniser.segments(window.samples_S)
        segments += [_document(segment, offset=window.start_seconds) for segment in found]
    return {"segments": segments}


def _document(segment: SpeechSegment, *, offset: float) -> dict[str, Any]:
    document: dict[str, Any] = {
        "start": round(offset + segment.start_seconds, 3),
        "end": round(offset + segment.end_seconds, 3),
        "text": segment.text.strip(),
    }
    if segment.words:
        document["words"] = [
            {
                "word": word.word.strip(),
                "start": round(offset + word.start_seconds, 3),
                "end": round(offset + word.end_seconds, 3),
            }
            for word in segment.words
        ]
    return document

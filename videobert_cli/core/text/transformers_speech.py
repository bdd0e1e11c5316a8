"""Any speech model of transformers that tells times: Whisper's sentences, the words of CTC models."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from videobert_cli.artifacts.hub import quiet_transformers
from videobert_cli.core.text.audio import SAMPLE_RATE
from videobert_cli.core.text.speech import SpeechSegment, require_language, unusable_speech_model
from videobert_cli.errors import InputError

# Shapes: S samples at 16 kHz.


class TransformersSpeech:
    """A model of transformers' pipeline `automatic-speech-recognition`; greedy, so that runs repeat."""

    # What a Whisper hears at once; longer sound would need the pipeline's own cutting, which guesses at the seams.
    window_seconds = 30.0

    def __init__(self, model: str, *, language: str | None, device: str) -> None:
        from transformers import pipeline

        try:
            with quiet_transformers():
                self._pipeline: Any = pipeline(
                    "automatic-speech-recognition",
                    model=model,
                    device=device,
                    model_kwargs={"use_safetensors": True},
                )
        except Exception as error:
            # A wrong name, no network, another kind of model, a missing file: each fails in its own way.
            raise unusable_speech_model(model, engine="transformers", error=error) from error
        self._is_whisper = self._pipeline.type == "seq2seq_whisper"
        if not self._is_whisper and self._pipeline.type != "ctc":
            raise InputError(
                "this speech model tells no times, so its text cannot be laid beside the video",
                at=f"pretrain.text.asr.model: {model}",
                fix="take a Whisper, or a CTC model such as wav2vec2",
            )
        self._options: dict[str, Any] = {"do_sample": False, "num_beams": 1} if self._is_whisper else {}
        settings = getattr(self._pipeline.model, "generation_config", None)
        if language is not None and getattr(settings, "is_multilingual", False):
            codes = [token.strip("<|>") for token in getattr(settings, "lang_to_id", {})]
            require_language(language, known=codes)
            self._options |= {"language": language, "task": "transcribe"}

    def segments(self, samples_S: NDArray[np.float32]) -> list[SpeechSegment]:
        """Return what is said: Whisper's own segments, or one for each word of a CTC model."""
        duration = len(samples_S) / SAMPLE_RATE
        with quiet_transformers():
            found = self._pipeline(
                {"raw": samples_S, "sampling_rate": SAMPLE_RATE},
                return_timestamps=True if self._is_whisper else "word",
                **({"generate_kwargs": self._options} if self._options else {}),
            )
        segments = []
        for chunk in found["chunks"]:
            start, end = chunk["timestamp"]
            # A segment that the window's end cuts off has no end.
            start = min(start or 0.0, duration)
            end = duration if end is None else min(end, duration)
            segments.append(
                SpeechSegment(start_seconds=start, end_seconds=max(start, end), text=chunk["text"])
            )
        return [segment for segment in segments if segment.text.strip()]

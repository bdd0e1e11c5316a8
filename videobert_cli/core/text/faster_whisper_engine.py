"""Whisper by faster-whisper (extra `asr`)."""

import logging
import math

import numpy as np
from numpy.typing import NDArray

from videobert_cli.core.text.speech import SpeechSegment, SpokenWord, require_language, unusable_speech_model

# Shapes: S samples at 16 kHz.


class FasterWhisper:
    """A Whisper model of CTranslate2; greedy where its beam is unsure, never sampled, so that runs repeat."""

    # It takes its own windows of 30 s out of these. Longer ones would make Ctrl-C wait: it is heeded between two.
    window_seconds = 120.0

    def __init__(self, model: str, *, language: str | None, compute_type: str, device: str) -> None:
        import ctranslate2
        from faster_whisper import WhisperModel

        # It warns on standard error, in its own form, of each arithmetic that it replaces.
        ctranslate2.set_log_level(logging.ERROR)
        self._language = language
        kind, _, index = device.partition(":")
        try:
            self._model = WhisperModel(
                model,
                device="cuda" if kind == "cuda" else "cpu",
                device_index=int(index or 0),
                compute_type=compute_type,
            )
        except Exception as error:
            # A wrong name, no network, a damaged file, an arithmetic this machine lacks: each fails in its own way.
            raise unusable_speech_model(model, engine="faster-whisper", error=error) from error
        require_language(language, known=self._model.supported_languages)

    def segments(self, samples_S: NDArray[np.float32]) -> list[SpeechSegment]:
        """Return what is said, with the time of each word."""
        found, _ = self._model.transcribe(
            samples_S,
            language=self._language,
            word_timestamps=True,
            temperature=0.0,
            # What a window was taken for must not spoil the next one.
            condition_on_previous_text=False,
        )
        return [
            SpeechSegment(
                start_seconds=segment.start,
                end_seconds=segment.end,
                text=segment.text,
                words=tuple(
                    SpokenWord(word=word.word, start_seconds=word.start, end_seconds=word.end)
                    for word in segment.words or ()
                    if math.isfinite(word.start) and math.isfinite(word.end)
                ),
            )
            for segment in found
        ]

"""Punctuation restored once for each transcript: marks are kept in the run, so that stopped work goes on."""

import json
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from videobert_cli.artifacts import hash_json, publish_json, sweep
from videobert_cli.core.text.borrowed_models import model_identity
from videobert_cli.core.text.cues import Cue
from videobert_cli.core.text.punctuation import PunctuationModel, lacks_punctuation, punctuate

if TYPE_CHECKING:
    from videobert_cli.pipeline.run import Run


class KeptPunctuation:
    """Restores the punctuation of captions that have none; what was worked out before is read from the run."""

    def __init__(self, run: "Run", *, num_transcripts: int) -> None:
        self._run = run
        self._name = run.recipe.pretrain.text.punctuation
        self._identity = model_identity(self._name)
        self._directory = run.paths.stage("pretrain") / "punctuation"
        self._num_transcripts = num_transcripts
        self._num_done = 0
        self.num_restored = 0
        sweep(self._directory)

    def __call__(self, cues: Sequence[Cue]) -> Sequence[Cue]:
        """Return the cues with their punctuation; those that have some are returned as they are."""
        self._run.stop.raise_if_requested(
            f"punctuation of {self._num_done:,} of {self._num_transcripts:,} transcripts"
        )
        self._num_done += 1
        self._run.reporter.progress(
            "pretrain", done=self._num_done, total=self._num_transcripts, detail="transcripts punctuated"
        )
        if not lacks_punctuation(cues):
            return cues
        self.num_restored += 1
        return punctuate(cues, self._marks)

    def _marks(self, words: Sequence[str]) -> Sequence[str]:
        file = self._directory / f"{hash_json([self._identity, list(words)])}.json"
        if file.is_file():
            return [str(mark) for mark in json.loads(file.read_text(encoding="utf-8"))]
        marks = self._model(words)
        publish_json(file, marks)
        return marks

    @cached_property
    def _model(self) -> PunctuationModel:
        return PunctuationModel(self._name, device=str(self._run.device))

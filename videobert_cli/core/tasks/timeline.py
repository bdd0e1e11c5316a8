"""A raw video to a timeline of answers, from model directories alone: decode, quantise, ask."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from videobert_cli.artifacts import read_manifest
from videobert_cli.core.features.backbones.imported import ImportedBackbone
from videobert_cli.core.features.backbones.registry import Backbone
from videobert_cli.core.features.line.collect import features_of_video
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.model.classification import VideoBERTForSequenceClassification
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.sequences.segments import clips_between
from videobert_cli.core.tasks.classify import class_probabilities
from videobert_cli.core.tasks.labels import label_probabilities
from videobert_cli.core.tasks.options import PredictOptions
from videobert_cli.core.tasks.zero_shot import SLOTS, Candidates, Cloze, Slot
from videobert_cli.core.text.options import TextOptions
from videobert_cli.core.text.subtitles import read_subtitles
from videobert_cli.core.text.transcripts import sentences_of
from videobert_cli.core.training.model_directory import LoadedModel
from videobert_cli.core.video.reader import VideoReader
from videobert_cli.errors import CodebookMismatchError

# Shapes: N segments, C candidates, T clips of the video, D feature.


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer and its confidence: a softmax over the candidates, not calibrated."""

    answer: str
    confidence: float


@dataclass(frozen=True, kw_only=True)
class TimelineSegment:
    """One stretch of the video: its words, what is said in it, and the best answers to each question asked.

    `answers` has the questions `verb` and `object` of a pretrained model, the name of each of its heads of labels, and
    the label's name of a classifier.
    """

    start_seconds: float
    end_seconds: float
    words: tuple[int, ...]
    text: str
    answers: dict[str, tuple[Answer, ...]]


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """The answers about one video, in order of time."""

    video: str
    num_clips: int
    clip_seconds: float
    segments: tuple[TimelineSegment, ...]


class Predictor:
    """Models that share one codebook, with its backbone, ready to answer about one video after another.

    Raises:
        CodebookMismatchError: The models were trained with different codebooks.
        InputError: They were trained on features made elsewhere.
    """

    def __init__(self, models: Sequence[LoadedModel], *, options: PredictOptions) -> None:
        self._models = models
        self._options = options
        hashes = {
            read_manifest(model.directory / "codebook").content_hash: model.directory for model in models
        }
        if len(hashes) > 1:
            raise CodebookMismatchError(
                f"the models have different codebooks: {', '.join(f'{h[:12]} ({d})' for h, d in hashes.items())}",
                fix="give models of one run",
            )
        self._backbone: Backbone
        self._extract: ExtractOptions
        self._backbone, self._extract = models[0].backbone()
        if isinstance(self._backbone, ImportedBackbone):
            raise self._backbone.refusal()
        self._reader = VideoReader(self._extract.reader)

    def close(self) -> None:
        """Stop the decoder."""
        self._reader.close()

    def timeline(self, video: Path, *, captions: Path | None) -> Timeline:
        """Return the answers about one video.

        Segments are the sentences of `captions` that begin before the video ends, and none lies between them; without
        captions, or where these hold no such sentence, stretches of `predict.segment_seconds`.

        Raises:
            VideoError: The video cannot be read.
            InputError: The captions cannot be read.
        """
        words_T, starts_T = self._words(video)
        clip_seconds = self._extract.clip_num_frames / self._extract.frames_per_second
        end = float(starts_T[-1]) + clip_seconds
        pieces = self._pieces(captions, end_seconds=end)
        spans = [
            clips_between(start, stop, clip_start_seconds_T=starts_T, clip_seconds=clip_seconds)
            for start, stop, _ in pieces
        ]
        words = [words_T[span.first : span.stop] for span in spans]
        answers = [self._answers(model, words) for model in self._models]
        segments = tuple(
            TimelineSegment(
                start_seconds=round(start, 3),
                end_seconds=round(min(stop, end), 3),
                words=tuple(int(word) for word in words[number]),
                text=text,
                answers={question: rows[number] for found in answers for question, rows in found.items()},
            )
            for number, (start, stop, text) in enumerate(pieces)
        )
        return Timeline(
            video=str(video), num_clips=len(words_T), clip_seconds=clip_seconds, segments=segments
        )

    def _words(self, video: Path) -> tuple[np.ndarray, np.ndarray]:
        """Return the visual words (T,) and clip starts in seconds (T,) of a video."""
        features = features_of_video(
            video, backbone=self._backbone, options=self._extract, reader=self._reader
        )
        return self._models[0].codebook.assign(features.features_TD), features.clip_start_seconds_T

    def _pieces(self, captions: Path | None, *, end_seconds: float) -> list[tuple[float, float, str]]:
        if captions is not None:
            sentences = sentences_of(read_subtitles(captions), options=TextOptions())
            pieces = [
                (s.start_seconds, s.end_seconds, s.text) for s in sentences if s.start_seconds < end_seconds
            ]
            if pieces:
                return pieces
        step = self._options.segment_seconds
        num = max(1, round(end_seconds / step))
        edges = [end_seconds * number / num for number in range(num + 1)]
        return [(edges[number], edges[number + 1], "") for number in range(num)]

    def _answers(
        self, model: LoadedModel, words: Sequence[np.ndarray]
    ) -> dict[str, list[tuple[Answer, ...]]]:
        if isinstance(model.model, VideoBERTForSequenceClassification):
            classes = [model.model.config.id2label[n] for n in range(len(model.model.config.id2label))]
            probabilities_NC = class_probabilities(model.model, model.tokenizer, words=words)
            name = f"{model.questions.label} (classified)"
            return {name: self._best(probabilities_NC, classes)}
        return self._cloze_answers(model, model.model, words) | self._head_answers(model, model.model, words)

    def _cloze_answers(
        self, loaded: LoadedModel, model: VideoBERTForPreTraining, words: Sequence[np.ndarray]
    ) -> dict[str, list[tuple[Answer, ...]]]:
        cloze = Cloze(model, loaded.tokenizer, template=loaded.questions.template)
        candidates = Candidates(verb=loaded.questions.verbs, object=loaded.questions.objects)
        found: dict[str, list[tuple[Answer, ...]]] = {}
        asked: list[Slot] = [slot for slot in SLOTS if candidates.of(slot)]
        for slot in asked:
            scores_NC = cloze.scores(list(words), slot=slot, candidates=candidates.of(slot))
            exponentials_NC = np.exp(scores_NC - scores_NC.max(axis=1, keepdims=True))
            found[slot] = self._best(
                exponentials_NC / exponentials_NC.sum(axis=1, keepdims=True), candidates.of(slot)
            )
        return found

    def _head_answers(
        self, loaded: LoadedModel, model: VideoBERTForPreTraining, words: Sequence[np.ndarray]
    ) -> dict[str, list[tuple[Answer, ...]]]:
        heads = model.config.label_heads
        if not heads:
            return {}
        found = label_probabilities(model, loaded.tokenizer, words=words)
        return {
            f"{head.name} (head)": self._best(probabilities_NC, head.classes)
            for head, probabilities_NC in zip(heads, found, strict=True)
        }

    def _best(self, probabilities_NC: np.ndarray, names: Sequence[str]) -> list[tuple[Answer, ...]]:
        rows = []
        for row_C in probabilities_NC:
            order = np.argsort(-row_C, kind="stable")[: self._options.top]
            rows.append(tuple(Answer(answer=names[n], confidence=round(float(row_C[n]), 4)) for n in order))
        return rows

"""The timeline of a video: for each segment the best answers of every model to what it can be asked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from videobert_cli.core.model.classification import VideoBERTForSequenceClassification
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.tasks.classify import class_probabilities
from videobert_cli.core.tasks.explain import Explanation, Method, explain
from videobert_cli.core.tasks.explained_questions import AskedClass, AskedCloze
from videobert_cli.core.tasks.labels import label_probabilities
from videobert_cli.core.tasks.watch import WatchedVideo
from videobert_cli.core.tasks.zero_shot import SLOTS, Candidates, Cloze, Slot
from videobert_cli.core.training.model_directory import LoadedModel
from videobert_cli.core.training.units import word_parts

# Shapes: N segments, C candidates.


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer and its confidence, not calibrated: a softmax over the candidates, or a class's own probability."""

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


class Timeline:
    """Asks models about the segments of a video; `top` answers to each question."""

    def __init__(self, models: Sequence[LoadedModel], *, top: int) -> None:
        self._models = models
        self._top = top

    def segments(self, video: WatchedVideo) -> tuple[TimelineSegment, ...]:
        """Return the video's segments with the answers about each, in order of time."""
        words = [video.words_of(segment) for segment in video.segments]
        answers = [self._answers(model, words) for model in self._models]
        return tuple(
            TimelineSegment(
                start_seconds=round(segment.start_seconds, 3),
                end_seconds=round(segment.end_seconds, 3),
                words=tuple(int(word) for word in words[number]),
                text=segment.text,
                answers={question: rows[number] for found in answers for question, rows in found.items()},
            )
            for number, segment in enumerate(video.segments)
        )

    def whole_video(self, video: WatchedVideo) -> dict[str, tuple[Answer, ...]]:
        """Return the best answers of classifiers of whole videos; of a long one the mean over its parts."""
        found = {}
        for loaded in self._models:
            model = loaded.model
            if not isinstance(model, VideoBERTForSequenceClassification) or loaded.questions.unit != "video":
                continue
            words = word_parts(video.words_T, max_num_words=model.config.max_num_words)
            mean_1C = class_probabilities(model, loaded.tokenizer, words=words).mean(axis=0, keepdims=True)
            [found[f"{loaded.questions.label} (classified)"]] = self._best(mean_1C, _classes(model))
        return found

    def explanations(
        self, words_T: np.ndarray, segment: TimelineSegment, *, method: Method
    ) -> dict[str, Explanation]:
        """Return for each question how much each word (T,) of a segment carried its best answer.

        The answers of heads of labels are not explained.
        """
        found: dict[str, Explanation] = {}
        for loaded in self._models:
            for question, asked in _explained(loaded, segment):
                found[question] = explain(asked, words_T, method=method)
        return found

    def _answers(
        self, model: LoadedModel, words: Sequence[np.ndarray]
    ) -> dict[str, list[tuple[Answer, ...]]]:
        if isinstance(model.model, VideoBERTForSequenceClassification):
            probabilities_NC = class_probabilities(model.model, model.tokenizer, words=words)
            name = f"{model.questions.label} (classified)"
            return {name: self._best(probabilities_NC, _classes(model.model))}
        if not isinstance(model.model, VideoBERTForPreTraining):
            return {}
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
            order = np.argsort(-row_C, kind="stable")[: self._top]
            rows.append(tuple(Answer(answer=names[n], confidence=round(float(row_C[n]), 4)) for n in order))
        return rows


def _classes(model: VideoBERTForSequenceClassification) -> list[str]:
    return [model.config.id2label[number] for number in range(len(model.config.id2label))]


def _explained(
    loaded: LoadedModel, segment: TimelineSegment
) -> Iterator[tuple[str, AskedCloze | AskedClass]]:
    """Yield each question of a model with the segment's best answer to it."""
    model, tokenizer = loaded.model, loaded.tokenizer
    if isinstance(model, VideoBERTForSequenceClassification):
        question = f"{loaded.questions.label} (classified)"
        answer = segment.answers[question][0].answer
        yield question, AskedClass(model, tokenizer, number=model.config.label2id[answer])
    elif isinstance(model, VideoBERTForPreTraining):
        for slot in SLOTS:
            if slot in segment.answers:
                answer = segment.answers[slot][0].answer
                asked = AskedCloze(
                    model, tokenizer, template=loaded.questions.template, slot=slot, answer=answer
                )
                yield slot, asked

"""One function behind `videobert predict VIDEO`: a raw video to a document of what was asked about it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from videobert_cli.core.model.captioning import VideoBERTForCaptioning
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.sequences.pairs import mean_feature
from videobert_cli.core.tasks.caption import Captioner
from videobert_cli.core.tasks.explain import Explanation
from videobert_cli.core.tasks.forecast import Forecaster
from videobert_cli.core.tasks.options import PredictOptions
from videobert_cli.core.tasks.summarize import Summarizer
from videobert_cli.core.tasks.text_to_video import TextToVideo
from videobert_cli.core.tasks.timeline import Timeline
from videobert_cli.core.tasks.visual_questions import VisualAsker
from videobert_cli.core.tasks.watch import WatchedVideo, Watcher
from videobert_cli.core.training.model_directory import LoadedModel
from videobert_cli.errors import InputError

# Clips at the end of a video that a forecast shows beside what would come.
_NUM_SEEN = 6
# Each task puts its own keys into the document, as JSON values.
Ask = Callable[[WatchedVideo], Mapping[str, Any]]


class Predictor:
    """Models that share one codebook, with its backbone, ready to answer about one video after another.

    Raises:
        CodebookMismatchError: The models were trained with different codebooks.
        InputError: They were trained on features made elsewhere, or no model can do what is asked.
    """

    def __init__(self, models: Sequence[LoadedModel], *, options: PredictOptions) -> None:
        self._asks = [_TASKS[task](models, options) for task in options.tasks]
        self._watcher = Watcher(models, segment_seconds=options.segment_seconds)

    def close(self) -> None:
        """Stop the decoder."""
        self._watcher.close()

    def stills(self, path: Path, *, seconds: Sequence[float], num_pixels: int) -> list[np.ndarray]:
        """Return pictures of a video to look at, as `Watcher.stills`."""
        return self._watcher.stills(path, seconds=seconds, num_pixels=num_pixels)

    def document(self, path: Path, *, captions: Path | None) -> dict[str, Any]:
        """Return the answers about one video: `video`, `num_clips`, `clip_seconds` and what each task adds.

        Raises:
            VideoError: The video cannot be read.
            InputError: The captions cannot be read.
        """
        video = self._watcher.watch(path, captions=captions)
        document = {"video": str(path), "num_clips": len(video.words_T), "clip_seconds": video.clip_seconds}
        for ask in self._asks:
            document |= ask(video)
        return document


def _timeline(models: Sequence[LoadedModel], options: PredictOptions) -> Ask:
    timeline = Timeline(models, top=options.top)

    def ask(video: WatchedVideo) -> Mapping[str, Any]:
        segments = []
        for watched, segment in zip(video.segments, timeline.segments(video), strict=True):
            found = asdict(segment)
            if options.explain != "none":
                explained = timeline.explanations(video.words_of(watched), segment, method=options.explain)
                found["explanations"] = {
                    question: _explanation(video, watched.first, each) for question, each in explained.items()
                }
            segments.append(found)
        answers = {
            question: [asdict(answer) for answer in found]
            for question, found in timeline.whole_video(video).items()
        }
        return {"answers": answers, "segments": segments} if answers else {"segments": segments}

    return ask


def _explanation(video: WatchedVideo, first: int, found: Explanation) -> dict[str, Any]:
    clips = [
        {**_times(video, first + number), "weight": weight} for number, weight in enumerate(found.weights)
    ]
    return {"answer": found.answer, "method": found.method, "unit": found.unit, "clips": clips}


def _caption(models: Sequence[LoadedModel], options: PredictOptions) -> Ask:
    captioner = next(
        (
            Captioner(loaded.model, loaded.tokenizer, options=options.caption)
            for loaded in models
            if isinstance(loaded.model, VideoBERTForCaptioning)
        ),
        None,
    )
    if captioner is None:
        raise InputError(
            "caption needs a model that learned it; none of those given did",
            at=", ".join(str(loaded.directory) for loaded in models),
            fix="videobert finetune RECIPE --set finetune.task=caption",
        )

    def ask(video: WatchedVideo) -> Mapping[str, Any]:
        found = captioner.captions(
            [video.words_of(segment) for segment in video.segments],
            features=[mean_feature(video.features_of(segment)) for segment in video.segments],
        )
        return {
            "captions": [
                {
                    "start_seconds": round(segment.start_seconds, 3),
                    "end_seconds": round(segment.end_seconds, 3),
                    "captions": [asdict(caption) for caption in captions[: options.top]],
                }
                for segment, captions in zip(video.segments, found, strict=True)
            ]
        }

    return ask


def _forecast(models: Sequence[LoadedModel], options: PredictOptions) -> Ask:
    loaded, model = _pretrained(models, task="forecast")
    forecaster = Forecaster(VisualAsker(model, loaded.tokenizer))

    def ask(video: WatchedVideo) -> Mapping[str, Any]:
        coming = forecaster.coming_clips(
            video.words_T,
            horizons=options.horizons,
            top=options.top,
            end_seconds=float(video.starts_T[-1]) + video.clip_seconds,
            clip_seconds=video.clip_seconds,
        )
        first = max(0, len(video.words_T) - _NUM_SEEN)
        seen = [
            {**_times(video, clip), "word": int(video.words_T[clip])}
            for clip in range(first, len(video.words_T))
        ]
        return {"seen": seen, "forecast": [asdict(clip) for clip in coming]}

    return ask


def _summarize(models: Sequence[LoadedModel], options: PredictOptions) -> Ask:
    loaded, model = _pretrained(models, task="summarize")
    summarizer = Summarizer(
        VisualAsker(model, loaded.tokenizer),
        centroids_KD=loaded.codebook.centroids_KD,
        surprise_weight=options.summarize.surprise_weight,
        context_num_clips=options.summarize.context_num_clips,
    )

    def ask(video: WatchedVideo) -> Mapping[str, Any]:
        summary = summarizer.summarize(video.words_T, num_clips=options.summarize.num_clips)
        clips = [{**_times(video, key.clip), **asdict(key)} for key in summary.clips]
        return {"summary": {**asdict(summary), "clips": clips}}

    return ask


def _times(video: WatchedVideo, clip: int) -> dict[str, float]:
    start = float(video.starts_T[clip])
    return {"start_seconds": round(start, 3), "end_seconds": round(start + video.clip_seconds, 3)}


def imagined(models: Sequence[LoadedModel], text: str, *, options: PredictOptions) -> dict[str, Any]:
    """Return the words of `options.num_clips` clips that show a text, as JSON values.

    Raises:
        InputError: No model is a pretrained one, or it knows no token of the text.
        UsageError: The model has no positions for so many clips.
    """
    loaded, model = _pretrained(models, task="a text")
    tokenizer = loaded.tokenizer
    text_L = np.array(tokenizer.text_ids(text), dtype=np.int64)
    if not len(text_L) or (text_L == tokenizer.unk_id).all():
        raise InputError(
            "the model's vocabulary has no word of this text",
            at=f"--text {text!r}",
            fix="use words of its narrations",
        )
    clips = TextToVideo(VisualAsker(model, tokenizer)).clips(
        text_L, num_clips=options.num_clips, top=options.top
    )
    return {"text": text, "clips": [asdict(clip) for clip in clips]}


def _pretrained(models: Sequence[LoadedModel], *, task: str) -> tuple[LoadedModel, VideoBERTForPreTraining]:
    for loaded in models:
        if isinstance(loaded.model, VideoBERTForPreTraining):
            return loaded, loaded.model
    raise InputError(
        f"{task} needs a pretrained model; none of those given is one",
        at=", ".join(str(loaded.directory) for loaded in models),
        fix="--model RUN, or --model RUN/pretrain/model",
    )


_TASKS: dict[str, Callable[[Sequence[LoadedModel], PredictOptions], Ask]] = {
    "timeline": _timeline,
    "caption": _caption,
    "forecast": _forecast,
    "summarize": _summarize,
}

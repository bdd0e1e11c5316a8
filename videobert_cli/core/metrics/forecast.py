"""Forecasts of coming words as flat metrics, each beside what needs no model: chance, counting, copying, word pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from videobert_cli.core.metrics.classification import true_ranks
from videobert_cli.core.metrics.evaluate import TOP_KS, TaskResult
from videobert_cli.core.metrics.intervals import mean_interval
from videobert_cli.core.tasks.forecast import Forecaster
from videobert_cli.core.tasks.options import ForecastOptions
from videobert_cli.core.words.word_pairs import WordPairs
from videobert_cli.errors import InputError

# Shapes: N questions, T words of a video, K words of the codebook.

_NUM_ANSWERS = 3  # the paper shows the three likeliest


@dataclass(frozen=True, kw_only=True)
class Question:
    """A place in a video: words up to `last` are seen, the one at `target` is asked for."""

    video_id: str
    last: int
    target: int


def questions_of(videos: Mapping[str, np.ndarray], *, horizon: int, max_num: int) -> list[Question]:
    """Return every place of every video (id to words, (T,)) that has a word `horizon` clips later, in order.

    Of more than `max_num` those evenly spread over all of them.

    >>> [(q.last, q.target) for q in questions_of({"a": np.arange(4)}, horizon=2, max_num=10)]
    [(0, 2), (1, 3)]
    """
    found = [
        Question(video_id=video_id, last=last, target=last + horizon)
        for video_id in sorted(videos)
        for last in range(len(videos[video_id]) - horizon)
    ]
    step = max(1.0, len(found) / max_num)
    return [found[int(position)] for position in np.arange(0, len(found), step)]


def evaluate_forecast(
    forecaster: Forecaster,
    videos: Mapping[str, np.ndarray],
    *,
    train_videos: Mapping[str, np.ndarray],
    num_words: int,
    options: ForecastOptions,
) -> TaskResult:
    """Return top-1 and top-5 of the coming word at each horizon, with baselines from the training videos' words.

    Baselines: `chance`; `most_frequent`, the commonest words of the training videos, always; `copy_last`, the last word
    seen and then the commonest; `word_pairs`, what followed the last word most often at that very horizon.

    Args:
        forecaster: The model that is asked.
        videos: The words (T,) of held-out videos by id.
        train_videos: The words of the videos it was trained on.
        num_words: Words of the codebook.
        options: Horizons and context.

    Raises:
        InputError: No held-out video is longer than the shortest horizon.
    """
    metrics: dict[str, float] = {}
    predictions: list[dict[str, Any]] = []
    for horizon in options.horizons:
        questions = questions_of(videos, horizon=horizon, max_num=options.max_num_questions)
        metrics[f"forecast.horizon{horizon}.num_questions"] = float(len(questions))
        if not questions:
            continue
        last_N, target_N = (
            np.array([videos[question.video_id][getattr(question, place)] for question in questions])
            for place in ("last", "target")
        )
        ranks_N, answers = _ask(forecaster, questions, videos=videos, horizon=horizon, options=options)
        pairs = WordPairs.count(train_videos.values(), horizon=horizon, num_words=num_words)
        baselines = {
            "most_frequent": pairs.frequency_ranks(target_N),
            "copy_last": pairs.copy_ranks(last_N, target_N),
            "word_pairs": pairs.ranks(last_N, target_N),
        }
        for k in TOP_KS:
            name = f"forecast.horizon{horizon}.top{k}"
            interval = mean_interval(ranks_N <= k, [question.video_id for question in questions])
            metrics |= {name: float((ranks_N <= k).mean()), f"{name}.chance": min(1.0, k / num_words)}
            metrics |= {f"{name}.{other}": float((own_N <= k).mean()) for other, own_N in baselines.items()}
            metrics |= {f"{name}.low": interval.low, f"{name}.high": interval.high}
        predictions += [
            {
                "video": question.video_id,
                "horizon": horizon,
                "last_clip": question.last,
                "truth": int(truth),
                "predicted": answer,
                "rank": int(rank),
            }
            for question, truth, rank, answer in zip(questions, target_N, ranks_N, answers, strict=True)
        ]
    if not predictions:
        raise InputError(
            f"forecast: no video of the chosen split has more than {min(options.horizons)} clips",
            at="evaluate.forecast.horizons",
            fix="ask for nearer clips, or name another split",
        )
    return TaskResult(metrics=metrics, predictions=predictions)


def _ask(
    forecaster: Forecaster,
    questions: Sequence[Question],
    *,
    videos: Mapping[str, np.ndarray],
    horizon: int,
    options: ForecastOptions,
) -> tuple[np.ndarray, list[list[int]]]:
    """Return the rank (N,) of each true word, from 1, and the likeliest words of each question."""
    contexts = [
        videos[question.video_id][max(0, question.last + 1 - options.context_num_clips) : question.last + 1]
        for question in questions
    ]
    ranks: list[np.ndarray] = []
    answers: list[list[int]] = []
    for scores_BK in forecaster.log_probabilities(contexts, horizon=horizon):
        own = questions[len(answers) : len(answers) + len(scores_BK)]
        truth_B = np.array([videos[question.video_id][question.target] for question in own])
        ranks.append(true_ranks(scores_BK, truth_B))
        answers += np.argsort(-scores_BK, axis=1, kind="stable")[:, :_NUM_ANSWERS].tolist()
    return np.concatenate(ranks), answers

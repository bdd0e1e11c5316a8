"""Text to video as flat metrics: whether the words a sentence calls for are among those of its clips."""

from collections.abc import Iterable, Sequence

import numpy as np

from videobert_cli.core.metrics.chance import chance_of_hit
from videobert_cli.core.metrics.evaluate import TOP_KS, TaskResult
from videobert_cli.core.metrics.intervals import mean_interval
from videobert_cli.core.sequences.pairs import ShownSentence
from videobert_cli.core.tasks.text_to_video import TextToVideo
from videobert_cli.core.words.text_counts import TextCounts
from videobert_cli.errors import InputError

# Shapes: N sentences, B sentences of one batch, L tokens, T clips of a sentence, K visual words.

_NUM_ANSWERS = 3


def evaluate_text_to_video(
    asked: TextToVideo,
    sentences: Sequence[ShownSentence],
    *,
    train_words: Iterable[np.ndarray],
    counts: TextCounts,
    num_words: int,
) -> TaskResult:
    """Return top-1 and top-5: one of the k likeliest words of a sentence is a word of one of its clips.

    Baselines: `chance`, any k words; `most_frequent`, the commonest words of the training videos; `no_text`, what the
    model says of a clip when it is told nothing; `word_counts`, naive Bayes on the training sentences.

    Raises:
        InputError: No sentence of the chosen split covers a clip.
    """
    if not sentences:
        raise InputError(
            "text_to_video: no sentence of the chosen split covers a clip",
            at="evaluate.split",
            fix="name a split whose videos have subtitles (data.videos)",
        )
    is_right_NK, answers = _ask(asked, sentences)
    counts_K = np.zeros(num_words, dtype=np.int64)
    for words_T in train_words:
        counts_K += np.bincount(words_T, minlength=num_words)
    always = {
        "most_frequent": np.argsort(-counts_K, kind="stable"),
        "no_text": np.argsort(-asked.without_text(), kind="stable"),
    }
    counted_NK = np.argsort(-counts.scores(s.text_L for s in sentences), axis=1, kind="stable")
    videos = [sentence.video_id for sentence in sentences]
    metrics = {"text_to_video.num_sentences": float(len(sentences))}
    for k in TOP_KS:
        name = f"text_to_video.top{k}"
        right_N = np.asarray(is_right_NK[:, :k].any(axis=1))
        interval = mean_interval(right_N, videos)
        metrics |= {name: float(right_N.mean()), f"{name}.low": interval.low, f"{name}.high": interval.high}
        metrics[f"{name}.chance"] = float(
            np.mean([chance_of_hit(len({*s.words_T.tolist()}), num=num_words, k=k) for s in sentences])
        )
        metrics[f"{name}.word_counts"] = float(
            np.mean([np.isin(row[:k], s.words_T).any() for row, s in zip(counted_NK, sentences, strict=True)])
        )
        for other, order_K in always.items():
            hits = [bool(np.isin(order_K[:k], sentence.words_T).any()) for sentence in sentences]
            metrics[f"{name}.{other}"] = float(np.mean(hits))
    predictions = [
        {
            "video": sentence.video_id,
            "text": sentence.text,
            "truth": sentence.words_T.tolist(),
            "predicted": words[:_NUM_ANSWERS],
        }
        for sentence, words in zip(sentences, answers, strict=True)
    ]
    return TaskResult(metrics=metrics, predictions=predictions)


def _ask(asked: TextToVideo, sentences: Sequence[ShownSentence]) -> tuple[np.ndarray, list[list[int]]]:
    """Return whether each of the likeliest words (N, max k) is right, and these words."""
    answers: list[list[int]] = []
    for scores_BK in asked.log_probabilities([sentence.text_L for sentence in sentences]):
        answers += np.argsort(-scores_BK, axis=1, kind="stable")[:, : max(TOP_KS)].tolist()
    is_right_NK = np.array(
        [np.isin(words, sentence.words_T) for words, sentence in zip(answers, sentences, strict=True)]
    )
    return is_right_NK, answers

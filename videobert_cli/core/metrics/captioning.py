"""Captions of held-out segments against what was said of them, beside captions that need no model or no video."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from videobert_cli.core.metrics.captions.score import CaptionScores, score_captions
from videobert_cli.core.metrics.evaluate import TaskResult
from videobert_cli.core.metrics.intervals import mean_interval
from videobert_cli.core.sequences.pairs import ShownSentence
from videobert_cli.core.tasks.caption import Caption, Captioner
from videobert_cli.errors import InputError

# Shapes: N segments, M training segments, K visual words.

# The figures that each baseline is shown with.
_COMPARED = ("caption.cider_d", "caption.bleu4", "caption.rouge_l")


def evaluate_captions(
    captioner: Captioner,
    shown: Sequence[ShownSentence],
    *,
    train: Sequence[ShownSentence],
    num_words: int,
) -> TaskResult:
    """Return BLEU, ROUGE-L, CIDEr-D and METEOR of the best captions; the segment's sentence is the reference.

    Baselines: `nearest_neighbour`, the sentence of the training segment whose words are most alike (the cosine of their
    counts); `most_frequent`, the commonest training sentence, always; `language_prior`, what the captioner says without
    a video, always.

    Raises:
        InputError: No sentence of the chosen split, or of the training split, covers a clip.
    """
    for found, split in ((shown, "chosen"), (train, "training")):
        if not found:
            raise InputError(
                f"caption: no sentence of the {split} split covers a clip",
                at="evaluate.split",
                fix="name a split whose videos have subtitles (data.videos)",
            )
    captions = captioner.captions(
        [each.words_T for each in shown], features=[each.feature_D for each in shown]
    )
    scores = _scores(shown, [_best(found) for found in captions], with_meteor=True)
    # Without Java there is no METEOR: a report has numbers, so it is left out and the reason said.
    metrics = {name: float(value) for name, value in scores.metrics.items() if value is not None}
    own = np.array([scores.captions[str(number)]["cider_d"] for number in range(len(shown))])
    interval = mean_interval(own, [each.video_id for each in shown])
    metrics |= {"caption.cider_d.low": interval.low, "caption.cider_d.high": interval.high}
    prior = _best(captioner.captions([None])[0])
    commonest = Counter(each.text for each in train).most_common(1)[0][0]
    others = {
        "nearest_neighbour": nearest_texts(shown, train=train, num_words=num_words),
        "most_frequent": [commonest] * len(shown),
        "language_prior": [prior] * len(shown),
    }
    for end, said in others.items():
        found_scores = _scores(shown, said, with_meteor=False).metrics
        metrics |= {f"{name}.{end}": float(found_scores[name] or 0.0) for name in _COMPARED}
    text = f"METEOR 1.5 is left out: {scores.why_no_meteor}" if scores.why_no_meteor else ""
    return TaskResult(metrics=metrics, predictions=_predictions(shown, captions, scores), text=text)


def nearest_texts(
    shown: Sequence[ShownSentence], *, train: Sequence[ShownSentence], num_words: int
) -> list[str]:
    """Return for each segment the sentence of the training segment with the most similar counts of words."""
    asked_NK, known_MK = (_histograms(found, num_words=num_words) for found in (shown, train))
    return [train[int((known_MK @ row_K).argmax())].text for row_K in asked_NK]


def _histograms(found: Sequence[ShownSentence], *, num_words: int) -> np.ndarray:
    counts = np.stack([np.bincount(each.words_T, minlength=num_words) for each in found]).astype(np.float32)
    return np.asarray(counts / np.linalg.norm(counts, axis=1, keepdims=True))


def _best(captions: Sequence[Caption]) -> str:
    return captions[0].text if captions else ""


def _scores(shown: Sequence[ShownSentence], said: Sequence[str], *, with_meteor: bool) -> CaptionScores:
    return score_captions(
        {str(number): [each.text] for number, each in enumerate(shown)},
        {str(number): text for number, text in enumerate(said)},
        with_meteor="where-possible" if with_meteor else "never",
    )


def _predictions(
    shown: Sequence[ShownSentence], captions: Sequence[Sequence[Caption]], scores: CaptionScores
) -> list[dict[str, Any]]:
    return [
        {
            "video": each.video_id,
            "start_seconds": round(each.start_seconds, 3),
            "end_seconds": round(each.end_seconds, 3),
            "reference": each.text,
            "caption": _best(found),
            "others": [other.text for other in found[1:]],
            "cider_d": round(scores.captions[str(number)]["cider_d"], 4),
        }
        for number, (each, found) in enumerate(zip(shown, captions, strict=True))
    ]

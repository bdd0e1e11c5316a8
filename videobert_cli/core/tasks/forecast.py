"""Forecasting: which visual words come some clips after those seen so far (the paper's section 4.1)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from videobert_cli.core.tasks.visual_questions import MASKED, VisualAsker, VisualQuestion
from videobert_cli.errors import UsageError

# Shapes: N contexts, B contexts of one batch, T words seen so far, K visual words.


@dataclass(frozen=True, kw_only=True)
class ComingClip:
    """The likeliest words of a clip that is not seen yet, and their probabilities, best first."""

    horizon: int
    start_seconds: float
    words: tuple[int, ...]
    probabilities: tuple[float, ...]


class Forecaster:
    """Asks a pretrained model for the word `horizon` clips after the last one seen.

    The question is a sequence of video alone, `[CLS] words [MASK] .. [MASK] [SEP]` with `horizon` masks, read at the
    last of them: the clips in between are unknown, too.
    """

    def __init__(self, asker: VisualAsker) -> None:
        self._asker = asker

    def log_probabilities(self, contexts: Sequence[np.ndarray], *, horizon: int) -> Iterator[np.ndarray]:
        """Yield log-probabilities of all words (B, K), batch by batch.

        Where a context has more words than the model has positions for, the latest count.

        Raises:
            UsageError: The model has no positions for so many masks and a word.
        """
        room = self._asker.num_positions - 2 - horizon
        if room < 1:
            raise UsageError(
                f"a horizon of {horizon} clips does not fit in the model's {self._asker.num_positions} positions",
                at="evaluate.forecast.horizons",
                fix="ask for a nearer clip",
            )
        unknown = np.full(horizon, MASKED)
        questions = []
        for words_T in contexts:
            asked_T = np.concatenate([words_T[-room:], unknown])
            questions.append(VisualQuestion(words_T=asked_T, asked=len(asked_T) - 1))
        yield from self._asker.log_probabilities(questions)

    def coming_clips(
        self,
        words_T: np.ndarray,
        *,
        horizons: Sequence[int],
        top: int,
        end_seconds: float,
        clip_seconds: float,
    ) -> list[ComingClip]:
        """Return the `top` likeliest words at each horizon after words (T,) of a video; it ends at `end_seconds`."""
        found = []
        for horizon in horizons:
            [scores_1K] = self.log_probabilities([words_T], horizon=horizon)
            words, probabilities = likeliest(scores_1K[0], top=top)
            start = round(end_seconds + (horizon - 1) * clip_seconds, 3)
            found.append(
                ComingClip(horizon=horizon, start_seconds=start, words=words, probabilities=probabilities)
            )
        return found


def likeliest(log_probabilities_K: np.ndarray, *, top: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return the `top` likeliest words and their probabilities to four digits, best first, ties by number."""
    order = np.argsort(-log_probabilities_K, kind="stable")[:top]
    return (
        tuple(int(word) for word in order),
        tuple(round(float(np.exp(log_probabilities_K[word])), 4) for word in order),
    )

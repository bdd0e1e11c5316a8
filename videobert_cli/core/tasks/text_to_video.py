"""Text to video: which visual words a sentence calls for (the paper's section 4.2, figure 1)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from videobert_cli.core.tasks.forecast import likeliest
from videobert_cli.core.tasks.visual_questions import MASKED, VisualAsker, VisualQuestion
from videobert_cli.errors import UsageError

# Shapes: N texts, B texts of one batch, L tokens of a text, T clips, K visual words.


@dataclass(frozen=True, kw_only=True)
class ImaginedClip:
    """The likeliest words of one clip of a text, and their probabilities, best first."""

    words: tuple[int, ...]
    probabilities: tuple[float, ...]


class TextToVideo:
    """Asks a pretrained model `[CLS] text [>] [MASK] [SEP]`: the words of a clip that shows the text."""

    def __init__(self, asker: VisualAsker) -> None:
        self._asker = asker

    def log_probabilities(self, texts: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield log-probabilities of all words (B, K) for texts of token ids (L,), batch by batch.

        Of a text that is longer than the model's positions the beginning counts.
        """
        yield from self._asker.log_probabilities(
            [self._question(text_L, np.full(1, MASKED), asked=0) for text_L in texts]
        )

    def without_text(self) -> np.ndarray:
        """Return log-probabilities of all words (K,) for a clip of which nothing is known: `[CLS] [MASK] [SEP]`."""
        [scores_1K] = self._asker.log_probabilities([VisualQuestion(words_T=np.full(1, MASKED), asked=0)])
        return np.asarray(scores_1K[0])

    def clips(self, text_L: np.ndarray, *, num_clips: int, top: int) -> list[ImaginedClip]:
        """Return the words of `num_clips` clips that show a text, in order.

        The masks are filled from left to right, each with its likeliest word before the next is asked for.

        Raises:
            UsageError: The model has no positions for so many clips and a token of text.
        """
        if num_clips > self._asker.num_positions - 4:
            raise UsageError(
                f"{num_clips} clips and a text do not fit in the model's {self._asker.num_positions} positions",
                at="predict.num_clips",
                fix="ask for fewer clips",
            )
        words_T = np.full(num_clips, MASKED)
        found = []
        for place in range(num_clips):
            question = self._question(text_L, words_T, asked=place)
            [scores_1K] = self._asker.log_probabilities([question])
            words, probabilities = likeliest(scores_1K[0], top=top)
            words_T[place] = words[0]
            found.append(ImaginedClip(words=words, probabilities=probabilities))
        return found

    def _question(self, text_L: np.ndarray, words_T: np.ndarray, *, asked: int) -> VisualQuestion:
        room = self._asker.num_positions - 3 - len(words_T)
        return VisualQuestion(words_T=words_T.copy(), asked=asked, text_L=text_L[:room])

"""Words from elsewhere for a sentence: another place of its video, or another video; never where the same is said.

Shapes: T visual words of one place, R runs of sentences, N sentences of one document.
"""

import numpy as np

from videobert_cli.core.sequences.corpus import TokenCorpus
from videobert_cli.core.sequences.epochs import Population
from videobert_cli.core.sequences.token_sequence import Pairing

# Draws from other videos before it is taken for granted that the whole corpus says the same.
_NUM_TRIES = 16


def words_of_run(corpus: TokenCorpus, document: int, *, first: int, stop: int) -> np.ndarray:
    """Return the words (T,) of the clips that sentences [first, stop) of a document cover, and those between."""
    spans_N2 = corpus.spans(document)[first:stop]
    return corpus.words(document)[int(spans_N2[:, 0].min()) : int(spans_N2[:, 1].max())]


def runs_apart(spans_N2: np.ndarray, *, first: int, stop: int) -> tuple[np.ndarray, int]:
    """Return the runs of sentences that share no clip with the own [first, stop): their starts (R,) and their length.

    As long as the own run, or the longest that there are; without any, no starts and length 0.
    """
    own_first, own_stop = int(spans_N2[first:stop, 0].min()), int(spans_N2[first:stop, 1].max())
    for length in range(stop - first, 0, -1):
        num_runs = len(spans_N2) - length + 1
        firsts_R, stops_R = spans_N2[:num_runs, 0], spans_N2[:num_runs, 1]
        for later in range(1, length):
            firsts_R = np.minimum(firsts_R, spans_N2[later : num_runs + later, 0])
            stops_R = np.maximum(stops_R, spans_N2[later : num_runs + later, 1])
        starts_R = np.flatnonzero((stops_R <= own_first) | (firsts_R >= own_stop))
        if len(starts_R):
            return starts_R, length
    return np.zeros(0, dtype=np.int64), 0


class Negatives:
    """Chooses the place whose words are shown with a sentence that they do not belong to."""

    def __init__(self, corpus: TokenCorpus, *, population: Population, same_video_fraction: float) -> None:
        self._corpus = corpus
        self._population = population
        self._same_video_fraction = same_video_fraction

    def draw(
        self, document: int, *, first: int, stop: int, generator: np.random.Generator
    ) -> tuple[np.ndarray, Pairing] | None:
        """Return the words (T,) of another place, and whether it is in the same video; None where there is none.

        A place where the very same is said is none: its words would be right. As many sentences' words as the aligned
        sequence would have, so that their number does not betray the label.
        """
        is_same_wanted = generator.random() < self._same_video_fraction
        own_first, own_stop = self._population.numbers_of("video_text", document=document)
        is_alone = self._population.num_samples("video_text") == own_stop - own_first
        words_T = None
        if is_same_wanted or is_alone:
            words_T = self._in_video(document, first=first, stop=stop, generator=generator)
        if words_T is not None:
            return words_T, "same_video"
        words_T = None if is_alone else self._in_others(document, first=first, stop=stop, generator=generator)
        return None if words_T is None else (words_T, "other_video")

    def _in_video(
        self, document: int, *, first: int, stop: int, generator: np.random.Generator
    ) -> np.ndarray | None:
        own_L = self._corpus.text(document, first, stop)
        starts_R, length = runs_apart(self._corpus.spans(document), first=first, stop=stop)
        while len(starts_R):
            number = int(generator.integers(len(starts_R)))
            start = int(starts_R[number])
            if not np.array_equal(own_L, self._corpus.text(document, start, start + length)):
                return words_of_run(self._corpus, document, first=start, stop=start + length)
            starts_R = np.delete(starts_R, number)
        return None

    def _in_others(
        self, document: int, *, first: int, stop: int, generator: np.random.Generator
    ) -> np.ndarray | None:
        own_L = self._corpus.text(document, first, stop)
        own_first, own_stop = self._population.numbers_of("video_text", document=document)
        num_own = own_stop - own_first
        for _ in range(_NUM_TRIES):
            number = int(generator.integers(self._population.num_samples("video_text") - num_own))
            _, other, item = self._population.sample(
                "video_text", number if number < own_first else number + num_own
            )
            last = min(item + stop - first, self._corpus.num_sentences(other))
            if not np.array_equal(own_L, self._corpus.text(other, item, last)):
                return words_of_run(self._corpus, other, first=item, stop=last)
        return None

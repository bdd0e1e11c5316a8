"""Words from elsewhere for a sentence: another place of its video, or another video; never where the same is said.

Shapes: T visual words of one place, R runs of sentences, N sentences of one document.
"""

import numpy as np

from videobert_cli.core.sequences.corpus import TokenCorpus
from videobert_cli.core.sequences.epochs import Population
from videobert_cli.core.sequences.token_sequence import Pairing


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
        windows = np.lib.stride_tricks.sliding_window_view(spans_N2, length, axis=0)
        firsts_R, stops_R = windows[:, 0].min(axis=-1), windows[:, 1].max(axis=-1)
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

        As many sentences' words as the aligned sequence would have, so that their number does not betray the label.
        """
        is_same_wanted = generator.random() < self._same_video_fraction
        own_first, own_stop = self._population.numbers_of("video_text", document=document)
        num_others = self._population.num_samples("video_text") - (own_stop - own_first)
        if is_same_wanted or num_others == 0:
            starts_R, length = runs_apart(self._corpus.spans(document), first=first, stop=stop)
            if len(starts_R):
                start = int(starts_R[int(generator.integers(len(starts_R)))])
                words_T = words_of_run(self._corpus, document, first=start, stop=start + length)
                return words_T, "same_video"
        if num_others == 0:
            return None
        number = int(generator.integers(num_others))
        number = number if number < own_first else number + own_stop - own_first
        other = self._population.sample("video_text", number)
        last = min(other.item + stop - first, self._corpus.num_sentences(other.document))
        words_T = words_of_run(self._corpus, other.document, first=other.item, stop=last)
        return words_T, "other_video"

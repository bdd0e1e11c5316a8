"""Which text words are said where a visual word is seen: counted over training sentences and the clips they cover."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from videobert_cli.core.sequences.segments import segments_of
from videobert_cli.core.text.sentences import Sentence
from videobert_cli.core.words.table import WordTable

# Shapes: P different pairs of a visual and a text word.

MIN_COUNT = 3
LEAST_SCORE = 2.0
_NUM_PER_WORD = 6
_MAX_NUM_SENTENCES = 200_000
_TEXT_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


@dataclass(frozen=True, kw_only=True)
class TextMatch:
    """A text word said in `count` sentences that cover the visual word, and its score."""

    text: str
    count: int
    score: float


@dataclass(frozen=True, kw_only=True)
class TextMatches:
    """The text words of each visual word, best first, and how many sentences they were counted in, of how many."""

    by_word: Mapping[int, tuple[TextMatch, ...]]
    num_counted: int
    num_sentences: int


def match_texts(
    sentences: Mapping[str, Sequence[Sentence]], *, words: WordTable, ids: Sequence[str]
) -> TextMatches:
    """Return the text words that most often co-occur with each visual word in the sentences of `ids`.

    Of n sentences, a say the text word and cover a clip of the visual word, b cover it only, c say it only, d neither.
    The score is the log odds ratio over its standard error, 0.5 added to each count:
    ln((a d) / (b c)) / sqrt(1/a + 1/b + 1/c + 1/d). A word that is said everywhere scores about 0, one met by chance
    has a large error. Kept are scores of 2 and more with a of 3 and more, six a word at most.

    Where there are more than 200,000 sentences, those of evenly spread videos are counted.
    """
    with_both = [video_id for video_id in sorted(set(ids)) if video_id in words and sentences.get(video_id)]
    num_sentences = sum(len(sentences[video_id]) for video_id in with_both)
    step = max(1, math.ceil(num_sentences / _MAX_NUM_SENTENCES))
    counts = _Counts(words.num_words)
    for video_id in with_both[::step]:
        for said, seen in _pairs(sentences[video_id], words=words, video_id=video_id):
            counts.take(said, seen)
    return TextMatches(
        by_word=counts.matches(), num_counted=counts.num_sentences, num_sentences=num_sentences
    )


def text_words(text: str) -> list[str]:
    """Return the words of a text, in small letters.

    >>> text_words("Don't cut the half-ripe Tomato!")
    ["don't", 'cut', 'the', 'half-ripe', 'tomato']
    """
    return [found.group().casefold() for found in _TEXT_WORD.finditer(text)]


def _pairs(
    sentences: Sequence[Sentence], *, words: WordTable, video_id: str
) -> Iterator[tuple[set[str], np.ndarray]]:
    """Yield for each sentence the text words it says and the visual words it covers."""
    words_T = words.words(video_id)
    segments = segments_of(
        sentences,
        clip_start_seconds_T=words.clip_start_seconds(video_id),
        clip_seconds=words.clip_length_seconds,
    )
    for segment in segments:
        seen = np.unique(words_T[segment.clips.first : segment.clips.stop]).astype(np.int64)
        yield set(text_words(segment.sentence.text)), seen


class _Counts:
    """Sentences counted by visual word, by text word and by both."""

    def __init__(self, num_words: int) -> None:
        self.num_sentences = 0
        self._seen_K = np.zeros(num_words, dtype=np.int64)
        self._said: Counter[int] = Counter()
        self._number: dict[str, int] = {}
        self._pairs: list[np.ndarray] = []

    def take(self, said: set[str], seen: np.ndarray) -> None:
        self.num_sentences += 1
        numbers = np.array(
            [self._number.setdefault(text, len(self._number)) for text in sorted(said)], dtype=np.int64
        )
        self._said.update(numbers.tolist())
        self._seen_K[seen] += 1
        self._pairs.append((seen[:, None] << 32 | numbers).ravel())

    def matches(self) -> dict[int, tuple[TextMatch, ...]]:
        pairs = np.concatenate(self._pairs) if self._pairs else np.zeros(0, dtype=np.int64)
        pairs_P, both_P = np.unique(pairs, return_counts=True)
        is_often = both_P >= MIN_COUNT
        pairs_P, both_P = pairs_P[is_often], both_P[is_often]
        word_P, text_P = pairs_P >> 32, pairs_P & 0xFFFFFFFF
        said = np.zeros(len(self._number), dtype=np.int64)
        said[list(self._said)] = list(self._said.values())
        score_P = log_odds(both_P, seen=self._seen_K[word_P], said=said[text_P], total=self.num_sentences)
        texts = list(self._number)
        best: dict[int, list[TextMatch]] = {}
        for place in np.lexsort((text_P, -both_P, -score_P)).tolist():
            found = best.setdefault(int(word_P[place]), [])
            if score_P[place] >= LEAST_SCORE and len(found) < _NUM_PER_WORD:
                text = texts[int(text_P[place])]
                found.append(TextMatch(text=text, count=int(both_P[place]), score=float(score_P[place])))
        return {word: tuple(found) for word, found in best.items() if found}


def log_odds(both: np.ndarray, *, seen: np.ndarray, said: np.ndarray, total: int) -> np.ndarray:
    """Return the log odds ratio of two things over its standard error, from how often each occurs in `total` cases.

    >>> log_odds(np.array([5]), seen=np.array([10]), said=np.array([50]), total=100).round(3).tolist()
    [0.0]
    """
    a = both + 0.5
    b, c = seen - both + 0.5, said - both + 0.5
    d = total - seen - said + both + 0.5
    scores: np.ndarray = np.log(a * d / (b * c)) / np.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
    return scores

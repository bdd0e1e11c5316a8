"""The gallery of a codebook: each word with pictures, its usage, its place in the tree, and what is said with it.

Shapes: K words of the codebook.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from videobert_cli.core.reports.cooccurrence import MIN_COUNT, TextMatch, TextMatches
from videobert_cli.core.reports.html import render_page
from videobert_cli.core.reports.tree_picture import path_text, tree_picture
from videobert_cli.core.words.nearest import NO_CLIP
from videobert_cli.core.words.survey import Survey
from videobert_cli.core.words.table import WordTable

MAX_PICTURE_BYTES = 11_000_000
MAX_NUM_ROWS = 20_736
_NUM_VIDEOS_AT_ONCE = 4_096


@dataclass(frozen=True, kw_only=True)
class WordClip:
    """A clip that stands for a word; the distance to the centroid is None where the features were not kept."""

    video_id: str
    start_seconds: float
    distance: float | None


@dataclass(frozen=True, kw_only=True)
class GalleryWord:
    """One word as the gallery shows it; `num_clips` counts the run's training clips."""

    word: int
    name: str
    path: str
    num_clips: int
    radius: float | None
    clips: tuple[WordClip, ...]
    texts: tuple[TextMatch, ...]

    def record(self) -> dict[str, object]:
        """Return the word as plain values, a line of `words.jsonl`."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Pictures as `data:` addresses by (video id, start of the clip); why a video has none, by id."""

    by_clip: Mapping[tuple[str, float], str]
    problems: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class GalleryFacts:
    """What the page says beside the words: title, name-value pairs, quality, and what is missing and why."""

    title: str
    facts: Mapping[str, str]
    quality: Sequence[str]
    notes: Sequence[str]


def word_name(word: int, *, num_words: int) -> str:
    """Return a word's name, which sorts as the words do.

    >>> word_name(7, num_words=144)
    'v007'
    """
    return f"v{word:0{len(str(num_words - 1))}d}"


def gallery_words(
    survey: Survey, *, words: WordTable, branching: int, num_levels: int, texts: TextMatches
) -> list[GalleryWord]:
    """Return the words that the training videos use, the most used first."""
    usage_K = usage(survey, words=words)
    clips = survey.clips
    found = [
        GalleryWord(
            word=int(word),
            name=word_name(int(word), num_words=words.num_words),
            path=path_text(int(word), branching=branching, num_levels=num_levels),
            num_clips=int(usage_K[word]),
            radius=_number(clips.radii_R[row]),
            clips=tuple(_clips(survey, row, words=words)),
            texts=texts.by_word.get(int(word), ()),
        )
        for row, word in enumerate(clips.words_R)
        if usage_K[word]
    ]
    return sorted(found, key=lambda word: (-word.num_clips, word.word))


def usage(survey: Survey, *, words: WordTable) -> np.ndarray:
    """Return how many clips of the run's training videos each word has (K,), int64."""
    counts_K = np.zeros(words.num_words, dtype=np.int64)
    ids = survey.clips.ids
    for start in range(0, len(ids), _NUM_VIDEOS_AT_ONCE):
        together = [words.words(video_id) for video_id in ids[start : start + _NUM_VIDEOS_AT_ONCE]]
        counts_K += np.bincount(np.concatenate(together), minlength=words.num_words)
    return counts_K


def gallery_page(
    found: Sequence[GalleryWord],
    *,
    usage_K: np.ndarray,
    branching: int,
    num_levels: int,
    num_with_pictures: int,
    pictures: Pictures | None,
    texts: TextMatches,
    facts: GalleryFacts,
) -> str:
    """Return the page: words with pictures as a grid, the rest as a table, the tree's usage as a picture.

    Pictures beyond 11 MB are left out, and rows of the table beyond 20,736, so the page has at most 20 MB; it says so.
    `pictures` None: there are to be none, all is a table.
    """
    num_cards = 0 if pictures is None else _num_affordable(found[:num_with_pictures], pictures=pictures)
    cards, rest = found[:num_cards], found[num_cards:]
    levels = [usage_K.reshape(branching ** (level + 1), -1).sum(axis=1) for level in range(num_levels)]
    notes = list(facts.notes)
    if pictures is not None and num_cards < min(num_with_pictures, len(found)):
        notes.append(f"The page would grow beyond 20 MB: the first {num_cards:,} words alone have pictures.")
    if len(rest) > MAX_NUM_ROWS:
        notes.append(
            f"The table shows {MAX_NUM_ROWS:,} of {len(rest):,} words; words.jsonl beside this page has all."
        )
    return render_page(
        "gallery.html",
        title=facts.title,
        facts=facts.facts,
        quality=facts.quality,
        notes=[*notes, *_problem_notes(cards, pictures)],
        cards=cards,
        rows=rest[:MAX_NUM_ROWS],
        pictures=pictures,
        tree=tree_picture(levels, branching=branching),
        dead=_ranges(np.flatnonzero(usage_K == 0)),
        num_words=len(usage_K),
        num_used=len(found),
        texts=texts,
        min_count=MIN_COUNT,
        most_clips=max((word.num_clips for word in found), default=1),
    )


def _clips(survey: Survey, row: int, *, words: WordTable) -> Iterator[WordClip]:
    clips = survey.clips
    for video, clip, distance in zip(
        clips.videos_RC[row], clips.clips_RC[row], clips.distances_RC[row], strict=True
    ):
        if video != NO_CLIP:
            video_id = clips.ids[int(video)]
            start = float(words.clip_start_seconds(video_id)[int(clip)])
            yield WordClip(video_id=video_id, start_seconds=start, distance=_number(distance))


def _num_affordable(found: Iterable[GalleryWord], *, pictures: Pictures) -> int:
    num_bytes = 0
    for number, word in enumerate(found):
        num_bytes += sum(
            len(pictures.by_clip.get((clip.video_id, clip.start_seconds), "")) for clip in word.clips
        )
        if num_bytes > MAX_PICTURE_BYTES:
            return number
    return number + 1 if found else 0


def _problem_notes(cards: Sequence[GalleryWord], pictures: Pictures | None) -> list[str]:
    """Return a line for each reason why pictures are missing, with how many and one example."""
    if pictures is None:
        return []
    missing: dict[str, list[str]] = {}
    for word in cards:
        for clip in word.clips:
            if (clip.video_id, clip.start_seconds) not in pictures.by_clip:
                reason = pictures.problems.get(clip.video_id, "the video ends before the clip")
                missing.setdefault(reason, []).append(clip.video_id)
    return [
        f"{len(ids):,} pictures of {len(set(ids)):,} videos are missing, for example of {ids[0]}: {reason}"
        for reason, ids in sorted(missing.items())
    ]


def _ranges(numbers: np.ndarray) -> str:
    """Return ascending numbers as text, runs joined.

    >>> _ranges(np.array([1, 2, 3, 7]))
    '1-3, 7'
    """
    if not len(numbers):
        return ""
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    return ", ".join(f"{run[0]}" if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 6)

"""The sentences of many videos: subtitle files read once, drops counted, one hash over all of them."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from videobert_cli.artifacts import hash_json
from videobert_cli.core.text.cues import Cue
from videobert_cli.core.text.language import LanguageFilter
from videobert_cli.core.text.options import TextOptions
from videobert_cli.core.text.sentences import Sentence, sentences_from_cues
from videobert_cli.core.text.subtitles import SubtitleFile, read_subtitles
from videobert_cli.core.video.entries import CaptionSource, Video
from videobert_cli.errors import InputError

Restore = Callable[[Sequence[Cue]], Sequence[Cue]]
# A segment without an end lasts to the end of its video, which is not known here: later than any is as good.
_OPEN_END_SECONDS = 1e9


@dataclass(frozen=True, kw_only=True)
class Transcripts:
    """Sentences by id, in order of time, and what became of the cues of all files.

    Args:
        sentences: Sentences by id.
        num_dropped: Cues that were dropped, by reason (`SubtitleFile`); with `num_cues` they add up to the files' own.
        unreadable: Files that could not be read by id, with the cause.
        num_cues: Cues that were kept.
        num_without_cues: Files that could be read and hold not one cue.
        other_languages: Transcripts left out for their language by id, with that language; their cues count as kept.
    """

    sentences: Mapping[str, tuple[Sentence, ...]]
    num_dropped: Mapping[str, int]
    unreadable: Mapping[str, str]
    num_cues: int = 0
    num_without_cues: int = 0
    other_languages: Mapping[str, str] = field(default_factory=dict)

    @property
    def num_sentences(self) -> int:
        """Sentences in all."""
        return sum(len(sentences) for sentences in self.sentences.values())

    @property
    def facts(self) -> dict[str, int]:
        """The counts as flat numbers; reasons for which nothing was dropped are left out."""
        return {
            "num_sentences": self.num_sentences,
            "num_cues": self.num_cues,
            **{f"num_cues_dropped.{reason}": count for reason, count in sorted(self.num_dropped.items())},
            "num_captions_without_cues": self.num_without_cues,
            "num_captions_unreadable": len(self.unreadable),
            **{f"num_captions_in.{language}": count for language, count in self._by_language},
        }

    @property
    def losses(self) -> str:
        """What of the captions is not used, in words; empty where all is."""
        losses = []
        if total := sum(self.num_dropped.values()):
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(self.num_dropped.items()))
            losses.append(f"{total:,} of {total + self.num_cues:,} cues dropped ({reasons})")
        if self.num_without_cues:
            losses.append(f"{self.num_without_cues:,} caption files without a cue")
        if self.unreadable:
            losses.append(f"{len(self.unreadable):,} caption files not readable")
        if self.other_languages:
            languages = ", ".join(f"{count:,} {language}" for language, count in self._by_language)
            losses.append(f"{len(self.other_languages):,} caption files in other languages ({languages})")
        return ", ".join(losses)

    @property
    def _by_language(self) -> list[tuple[str, int]]:
        return sorted(Counter(self.other_languages.values()).items())

    def content_hash(self) -> str:
        """Return a hash of all ids, times and texts."""
        return hash_json(
            {
                key: [[sentence.start_seconds, sentence.end_seconds, sentence.text] for sentence in sentences]
                for key, sentences in self.sentences.items()
            }
        )


def read_transcripts(
    files: Mapping[str, CaptionSource], *, options: TextOptions, restore: Restore | None = None
) -> Transcripts:
    """Read the subtitle file of each id into sentences; an unreadable file is reported, not fatal.

    `restore` may give the cues of a file punctuation before sentences are made of them.

    Raises:
        InputError: `options.languages` asks for what is not installed or not known.
    """
    sentences: dict[str, tuple[Sentence, ...]] = {}
    dropped: Counter[str] = Counter()
    unreadable: dict[str, str] = {}
    other_languages: dict[str, str] = {}
    num_cues = num_without_cues = 0
    languages = LanguageFilter(options.languages) if options.languages else None
    for key, source in sorted(files.items()):
        try:
            subtitles = read_subtitles(source.path, key=source.key)
        except InputError as error:
            unreadable[key] = f"{source.path}: {error.what}"
            continue
        dropped.update(subtitles.num_dropped)
        num_cues += len(subtitles.cues)
        num_without_cues += not (subtitles.cues or subtitles.num_dropped)
        other = languages.unwanted(cue.text for cue in subtitles.cues) if languages else None
        if other is not None:
            other_languages[key] = other
            continue
        cues = restore(subtitles.cues) if restore else subtitles.cues
        sentences[key] = _sentences(cues, options=options)
    return Transcripts(
        sentences=sentences,
        num_cues=num_cues,
        num_dropped=dict(dropped),
        num_without_cues=num_without_cues,
        other_languages=other_languages,
        unreadable=unreadable,
    )


def annotated_transcripts(videos: Iterable[Video], *, column: str) -> Transcripts:
    """Return what annotators wrote in a label column as the videos' sentences; a video without any has no entry."""
    found = {
        video.id: tuple(
            Sentence(
                start_seconds=segment.start_seconds,
                end_seconds=_OPEN_END_SECONDS if segment.end_seconds is None else segment.end_seconds,
                text=segment.labels[column],
            )
            for segment in sorted(video.segments, key=lambda segment: segment.start_seconds)
            if segment.labels.get(column)
        )
        for video in videos
    }
    return Transcripts(
        sentences={key: sentences for key, sentences in found.items() if sentences},
        num_dropped={},
        unreadable={},
    )


def sentences_of(subtitles: SubtitleFile, *, options: TextOptions) -> tuple[Sentence, ...]:
    """Return the sentences of one subtitle file, in order of time."""
    return _sentences(subtitles.cues, options=options)


def _sentences(cues: Sequence[Cue], *, options: TextOptions) -> tuple[Sentence, ...]:
    return tuple(
        sentences_from_cues(
            cues,
            pause_seconds=options.pause_seconds,
            max_sentence_seconds=options.max_sentence_seconds,
        )
    )

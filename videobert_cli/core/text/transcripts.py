"""The sentences of many videos: subtitle files read once, drops counted, one hash over all of them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from videobert_cli.artifacts import hash_json
from videobert_cli.core.text.options import TextOptions
from videobert_cli.core.text.sentences import Sentence, sentences_from_cues
from videobert_cli.core.text.subtitles import SubtitleFile, read_subtitles
from videobert_cli.core.video.entries import CaptionSource, Video
from videobert_cli.errors import InputError

# A segment without an end lasts to the end of its video, which is not known here: later than any is as good.
_OPEN_END_SECONDS = 1e9


@dataclass(frozen=True, kw_only=True)
class Transcripts:
    """Sentences by id, in order of time; what was dropped by reason; files that could not be read, with the cause."""

    sentences: Mapping[str, tuple[Sentence, ...]]
    num_dropped: Mapping[str, int]
    unreadable: Mapping[str, str]

    @property
    def num_sentences(self) -> int:
        """Sentences in all."""
        return sum(len(sentences) for sentences in self.sentences.values())

    def content_hash(self) -> str:
        """Return a hash of all ids, times and texts."""
        return hash_json(
            {
                key: [[sentence.start_seconds, sentence.end_seconds, sentence.text] for sentence in sentences]
                for key, sentences in self.sentences.items()
            }
        )


def read_transcripts(files: Mapping[str, CaptionSource], *, options: TextOptions) -> Transcripts:
    """Read the subtitle file of each id into sentences; an unreadable file is reported, not fatal."""
    sentences: dict[str, tuple[Sentence, ...]] = {}
    dropped: Counter[str] = Counter()
    unreadable: dict[str, str] = {}
    for key, source in sorted(files.items()):
        try:
            subtitles = read_subtitles(source.path, key=source.key)
        except InputError as error:
            unreadable[key] = f"{source.path}: {error.what}"
            continue
        dropped.update(subtitles.num_dropped)
        sentences[key] = sentences_of(subtitles, options=options)
    return Transcripts(sentences=sentences, num_dropped=dict(dropped), unreadable=unreadable)


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
    return tuple(
        sentences_from_cues(
            subtitles.cues,
            pause_seconds=options.pause_seconds,
            max_sentence_seconds=options.max_sentence_seconds,
        )
    )

"""The sentences of many videos: subtitle files read once, drops counted, one hash over all of them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from videobert_cli.artifacts import hash_json
from videobert_cli.core.text.options import TextOptions
from videobert_cli.core.text.sentences import Sentence, sentences_from_cues
from videobert_cli.core.text.subtitles import SubtitleFile, read_subtitles
from videobert_cli.errors import InputError


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


def read_transcripts(files: Mapping[str, Path], *, options: TextOptions) -> Transcripts:
    """Read the subtitle file of each id into sentences; an unreadable file is reported, not fatal."""
    sentences: dict[str, tuple[Sentence, ...]] = {}
    dropped: Counter[str] = Counter()
    unreadable: dict[str, str] = {}
    for key, path in sorted(files.items()):
        try:
            subtitles = read_subtitles(path)
        except InputError as error:
            unreadable[key] = f"{path}: {error.what}"
            continue
        dropped.update(subtitles.num_dropped)
        sentences[key] = sentences_of(subtitles, options=options)
    return Transcripts(sentences=sentences, num_dropped=dict(dropped), unreadable=unreadable)


def sentences_of(subtitles: SubtitleFile, *, options: TextOptions) -> tuple[Sentence, ...]:
    """Return the sentences of one subtitle file, in order of time."""
    return tuple(
        sentences_from_cues(
            subtitles.cues,
            pause_seconds=options.pause_seconds,
            max_sentence_seconds=options.max_sentence_seconds,
        )
    )

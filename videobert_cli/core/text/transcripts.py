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
    """Sentences by id, in order of time, and what became of the cues of all files.

    Args:
        sentences: Sentences by id.
        num_dropped: Cues that were dropped, by reason (`SubtitleFile`); with `num_cues` they add up to the files' own.
        unreadable: Files that could not be read by id, with the cause.
        num_cues: Cues that were kept.
        num_without_cues: Files that could be read and hold not one cue.
    """

    sentences: Mapping[str, tuple[Sentence, ...]]
    num_dropped: Mapping[str, int]
    unreadable: Mapping[str, str]
    num_cues: int = 0
    num_without_cues: int = 0

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
        return ", ".join(losses)

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
    num_cues = num_without_cues = 0
    for key, path in sorted(files.items()):
        try:
            subtitles = read_subtitles(path)
        except InputError as error:
            unreadable[key] = f"{path}: {error.what}"
            continue
        dropped.update(subtitles.num_dropped)
        num_cues += len(subtitles.cues)
        num_without_cues += not (subtitles.cues or subtitles.num_dropped)
        sentences[key] = sentences_of(subtitles, options=options)
    return Transcripts(
        sentences=sentences,
        num_cues=num_cues,
        num_dropped=dict(dropped),
        num_without_cues=num_without_cues,
        unreadable=unreadable,
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

"""The text of a run: which sentences it learns, and the messages about those it does not."""

from typing import TYPE_CHECKING, Literal

from videobert_cli.core.text.transcripts import Transcripts, annotated_transcripts, read_transcripts
from videobert_cli.core.video.datasets.gathering import SENTENCE_COLUMN
from videobert_cli.core.video.entries import CaptionSource
from videobert_cli.pipeline.punctuation import KeptPunctuation
from videobert_cli.pipeline.speech import speech_of

if TYPE_CHECKING:
    from videobert_cli.pipeline.run import Run

SentenceSource = Literal["captions", "annotations"]
# A corpus may lack the captions of a hundred thousand videos: the first few show what is wrong.
_NUM_SHOWN = 10


def sentence_source(run: "Run") -> SentenceSource:
    """Return where the text of pretraining comes from: `data.sentences`, `auto` decided by what there is."""
    chosen = run.recipe.data.sentences
    if chosen != "auto":
        return chosen
    listens = run.recipe.pretrain.text.asr.engine != "none"
    if listens or any(item.captions is not None for item in run.items):
        return "captions"
    is_annotated = any(
        SENTENCE_COLUMN in segment.labels for video in run.videos for segment in video.segments
    )
    return "annotations" if is_annotated else "captions"


def transcripts_of(run: "Run") -> Transcripts:
    """Return the sentences of all videos and texts; files that give none are named, the first of many."""
    if run.sentence_source == "annotations":
        return annotated_transcripts(run.videos, column=SENTENCE_COLUMN)
    transcripts = read_transcripts(_caption_files(run), options=run.recipe.pretrain.text)
    problems = list(transcripts.unreadable.values())
    for problem in problems[:_NUM_SHOWN]:
        run.reporter.warning(f"no text from {problem}")
    if len(problems) > _NUM_SHOWN:
        run.reporter.warning(f"no text from {len(problems) - _NUM_SHOWN:,} more files")
    others = [f"{key} ({language})" for key, language in transcripts.other_languages.items()]
    if others:
        more = f" and {len(others) - _NUM_SHOWN:,} more" if len(others) > _NUM_SHOWN else ""
        run.reporter.line(f"left out, in other languages: {', '.join(others[:_NUM_SHOWN])}{more}")
    return transcripts


def punctuated_of(run: "Run") -> Transcripts:
    """Return the transcripts with punctuation restored where the recipe names a model that does it."""
    if run.recipe.pretrain.text.punctuation == "none" or run.sentence_source == "annotations":
        return run.transcripts
    files = _caption_files(run)
    restore = KeptPunctuation(run, num_transcripts=len(files))
    transcripts = read_transcripts(files, options=run.recipe.pretrain.text, restore=restore)
    run.reporter.line(f"punctuation restored in {restore.num_restored:,} transcripts")
    return transcripts


def _caption_files(run: "Run") -> dict[str, CaptionSource]:
    files = {item.id: item.captions for item in run.items if item.captions is not None}
    spoken = [speech for speech in speech_of(run) if speech.file.is_file()]
    return files | {speech.video.id: CaptionSource(path=speech.file) for speech in spoken}

"""`videobert pretrain --show N`: the first sequences of a recipe's training in readable form; nothing is trained."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from videobert_cli.artifacts import publish_text
from videobert_cli.core.reports.gallery import Pictures
from videobert_cli.core.reports.sequences import ShownClip, ShownSequence, sequences_page, shown_sequence
from videobert_cli.core.sequences.documents import joint_vocabulary
from videobert_cli.core.sequences.origins import SequenceTracer
from videobert_cli.core.words.nearest import NO_CLIP
from videobert_cli.core.words.survey import Survey
from videobert_cli.pipeline.clip_pictures import ClipAt, clip_pictures
from videobert_cli.pipeline.execute import make_upstream
from videobert_cli.pipeline.gallery import survey_of
from videobert_cli.pipeline.pretrain_stage import make_tokenizer, split_documents
from videobert_cli.pipeline.run import Run

PAGE_NAME = "sequences.html"
_NUM_PIXELS = 128
_SAVED = "the stages before pretrain; nothing else was begun"


@dataclass(frozen=True, kw_only=True)
class ShownRun:
    """The sequences, where their page is, and items that the stages before could not use."""

    sequences: tuple[ShownSequence, ...]
    page: Path
    num_failed: int


def show_sequences(run: Run, *, num_sequences: int, upstream: bool, overwrite: bool) -> ShownRun:
    """Return the first sequences of epoch 0 and write their page; the stages before pretrain are made where missing.

    Raises:
        InputError: There is nothing to train on.
        MissingInputError: A stage before pretrain is missing and `upstream` is False.
        InterruptedRunError: A stop was asked for.
    """
    num_failed = make_upstream(run, target="pretrain", upstream=upstream, overwrite=overwrite)
    tokenizer = make_tokenizer(run)
    documents = list(split_documents(run, "train", tokenizer=tokenizer))
    tracer = SequenceTracer(
        documents,
        options=run.recipe.pretrain.sequences,
        vocabulary=joint_vocabulary(tokenizer),
        seed=run.recipe.seed,
    )
    by_id = {document.id: document for document in documents}
    traced = [tracer.trace(number) for number in range(min(num_sequences, tracer.epoch_size))]
    shown = tuple(
        shown_sequence(
            found, number=number + 1, document=by_id[found.document_id], tokenizer=tokenizer, words=run.words
        )
        for number, found in enumerate(traced)
    )
    page = run.paths.root / PAGE_NAME
    publish_text(page, _page(run, shown, epoch_size=tracer.epoch_size))
    return ShownRun(sequences=shown, page=page, num_failed=num_failed)


def _page(run: Run, shown: Sequence[ShownSequence], *, epoch_size: int) -> str:
    own = {token.clip for sequence in shown for token in sequence.tokens if token.clip}
    words = {token.word for sequence in shown for token in sequence.tokens if token.word is not None}
    survey = survey_of(run)
    nearest = _nearest(run, survey, words=words)
    wanted = [*own, *nearest.values()]
    pictures = clip_pictures(
        run,
        [ClipAt(video_id=clip.video_id, start_seconds=clip.start_seconds) for clip in wanted],
        num_pixels=_NUM_PIXELS,
        stage="show",
        saved=_SAVED,
    )
    by_clip = {
        clip: uri for clip in wanted if (uri := pictures.by_clip.get((clip.video_id, clip.start_seconds)))
    }
    return sequences_page(
        shown,
        title=f"{len(shown)} of {epoch_size:,} sequences of an epoch of {run.paths.root.resolve().name}",
        pictures=by_clip,
        examples={word: by_clip[clip] for word, clip in nearest.items() if clip in by_clip},
        notes=_notes(survey, pictures),
    )


def _nearest(run: Run, survey: Survey, *, words: Iterable[int]) -> dict[int, ShownClip]:
    """Return the training clip nearest to each word; words that only other splits use have none."""
    clips = survey.clips
    rows = {int(word): row for row, word in enumerate(clips.words_R)}
    found = {}
    for word in sorted(words):
        row = rows.get(word)
        if row is not None and clips.videos_RC[row, 0] != NO_CLIP:
            video_id = clips.ids[int(clips.videos_RC[row, 0])]
            start = float(run.words.clip_start_seconds(video_id)[int(clips.clips_RC[row, 0])])
            found[word] = ShownClip(video_id=video_id, start_seconds=start)
    return found


def _notes(survey: Survey, pictures: Pictures) -> list[str]:
    notes = [f"No picture of {video_id}: {reason}" for video_id, reason in sorted(pictures.problems.items())]
    if survey.total_inertia is None:
        notes.append(
            "Extraction kept words and no features: instead of the nearest clip, some clip of the word."
        )
    return notes

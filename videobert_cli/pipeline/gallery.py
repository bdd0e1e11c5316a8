"""What people look at after quantize: the codebook's quality, clips of every word, and the gallery page.

No stage reads any of it. It is made once codebook and words are safe on disk, and what goes wrong here is a warning.
"""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from videobert_cli.artifacts import (
    is_finished,
    publish_bytes,
    publish_directory,
    publish_lines,
    publish_text,
    read_manifest,
    seal,
)
from videobert_cli.core.features.store.reader import FeatureStore
from videobert_cli.core.reports.codebook_lines import codebook_lines
from videobert_cli.core.reports.cooccurrence import TextMatches, match_texts
from videobert_cli.core.reports.gallery import (
    GalleryFacts,
    GalleryWord,
    Pictures,
    gallery_page,
    gallery_words,
    usage,
)
from videobert_cli.core.reports.html import jpeg_bytes
from videobert_cli.core.words.codebook import Codebook
from videobert_cli.core.words.quality import quality_metrics
from videobert_cli.core.words.survey import Survey, survey_codebook, survey_words
from videobert_cli.core.words.survey_file import load_survey, save_survey
from videobert_cli.errors import ArtifactError, InterruptedRunError
from videobert_cli.pipeline.clip_pictures import ClipAt, clip_pictures
from videobert_cli.pipeline.run import Run
from videobert_cli.pipeline.stage import read_record

KIND = "gallery"
PAGE_NAME = "index.html"
WORDS_NAME = "words.jsonl"
PICTURES_NAME = "pictures"
# Another page is made where what it shows is drawn otherwise.
_PAGE_VERSION = 2
_SAVED = "codebook and words; `videobert quantize` makes the gallery"
# `videobert pretrain --show` shows the nearest clip of words that no gallery has.
_LEAST_NUM_NEAREST = 4


def is_look_due(run: Run) -> bool:
    """Return whether the survey or the page is missing, or is of other words, or the recipe wants it otherwise."""
    record = read_record(run.directory("quantize"))
    if record is None or "quantize.num_training_clips" not in record.facts:
        return True
    return not _is_surveyed(run) or (
        run.recipe.quantize.gallery.content != "none" and not _is_gallery_made(run)
    )


def look(run: Run) -> Mapping[str, Any]:
    """Make what is due and return the quality as flat metrics; what cannot be made is a warning.

    Raises:
        InterruptedRunError: A stop was asked for.
    """
    started = time.monotonic()
    metrics: dict[str, Any] = {}
    try:
        survey = survey_of(run)
        metrics = quality_metrics(run.codebook, survey)
        if run.recipe.quantize.gallery.content != "none" and not _is_gallery_made(run):
            summary = _make_gallery(run, survey, metrics=metrics)
            run.reporter.stage_finished("gallery", summary=summary, seconds=time.monotonic() - started)
    except InterruptedRunError:
        raise
    except Exception as error:  # noqa: BLE001 - pictures must never cost the codebook, whatever is wrong with them
        what = getattr(error, "what", None) or f"{type(error).__name__}: {error}"
        run.reporter.warning(f"the gallery could not be made, codebook and words are not touched: {what}")
    return metrics


def survey_of(run: Run) -> Survey:
    """Return the survey of the run's words, made and saved where it is missing or of other words."""
    if _is_surveyed(run):
        return load_survey(run.paths.survey)
    options = run.recipe.quantize.gallery
    num_nearest = max(_LEAST_NUM_NEAREST, options.clips_per_word)
    train_ids = run.split_ids("train")

    def on_progress(done: int, total: int) -> None:
        run.stop.raise_if_requested(_SAVED)
        run.reporter.progress("survey", done=done, total=total, detail="clips")

    store = features_of_run(run)
    if store is None:
        survey = survey_words(run.words, train_ids=train_ids, num_clips=num_nearest)
    else:
        codebook = (
            run.codebook
            if run.device.type != "cuda"
            else Codebook.load(run.paths.codebook, device=run.device)
        )
        survey = survey_codebook(
            codebook,
            store,
            words=run.words,
            train_ids=train_ids,
            num_nearest=num_nearest,
            on_progress=on_progress,
        )
    save_survey(survey, run.paths.survey, parents=_parents(run))
    return survey


def page_path(run: Run) -> str | None:
    """Return where the gallery's page is, None where there is none."""
    return str(run.paths.gallery / PAGE_NAME) if is_finished(run.paths.gallery) else None


# --- details ----------------------------------------------------------------------------------------------------------


def features_of_run(run: Run) -> Any:
    """Return the features of the run's videos, None where extraction kept words alone."""
    if run.recipe.extract.keep == "words":
        return None
    return FeatureStore.open(run.paths.features) if run.recipe.extract.keep == "both" else run.store


def _parents(run: Run) -> dict[str, str]:
    return {
        "codebook": read_manifest(run.paths.codebook, kind="codebook").content_hash,
        "words": read_manifest(run.paths.words, kind="words").content_hash,
    }


def _is_surveyed(run: Run) -> bool:
    if not is_finished(run.paths.survey) or read_manifest(run.paths.survey).parents != _parents(run):
        return False
    try:
        num_clips = load_survey(run.paths.survey).clips.clips_RC.shape[1]
    except ArtifactError:
        return False
    return bool(num_clips >= run.recipe.quantize.gallery.clips_per_word)


def _is_gallery_made(run: Run) -> bool:
    if not is_finished(run.paths.gallery):
        return False
    manifest = read_manifest(run.paths.gallery)
    return manifest.parents == _parents(run) and manifest.settings == _page_settings(run)


def _page_settings(run: Run) -> dict[str, Any]:
    return {**run.recipe.quantize.gallery.settings(), "page_version": _PAGE_VERSION}


def _make_gallery(run: Run, survey: Survey, *, metrics: Mapping[str, Any]) -> str:
    """Write page and words; return a few words for people."""
    options, codebook = run.recipe.quantize.gallery, run.codebook
    texts = match_texts(run.transcripts.sentences, words=run.words, ids=run.split_ids("train"))
    found = gallery_words(
        survey, words=run.words, branching=codebook.branching, num_levels=codebook.num_levels, texts=texts
    )
    with_pictures = found[: options.num_words]
    pictures = _pictures(run, with_pictures) if options.content == "pictures" else None
    page = gallery_page(
        found,
        usage_K=usage(survey, words=run.words),
        branching=codebook.branching,
        num_levels=codebook.num_levels,
        num_with_pictures=options.num_words,
        pictures=pictures,
        texts=texts,
        facts=_page_facts(run, survey, metrics=metrics, texts=texts),
    )
    with publish_directory(run.paths.gallery) as temporary:
        publish_text(temporary / PAGE_NAME, page)
        publish_lines(
            temporary / WORDS_NAME, (json.dumps(word.record(), ensure_ascii=False) for word in found)
        )
        if pictures is not None:
            _publish_pictures(temporary / PICTURES_NAME, with_pictures, pictures=pictures)
        seal(temporary, kind=KIND, settings=_page_settings(run), parents=_parents(run))
    num_pictures = 0 if pictures is None else len(pictures.by_clip)
    return f"{len(found):,} words, {num_pictures:,} pictures, {len(page.encode()) / 1e6:.1f} MB"


def _publish_pictures(directory: Path, found: Sequence[GalleryWord], *, pictures: Pictures) -> None:
    """Write the first picture of each word, a file of its name: what other pages show of a word."""
    directory.mkdir()
    for word in found:
        uris = (pictures.by_clip.get((clip.video_id, clip.start_seconds)) for clip in word.clips)
        uri = next((uri for uri in uris if uri), None)
        if uri is not None:
            publish_bytes(directory / f"{word.name}.jpg", jpeg_bytes(uri))


def _pictures(run: Run, found: Sequence[GalleryWord]) -> Pictures:
    options = run.recipe.quantize.gallery
    clips = [
        ClipAt(video_id=clip.video_id, start_seconds=clip.start_seconds)
        for word in found
        for clip in word.clips[: options.clips_per_word]
    ]
    return clip_pictures(run, clips, num_pixels=options.picture_pixels, stage="gallery", saved=_SAVED)


def _page_facts(run: Run, survey: Survey, *, metrics: Mapping[str, Any], texts: TextMatches) -> GalleryFacts:
    notes = []
    if survey.total_inertia is None:
        notes.append(
            "Extraction kept words and no features: the pictures are clips of each word in order of their videos, "
            "not the nearest to its centroid, and radii and distances are not known."
        )
    if run.recipe.quantize.gallery.content == "table":
        notes.append("Without pictures, as the recipe asks (quantize.gallery.content: table).")
    if not texts.num_counted:
        notes.append("No text: no training video with words has sentences.")
    fingerprint = run.codebook.fingerprint
    # No path: equal work is to have equal bytes, wherever it lies.
    facts = {
        "data": run.recipe.data.videos.name,
        "features": str(fingerprint.get("backbone", "made elsewhere")),
        "tree": f"{run.codebook.branching} children, {run.codebook.num_levels} levels",
        "training clips": f"{survey.num_training_clips:,} of {len(survey.clips.ids):,} videos",
        "codebook": _parents(run)["codebook"][:12],
    }
    return GalleryFacts(
        title="Visual words",
        facts=facts,
        quality=codebook_lines(metrics),
        notes=notes,
    )

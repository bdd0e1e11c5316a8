"""Words kept by extraction: the codebook that the recipe names, where words go, and the quantize stage from them."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from videobert_cli.artifacts import is_finished, publish_directory, read_manifest, require_intact
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.features.store.item_writer import OpenWriter, open_features
from videobert_cli.core.features.store.kept_words import KeptWords, WordKeeping
from videobert_cli.core.words.codebook import Codebook
from videobert_cli.core.words.quantize import clip_geometry, require_same_features
from videobert_cli.core.words.table import WordTable
from videobert_cli.core.words.tree import perplexity
from videobert_cli.errors import CodebookMismatchError, MissingInputError, UsageError
from videobert_cli.pipeline.run import Run
from videobert_cli.pipeline.stage import StageReport

# Where a codebook is in what a recipe may name: itself, a model directory, a run.
_PLACES = (".", "codebook", "quantize/codebook", "pretrain/model/codebook")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an extraction's results go: the store whose items count as done, and those beside it."""

    directory: Path
    open_writer: OpenWriter = open_features
    beside: tuple[Path, ...] = ()


class CodebookWords:
    """A codebook as extraction sees it (`core.features.store.kept_words.WordAssigner`)."""

    def __init__(self, directory: Path, *, device: torch.device) -> None:
        # The descent decides ties in float64, which Apple's GPUs do not have.
        self._codebook = Codebook.load(
            directory, device=torch.device("cpu") if device.type == "mps" else device
        )
        self._directory = directory
        self.codebook_hash = read_manifest(directory, kind="codebook").content_hash
        self.num_words = self._codebook.num_words

    def require_fit(self, fingerprint: Mapping[str, Any]) -> None:
        """Refuse features that are not of the kind the codebook was fitted on."""
        try:
            require_same_features(fingerprint, self._codebook.fingerprint)
        except CodebookMismatchError as error:
            raise CodebookMismatchError(
                error.what,
                at=f"extract.codebook: {self._directory}",
                fix="extract with the settings the codebook was made with, or name another codebook",
            ) from error

    def assign(self, features_TD: np.ndarray) -> np.ndarray:  # noqa: N803 - a shape suffix
        """Return the word (T,) of each feature."""
        return self._codebook.assign(features_TD)


def place_of(options: ExtractOptions, *, words: Path, features: Path, device: torch.device) -> Place:
    """Return where the results of an extraction with `options` go: `words`, `features`, or both.

    Raises:
        MissingInputError: There is no codebook where `extract.codebook` says.
        ArtifactError: It is damaged.
    """
    if options.codebook is None:
        return Place(directory=features)
    assigner = CodebookWords(find_codebook(options.codebook), device=device)
    keeps_both = options.keep == "both"
    return Place(
        directory=words,
        open_writer=WordKeeping(assigner=assigner, features=features if keeps_both else None),
        beside=(features,) if keeps_both else (),
    )


def find_codebook(named: Path) -> Path:
    """Return the codebook that `named` is, or that lies in the model directory or run of that name.

    Raises:
        MissingInputError: There is none.
    """
    for place in _PLACES:
        directory = named / place
        if is_finished(directory) and read_manifest(directory).kind == "codebook":
            return directory
    raise MissingInputError(
        "there is no codebook here",
        at=f"extract.codebook: {named}",
        fix="name a codebook, a model directory or a run; `videobert quantize RECIPE` makes one",
    )


def require_codebook_outside(run: Run) -> None:
    """Refuse a codebook that lies in the run itself: making its stages anew would throw it away.

    Raises:
        UsageError: It does.
    """
    named = run.recipe.extract.codebook
    if named is not None and named.resolve().is_relative_to(run.paths.root.resolve()):
        raise UsageError(
            "the codebook lies in this very run, which is to be filled by it",
            at=f"extract.codebook: {named}",
            fix=f"keep that run and fill another from its codebook: --set run=OTHER_DIR --codebook {named}",
        )


def is_of_the_codebook(run: Run) -> bool:
    """Return whether the words kept in the run are those of the codebook that the recipe names."""
    return KeptWords.open(run.paths.kept_words).codebook_hash == _codebook_hash(run)


def words_inputs(run: Run) -> dict[str, str]:
    """Return the hashes of what the quantize stage reads where words were kept."""
    kept = KeptWords.open(run.paths.kept_words)
    return {"codebook": _codebook_hash(run), "kept_words": kept.content_hash(_ids(run, kept))}


def take_words(run: Run) -> StageReport:
    """Make the quantize stage's artifacts from kept words: a copy of their codebook, and the table of words.

    Raises:
        CodebookMismatchError: The words come from another codebook.
    """
    kept, source = KeptWords.open(run.paths.kept_words), _codebook(run)
    codebook_hash = require_intact(source, kind="codebook").content_hash
    if kept.codebook_hash != codebook_hash:
        raise CodebookMismatchError(
            f"the words kept come from codebook {kept.codebook_hash[:12]}, the recipe names {codebook_hash[:12]}",
            at=str(kept.directory),
            fix="name the codebook they come from (extract.codebook), or use another run: --set run=DIR",
        )
    with publish_directory(run.paths.codebook) as temporary:
        shutil.copytree(source, temporary, dirs_exist_ok=True)
    clip_seconds, clip_length_seconds = clip_geometry(kept.features_fingerprint)
    table = WordTable(
        num_words=kept.num_words,
        clip_seconds=clip_seconds,
        clip_length_seconds=clip_length_seconds,
        codebook_hash=codebook_hash,
    )
    ids = _ids(run, kept)
    for done, video_id in enumerate(ids, start=1):
        run.stop.raise_if_requested("nothing of this stage; it starts anew and gives the same words")
        stored = kept.read(video_id)
        table.add(video_id, words_T=stored.words_T, clip_start_seconds_T=stored.clip_start_seconds_T)
        run.reporter.progress("quantize", done=done, total=len(ids), detail="videos")
    table.save(run.paths.words, parents={"kept_words": kept.content_hash(ids), "codebook": codebook_hash})
    return _report(table)


def _report(table: WordTable) -> StageReport:
    counts = table.counts()
    num_used, variety = int((counts > 0).sum()), perplexity(torch.from_numpy(counts))
    return StageReport(
        summary=(
            f"{num_used:,} of {table.num_words:,} words used, perplexity {variety:.0f}, {int(counts.sum()):,} clips, "
            "by the codebook given"
        ),
        facts={
            "quantize.num_words": table.num_words,
            "quantize.num_words_used": num_used,
            "quantize.perplexity": variety,
        },
    )


def _ids(run: Run, kept: KeptWords) -> list[str]:
    known = set(kept.ids())
    return [video.id for video in run.videos if video.id in known]


def _codebook(run: Run) -> Path:
    named = run.recipe.extract.codebook
    assert named is not None  # noqa: S101 - the recipe's own check: words are kept by a codebook alone
    return find_codebook(named)


def _codebook_hash(run: Run) -> str:
    return read_manifest(_codebook(run), kind="codebook").content_hash

"""A run: one directory that a recipe fills, its lock, and the inputs that several stages share."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch

from videobert_cli.artifacts import hash_json, is_finished, read_manifest, sweep
from videobert_cli.core.features.store.matching import MatchedFeatures
from videobert_cli.core.features.store.reader import FeatureStore, locate_items
from videobert_cli.core.sequences.labelled import LabelledWords, labelled_words
from videobert_cli.core.text.borrowed_models import place_of_model
from videobert_cli.core.text.language import LanguageFilter
from videobert_cli.core.text.transcripts import Transcripts
from videobert_cli.core.video.manifest import Listing, Split, Text, Video, read_listing
from videobert_cli.core.words.codebook import Codebook
from videobert_cli.core.words.table import WordTable
from videobert_cli.errors import MissingInputError
from videobert_cli.pipeline.locks import lock_alone
from videobert_cli.pipeline.reporter import Reporter
from videobert_cli.pipeline.run_text import SentenceSource, punctuated_of, sentence_source, transcripts_of
from videobert_cli.recipe.load import LoadedRecipe
from videobert_cli.recipe.schema import Recipe
from videobert_cli.recipe.snapshot import write_snapshot
from videobert_cli.runtime import StopRequest, environment


@dataclass(frozen=True, kw_only=True)
class RunPaths:
    """Where everything of a run lies."""

    root: Path

    def stage(self, name: str) -> Path:
        """Return a stage's directory."""
        return self.root / name

    @property
    def features(self) -> Path:
        """The feature store."""
        return self.root / "extract" / "features"

    @property
    def kept_words(self) -> Path:
        """The words that extraction kept, in place of features or beside them."""
        return self.root / "extract" / "words"

    @property
    def codebook(self) -> Path:
        """The codebook."""
        return self.root / "quantize" / "codebook"

    @property
    def words(self) -> Path:
        """The words of every video."""
        return self.root / "quantize" / "words"

    @property
    def survey(self) -> Path:
        """The quality of the codebook and the clips of its words."""
        return self.root / "quantize" / "survey"

    @property
    def gallery(self) -> Path:
        """The page on which the words are seen."""
        return self.root / "quantize" / "gallery"

    @property
    def pretrained(self) -> Path:
        """The pretrained model directory."""
        return self.root / "pretrain" / "model"


class Run:
    """A recipe at work: its options, its directory, and shared inputs read once, when first asked for."""

    def __init__(
        self,
        loaded: LoadedRecipe,
        *,
        device: torch.device,
        stop: StopRequest,
        reporter: Reporter,
        external_model: Path | None = None,
        on_failed: Literal["keep", "retry"] = "keep",
        is_strict: bool = False,
        watch: Callable[[str, Mapping[str, Any]], None] = lambda _stage, _record: None,
    ) -> None:
        """Args:
        external_model: A model directory made elsewhere, in place of the run's own (`--model`).
        on_failed: What becomes of videos that could not be read before (`--retry-failed`).
        is_strict: Whether a video in two splits is an error (`--strict`).
        watch: Is told each line that a stage's `metrics.jsonl` gets; what it raises ends the training.
        """
        self.loaded = loaded
        self.recipe: Recipe = loaded.recipe
        self.paths = RunPaths(root=loaded.recipe.run)
        self.device = device
        self.stop = stop
        self.reporter = reporter
        self.external_model = external_model
        self.on_failed = on_failed
        self.is_strict = is_strict
        self.watch = watch

    def directory(self, stage: str) -> Path:
        """Return a stage's directory; work on a model made elsewhere has a directory of its own beside it."""
        if self.external_model is None or stage not in {"finetune", "caption", "retrieval", "evaluate"}:
            return self.paths.stage(stage)
        model_hash = read_manifest(self.external_model, kind="model").content_hash
        return self.paths.stage(f"{stage}-{model_hash[:12]}")

    @property
    def pretrained(self) -> Path:
        """The pretrained model directory that later stages use."""
        return self.model_of("pretrain")

    def model_of(self, stage: str) -> Path:
        """Return the model directory that a training stage makes; a model made elsewhere stands for any."""
        return self.external_model or self.paths.stage(stage) / "model"

    @property
    def extracted(self) -> Path:
        """The store whose items are what the extract stage has done: words where they are kept, else features."""
        return self.paths.kept_words if self.recipe.extract.keeps_words else self.paths.features

    @cached_property
    def listing(self) -> Listing:
        """What `data:` lists; there may be no video in it."""
        data = self.recipe.data
        return read_listing(
            data.videos,
            dataset=data.dataset,
            root=data.root,
            validation_fraction=data.validation_fraction,
            test_fraction=data.test_fraction,
            seed=self.recipe.seed,
            files="needed" if self.recipe.extract.features is None else "not-needed",
            extracted=self._extracted_ids,
        )

    def _extracted_ids(self) -> set[str]:
        return set(locate_items(self.extracted))

    @property
    def videos(self) -> Sequence[Video]:
        """The videos of `data.videos`, sorted by id.

        Raises:
            ManifestError: There is none.
        """
        self.listing.require_videos()
        return self.listing.videos

    @property
    def items(self) -> list[Video | Text]:
        """The videos, and the texts without a video."""
        return [*self.videos, *self.listing.texts]

    @cached_property
    def sentence_source(self) -> SentenceSource:
        """Where the text of pretraining comes from."""
        return sentence_source(self)

    @cached_property
    def transcripts(self) -> Transcripts:
        """The sentences of all videos and texts: of subtitles and speech, or those that annotators wrote."""
        return transcripts_of(self)

    @cached_property
    def punctuated(self) -> Transcripts:
        """The transcripts with the punctuation that `pretrain.text.punctuation` restores; this runs its model.

        What stages compare is `transcripts` and the model: the same of both gives the same here.
        """
        return punctuated_of(self)

    def forget_transcripts(self) -> None:
        """Read the transcripts anew when they are next asked for: there are others now."""
        self.__dict__.pop("transcripts", None)
        self.__dict__.pop("punctuated", None)

    @cached_property
    def store(self) -> FeatureStore | MatchedFeatures:
        """The features of all videos that have some, by the videos' ids."""
        imported = self.recipe.extract.features
        if imported is None:
            return FeatureStore.open(self.paths.features)
        return MatchedFeatures(FeatureStore.open(imported), video_ids=[video.id for video in self.videos])

    @cached_property
    def codebook(self) -> Codebook:
        """The codebook."""
        return Codebook.load(self.paths.codebook)

    @cached_property
    def words(self) -> WordTable:
        """The words of every video."""
        return WordTable.load(self.paths.words)

    @cached_property
    def segments(self) -> list[LabelledWords]:
        """All labelled segments with their words; a warning counts those that begin after their video ends."""
        segments = labelled_words(self.videos, words=self.words)
        with_clips = [v for v in self.videos if v.id in self.words and len(self.words.words(v.id))]
        num_past = sum(len(video.segments) for video in with_clips) - len(segments)
        if num_past:
            self.reporter.warning(
                f"labelled segments left out, as they begin after their video ends: {num_past:,}"
            )
        return segments

    def split_ids(self, split: Split) -> list[str]:
        """Return the ids of the videos and texts of one split."""
        return [item.id for item in self.items if item.split == split]

    def labels_hash(self) -> str:
        """Return a hash of every labelled segment: its video, times, split and labels."""
        return hash_json(
            [
                [video.id, video.split, segment.start_seconds, segment.end_seconds, dict(segment.labels)]
                for video in self.videos
                for segment in video.segments
            ]
        )

    def missing_data(self) -> list[str]:
        """Return what the recipe names and is not there, each as `key: path does not exist`."""
        data = self.recipe.data
        named: list[tuple[str, object]] = [("data.videos", data.videos), ("data.root", data.root)]
        extract = self.recipe.extract
        named += [("extract.codebook", extract.codebook), ("extract.features", extract.features)]
        if extract.features is None and not is_finished(self.extracted):
            named.append(("extract.weights", extract.weights))
        return [
            f"{key}: {path} does not exist"
            for key, path in named
            if isinstance(path, Path) and not path.exists()
        ]

    def require_data(self) -> None:
        """Check what the recipe names, before anything is made.

        Raises:
            MissingInputError: The videos, the weights or a model's directory are not there.
            ManifestError: The list of videos cannot be used.
            InputError: What tells languages is missing, or knows no such language.
        """
        missing = self.missing_data()
        if missing:
            source = self.recipe.data.source
            raise MissingInputError(
                "\n".join(missing),
                at=self.loaded.origins.get(missing[0].split(":")[0], str(self.loaded.path)),
                fix=source
                or "give what is on disk (--set data.videos=PATH), or try a demo corpus: videobert demo demo",
            )
        text = self.recipe.pretrain.text
        for key, model in (("asr.model", text.asr.model), ("punctuation", text.punctuation)):
            if model not in {None, "none"}:
                place_of_model(str(model), at=f"pretrain.text.{key}")
        if text.languages:
            LanguageFilter(text.languages)
        _ = self.videos

    def remember(self) -> None:
        """Write down the recipe and the environment of the work that is about to be done."""
        recorded = environment(seed=self.recipe.seed, device=str(self.device))
        write_snapshot(self.paths.root, self.loaded, environment=recorded)

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Make the directory, lock it and clean up after a killed process.

        Raises:
            LockedError: Another live process holds the run.
            ResourceError: The directory cannot be written.
        """
        root = self.paths.root
        with lock_alone(root):
            for directory in (root, *(path for path in root.iterdir() if path.is_dir())):
                sweep(directory)
            yield

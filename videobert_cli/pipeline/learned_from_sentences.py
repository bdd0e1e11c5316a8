"""The stages that learn from sentences with their clips: from a pretrained model to one of another task."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from videobert_cli.artifacts import read_manifest
from videobert_cli.core.training.loop import TrainingResult
from videobert_cli.core.training.model_directory import LoadedModel, Model, load_model
from videobert_cli.core.training.sinks import require_sinks
from videobert_cli.pipeline.events import loop_events
from videobert_cli.pipeline.learned_model import publish_learned, require_same_codebook, training_summary
from videobert_cli.pipeline.ranks import call_for_help
from videobert_cli.pipeline.run import Run
from videobert_cli.pipeline.shown_sentences import (
    require_caption_features,
    sentences_by_split,
    sentences_inputs,
)
from videobert_cli.pipeline.stage import Stage, StageReport
from videobert_cli.pipeline.training_report import Training, is_report_due, look
from videobert_cli.ranks import Ranks, connected_ranks
from videobert_cli.recipe.schema import TRAININGS


class Learned(Protocol):
    """What a training from sentences returns."""

    @property
    def model(self) -> Model:
        """The trained model, in evaluation mode."""

    @property
    def training(self) -> TrainingResult:
        """How the loop ended."""

    @property
    def num_train_sentences(self) -> int:
        """How many sentences were learned from."""


@dataclass(frozen=True, kw_only=True)
class SentenceTask:
    """One such stage.

    Args:
        name: The stage's, which is its directory's and that of its section under `finetune:`.
        train: The core's function.
        fact: What the number of sentences is called in the model's manifest, which tells models of this task by it.
        card: The task by the name that model hubs give it, and what the model is.
        reads_features: Whether it learns from the segments' raw features, too.
    """

    name: Training
    train: Callable[..., Learned]
    fact: str
    card: tuple[str, str]
    reads_features: Callable[[Run], bool] = lambda _run: False

    def stage(self) -> Stage:
        """Return the stage."""
        return Stage(
            name=self.name,
            needs=lambda run: ("quantize",) if run.external_model else ("pretrain",),
            settings=self._settings,
            inputs=self._inputs,
            execute=self._execute,
            outputs=self._outputs,
            help=self._help,
            require=self._require,
            look=lambda run: look(run, self.name),
            is_look_due=lambda run: is_report_due(run, self.name),
        )

    def _require(self, run: Run) -> None:
        require_sinks(run.recipe.training(self.name).loop.log_to, key=f"{TRAININGS[self.name]}.loop.log_to")
        if self.reads_features(run) and run.recipe.extract.keep == "words":
            require_caption_features(run)

    def _inputs(self, run: Run) -> dict[str, str]:
        model = read_manifest(run.pretrained, kind="model").content_hash
        return {"model": model, **sentences_inputs(run, with_features=self.reads_features(run))}

    def _settings(self, run: Run) -> dict[str, Any]:
        section = run.recipe.training(self.name).remembered()
        return {"seed": run.recipe.seed, "finetune": {self.name: section}}

    def _outputs(self, run: Run) -> tuple[Path, ...]:
        return (run.directory(self.name) / "model" / "manifest.json",)

    def _execute(self, run: Run) -> StageReport:
        loaded = load_model(run.pretrained, device=run.device)
        require_same_codebook(run, loaded.directory)
        result = self._train(run, loaded, ranks=call_for_help(self.name))
        facts = {"num_steps": result.training.num_steps, self.fact: result.num_train_sentences}
        task, what = self.card
        publish_learned(
            run,
            self.name,
            result.model,
            start=loaded,
            card=(task, f"{what} of {run.recipe.data.videos.name}"),
            settings=self._settings(run),
            parents=self._inputs(run),
            facts=facts,
        )
        return StageReport(
            summary=f"{result.num_train_sentences:,} sentences with clips, {training_summary(result.training)}",
            facts={f"{self.name}.{name}": value for name, value in facts.items()},
        )

    def _help(self, run: Run) -> None:
        """Train beside rank 0."""
        self._train(run, load_model(run.pretrained, device=run.device), ranks=connected_ranks())

    def _train(self, run: Run, loaded: LoadedModel, *, ranks: Ranks) -> Learned:
        return self.train(
            pairs=sentences_by_split(run, tokenizer=loaded.tokenizer, with_features=self.reads_features(run)),
            pretrained=loaded.directory,
            tokenizer=loaded.tokenizer,
            options=run.recipe.training(self.name),
            directory=run.directory(self.name),
            seed=run.recipe.seed,
            device=run.device,
            stop=run.stop,
            events=loop_events(run, self.name),
            ranks=ranks,
        )

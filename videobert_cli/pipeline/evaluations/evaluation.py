"""What every task that `videobert evaluate` measures states of itself, and the models they ask."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from videobert_cli.artifacts import Manifest, read_manifest
from videobert_cli.core.metrics.evaluate import TaskResult
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.training.model_directory import LoadedModel, load_model
from videobert_cli.errors import InputError
from videobert_cli.pipeline.learned_model import require_same_codebook
from videobert_cli.pipeline.run import Run

# A fact that only the models of one of the fine-tuning stages have.
_FACTS_OF_LEARNED = {"num_classes", "num_train_pairs", "num_train_captions"}


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One task: its name in `evaluate.tasks`, the stage that makes its model, and the function that measures it.

    `fits` tells whether a model made elsewhere (`--model`), by its manifest, can be asked.
    """

    task: str
    stage: str
    measure: Callable[[Run], TaskResult]
    fits: Callable[[Manifest], bool]

    def model(self, run: Run) -> Path:
        """Return the model directory that is measured."""
        return run.model_of(self.stage)

    def model_hash(self, run: Run) -> str:
        """Return the content hash of that model."""
        return read_manifest(self.model(run), kind="model").content_hash


def is_pretrained(manifest: Manifest) -> bool:
    """Return whether a model directory holds a pretrained model, not a fine-tuned one."""
    return not manifest.facts.keys() & _FACTS_OF_LEARNED


def pretrained_model(run: Run, *, task: str) -> tuple[LoadedModel, VideoBERTForPreTraining]:
    """Return the pretrained model that a task asks.

    Raises:
        InputError: The model is a classifier.
        CodebookMismatchError: It was trained with another codebook than the run's.
    """
    loaded = load_model(run.pretrained, device=run.device)
    require_same_codebook(run, loaded.directory)
    if not isinstance(loaded.model, VideoBERTForPreTraining):
        raise InputError(
            f"{task} needs a pretrained model; this one was fine-tuned",
            at=str(loaded.directory),
            fix="--set 'evaluate.tasks=[classify]', or name a pretrained model",
        )
    return loaded, loaded.model

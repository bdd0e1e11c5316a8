"""The recipe's shape: one section a stage, each owned by its folder of the core."""

from pathlib import Path

from pydantic import Field

from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.tasks.options import EvaluateOptions, PredictOptions
from videobert_cli.core.training.finetune_options import CaptionOptions, FinetuneOptions, RetrievalOptions
from videobert_cli.core.training.options import PretrainOptions
from videobert_cli.core.video.options import DataOptions
from videobert_cli.core.words.options import QuantizeOptions
from videobert_cli.options import Options

# The section of each stage that trains a model, by the stage's name.
TRAININGS: dict[str, str] = {
    "pretrain": "pretrain",
    "finetune": "finetune",
    "caption": "finetune.caption",
    "retrieval": "finetune.retrieval",
}
# The stages that `videobert finetune` makes with another `finetune.task`, which bears the stage's name.
FINETUNE_TASKS = ("caption", "retrieval")
STAGES = ("extract", "quantize", "pretrain", "finetune", "evaluate")


class Recipe(Options):
    """One file is one experiment: the data, a section for each stage, and the directory it fills."""

    run: Path = Field(description="The directory that this recipe fills.")
    seed: int = Field(default=0, ge=0, lt=2**31, description="All randomness is a function of this number.")
    data: DataOptions = Field(description="Which videos.")
    extract: ExtractOptions = Field(default=ExtractOptions(), description="Videos to features.")
    quantize: QuantizeOptions = Field(default=QuantizeOptions(), description="Features to visual words.")
    pretrain: PretrainOptions = Field(default=PretrainOptions(), description="Words and text to a model.")
    finetune: FinetuneOptions = Field(default=FinetuneOptions(), description="A model learns classes.")
    evaluate: EvaluateOptions = Field(default=EvaluateOptions(), description="A model is measured.")
    predict: PredictOptions = Field(default=PredictOptions(), description="A model answers about a video.")

    def training(self, stage: str) -> PretrainOptions | FinetuneOptions | CaptionOptions | RetrievalOptions:
        """Return the section of a stage that trains a model (a key of `TRAININGS`)."""
        trainings: dict[str, PretrainOptions | FinetuneOptions | CaptionOptions | RetrievalOptions] = {
            "pretrain": self.pretrain,
            "finetune": self.finetune,
            "caption": self.finetune.caption,
            "retrieval": self.finetune.retrieval,
        }
        return trainings[stage]

"""The caption stage: a pretrained model and sentences with their clips into a captioner's model directory."""

from videobert_cli.core.model.caption_config import WITH_FEATURES
from videobert_cli.core.training.caption import finetune_captioner
from videobert_cli.pipeline.learned_from_sentences import SentenceTask

FACT = "num_train_captions"
STAGE = SentenceTask(
    name="caption",
    train=finetune_captioner,
    fact=FACT,
    card=("video-to-text", "VideoBERT captioner"),
    reads_features=lambda run: run.recipe.finetune.caption.encoder in WITH_FEATURES,
).stage()

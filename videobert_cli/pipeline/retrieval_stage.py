"""The retrieval stage: a pretrained model and sentences with their clips into a retriever's model directory."""

from videobert_cli.core.training.retrieval import finetune_retriever
from videobert_cli.pipeline.learned_from_sentences import SentenceTask

FACT = "num_train_pairs"
STAGE = SentenceTask(
    name="retrieval", train=finetune_retriever, fact=FACT, card=("feature-extraction", "VideoBERT retriever")
).stage()

"""A pretrained model, a retriever, a captioner and their tokenizer, of random weights, small enough to be asked thousands of times."""

from dataclasses import replace

from videobert_cli.core.model.caption_config import WITH_FEATURES, CaptionEncoder, CaptionerConfig
from videobert_cli.core.model.captioning import VideoBERTForCaptioning
from videobert_cli.core.model.classification import VideoBERTForSequenceClassification
from videobert_cli.core.model.config import VideoBERTConfig
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.model.retrieval import VideoBERTForRetrieval
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cut", "fry", "pour", "[>]"]
NUM_WORDS = 8
NUM_POSITIONS = 12
# The size of the raw features of captioners that look at them.
FEATURE_SIZE = 5


def small_tokenizer() -> VideoBERTTokenizer:
    return VideoBERTTokenizer.from_vocabulary(TOKENS, num_words=NUM_WORDS)


def small_model() -> VideoBERTForPreTraining:
    return VideoBERTForPreTraining(_config(), seed=1).eval()


def small_classifier() -> VideoBERTForSequenceClassification:
    config = replace(_config(), id2label={0: "cut", 1: "fry", 2: "pour"})
    return VideoBERTForSequenceClassification(config, seed=1).eval()


def small_retriever() -> VideoBERTForRetrieval:
    return VideoBERTForRetrieval(_config(), seed=1).eval()


def small_captioner(*, encoder: CaptionEncoder = "end_to_end", num_tokens: int = 8) -> VideoBERTForCaptioning:
    tokenizer = small_tokenizer()
    captioner = CaptionerConfig(
        encoder=encoder,
        num_layers=2,
        max_num_tokens=num_tokens,
        question_ids=(*tokenizer.text_ids("pour"), tokenizer.mask_id),
        mask_id=tokenizer.mask_id,
        feature_size=FEATURE_SIZE if encoder in WITH_FEATURES else 0,
    )
    return VideoBERTForCaptioning(replace(_config(), captioner=captioner), seed=1).eval()


def _config() -> VideoBERTConfig:
    return VideoBERTConfig(
        vocab_size=small_tokenizer().num_text_tokens,
        num_visual_words=NUM_WORDS,
        visual_embedding_size=6,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=NUM_POSITIONS,
        initializer_range=0.3,
    )

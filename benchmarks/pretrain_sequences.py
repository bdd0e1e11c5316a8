"""What benchmarks/pretrain.py trains on: the settings, a corpus of random sentences, sequences packed and padded."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from videobert_cli.core.model.config import VideoBERTConfig
from videobert_cli.core.sequences.corpus import Document, TokenCorpus
from videobert_cli.core.sequences.dataset import PretrainingSamples
from videobert_cli.core.sequences.joint import JointVocabulary
from videobert_cli.core.sequences.options import SequenceOptions
from videobert_cli.core.sequences.packing import PackedBatch, unpack
from videobert_cli.core.sequences.segments import ClipSpan

NUM_SPECIAL = 3  # [CLS], [>], [SEP]
SENTENCES_A_DOCUMENT = 100
# How many of 4,096 sequences of the demo's training stream have 0, 1, 2, ... tokens.
DEMO_LENGTHS = (
    "0 0 0 31 31 26 32 83 179 276 379 401 341 276 346 346 298 224 314 77 50 51 47 18 25 20 28 17 12 18 9 19 16 19 "
    "19 9 5 7 10 7 6 2 4 4 3 3 1 4 0 2 0 0 1"
)


def lognormal_lengths(num: int, generator: np.random.Generator) -> np.ndarray:
    """Median 110, 16 to 512: 128 of them have about 17,000 tokens."""
    return np.clip(generator.lognormal(np.log(110), 0.6, num), 16, 512).astype(np.int64)


def demo_lengths(num: int, generator: np.random.Generator) -> np.ndarray:
    """As in the demo; the rare ones that are too short for text and video get the least that has both."""
    counts = np.array(DEMO_LENGTHS.split(), dtype=np.float64)
    return np.maximum(generator.choice(len(counts), num, p=counts / counts.sum()), NUM_SPECIAL + 2)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is trained on what."""

    num_sequences: int
    micro: int
    lengths: Callable[[int, np.random.Generator], np.ndarray]
    num_text: int
    num_words: int
    visual_size: int
    mask_fraction: float
    dropout: float
    num_layers: int
    hidden_size: int
    num_heads: int
    intermediate_size: int
    precision: Literal["auto", "float32"] = "auto"

    def config(self) -> VideoBERTConfig:
        return VideoBERTConfig(
            vocab_size=self.num_text,
            num_visual_words=self.num_words,
            visual_embedding_size=self.visual_size,
            hidden_size=self.hidden_size,
            num_hidden_layers=self.num_layers,
            num_attention_heads=self.num_heads,
            intermediate_size=self.intermediate_size,
            hidden_dropout_prob=self.dropout,
            attention_probs_dropout_prob=self.dropout,
        )

    def flop(self, batch: PackedBatch) -> float:
        """Return the FLOP of a step on the batch, forward and backward, by the formula above."""
        width, lengths = self.hidden_size, batch.cu_seqlens.diff().double()
        layer = 4 * width**2 + 2 * width * self.intermediate_size
        head = width**2 + self.num_text * width + width * self.visual_size + self.num_words * self.visual_size
        pairs = 12 * self.num_layers * width * float((lengths**2).sum())
        return (
            6 * self.num_layers * layer * batch.num_tokens + pairs + 6 * head * len(batch.masked_positions_P)
        )


LARGE = Setting(
    num_sequences=128,
    micro=16,
    lengths=lognormal_lengths,
    num_text=30_522,
    num_words=20_736,
    visual_size=1024,
    mask_fraction=0.15,
    dropout=0.1,
    num_layers=24,
    hidden_size=1024,
    num_heads=16,
    intermediate_size=4096,
)
BASE = replace(
    LARGE, num_sequences=16, micro=4, num_layers=12, hidden_size=768, num_heads=12, intermediate_size=3072
)
DEMO = Setting(
    num_sequences=32,
    micro=8,
    lengths=demo_lengths,
    num_text=300,
    num_words=144,
    visual_size=24,
    mask_fraction=0.4,
    dropout=0.0,
    num_layers=2,
    hidden_size=128,
    num_heads=4,
    intermediate_size=512,
    precision="float32",
)
SETTINGS = {"large": LARGE, "base": BASE, "demo": DEMO}


def documents(setting: Setting, num_sentences: int) -> Iterator[Document]:
    """Yield documents whose sentences, each with its clips, make sequences of the setting's lengths."""
    generator = np.random.default_rng(0)
    for number in range(-(-num_sentences // SENTENCES_A_DOCUMENT)):
        rest = setting.lengths(SENTENCES_A_DOCUMENT, generator) - NUM_SPECIAL
        num_text = np.maximum(1, rest * 2 // 3)
        ends = np.cumsum(rest - num_text)
        tokens = generator.integers(5, setting.num_text, num_text.sum())
        words = generator.integers(0, setting.num_words, ends[-1])
        yield Document(
            id=f"v{number:07d}",
            words_T=words + setting.num_text + 1,
            sentences=tuple(np.split(tokens, np.cumsum(num_text)[:-1])),
            spans=tuple(
                ClipSpan(first=int(stop - size), stop=int(stop))
                for stop, size in zip(ends, rest - num_text, strict=True)
            ),
        )


def samples_of(corpus: TokenCorpus, setting: Setting) -> PretrainingSamples:
    first_word = setting.num_text + 1
    vocabulary = JointVocabulary(
        cls_id=2,
        sep_id=3,
        mask_id=4,
        glue_id=setting.num_text,
        text_ids=np.arange(5, setting.num_text),
        visual_ids=np.arange(first_word, first_word + setting.num_words),
    )
    options = SequenceOptions(
        text_only_share=0.0,
        video_only_share=0.0,
        join_probability=0.0,
        max_subsampling=1,
        negative_fraction=0.0,
        mask_fraction=setting.mask_fraction,
    )
    return PretrainingSamples(corpus, options=options, vocabulary=vocabulary, seed=0)


def padded(batch: PackedBatch, chosen: list[int], *, num_text: int) -> dict[str, torch.Tensor]:
    """Return sequences of the batch as transformers wants them; its vocabulary has no glue of its own."""

    def grid(values_S: torch.Tensor, padding: int) -> torch.Tensor:
        parts = unpack(values_S, batch)
        return pad_sequence([parts[n] for n in chosen], batch_first=True, padding_value=float(padding))

    def ids(values_S: torch.Tensor) -> torch.Tensor:
        return torch.where(values_S >= num_text, values_S - 1, values_S)

    return {
        "input_ids": grid(ids(batch.input_ids_S), 0),
        "token_type_ids": grid(batch.token_type_ids_S, 0),
        "attention_mask": grid(torch.ones_like(batch.input_ids_S), 0),
        "labels": grid(ids(batch.labels_S), -100),
        "next_sentence_label": batch.alignment_B[chosen],
    }

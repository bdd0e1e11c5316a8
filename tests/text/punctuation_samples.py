"""A punctuation model whose answers are known: its layers pass the embeddings on, its classifier looks for given words."""

from pathlib import Path

import torch
from transformers import BertConfig, BertForTokenClassification, BertTokenizerFast

WORDS = ["cut", "the", "onion", "now", "fry", "it", "done", "then", "why", "##ion", "on"]
MARKS = ("0", ".", ",", "?")


def write_punctuator(
    directory: Path, *, labels=MARKS, sentence_ends=("done",), others=(), num_positions=40
) -> Path:
    """Label 1 behind each of `sentence_ends`, label 2 behind each of `others`, else label 0."""
    directory.mkdir(parents=True, exist_ok=True)
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    BertTokenizerFast(vocab={token: number for number, token in enumerate(tokens)}).save_pretrained(directory)
    size = 32
    config = BertConfig(
        vocab_size=len(tokens),
        hidden_size=size,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=num_positions,
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
    )
    model = BertForTokenClassification(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        for module in model.modules():
            if isinstance(module, torch.nn.LayerNorm):
                module.weight.fill_(1.0)
        # Each token has a direction of its own, and each layer adds nothing to it.
        model.bert.embeddings.word_embeddings.weight.copy_(torch.eye(size)[: len(tokens)])
        model.classifier.bias[0] = 0.5
        for label, words in ((1, sentence_ends), (2, others)):
            for word in words:
                model.classifier.weight[label, tokens.index(word)] = 1.0
    model.save_pretrained(directory)
    return directory

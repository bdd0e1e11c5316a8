"""The questions whose answers can be explained: the cloze of a pretrained model, the classes of a classifier."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from videobert_cli.core.model.classification import VideoBERTForSequenceClassification
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.sequences.packing import PackedBatch, pack
from videobert_cli.core.tasks.classify import class_probabilities, word_sequences
from videobert_cli.core.tasks.zero_shot import Cloze, Slot
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer

# Shapes: T clips, S tokens, B sequences, V text tokens, H hidden size, N segments, C candidates or classes.


class AskedPiece:
    """One WordPiece of an answer: the log-probability of the next behind those that are said, among all text tokens."""

    def __init__(
        self, model: VideoBERTForPreTraining, cloze: Cloze, *, slot: Slot, pieces: tuple[int, ...], place: int
    ) -> None:
        self.model = model
        self._cloze = cloze
        self._piece = pieces[place]
        self._text_L, first_mask = cloze.text(slot=slot, num_pieces=len(pieces), said=pieces[:place])
        self._place = first_mask + 1  # after [CLS]

    @property
    def first_clip(self) -> int:
        """The place of the first clip: after [CLS], the text and [>]."""
        return len(self._text_L) + 2

    @property
    def answer_place(self) -> int:
        """The place of the piece's mask."""
        return self._place

    @property
    def max_num_clips(self) -> int:
        """How many clips fit beside the text."""
        return self.model.config.max_position_embeddings - 3 - len(self._text_L)

    def batch(self, words: Sequence[np.ndarray]) -> PackedBatch:
        """Return the question about each of `words` (T,)."""
        device = next(self.model.parameters()).device
        return pack([self._cloze.sequence(self._text_L, words_T) for words_T in words]).to(device)

    def log_probability(self, hidden_SH: Tensor, batch: PackedBatch) -> Tensor:
        """Return the piece's log-probability [B]."""
        positions_B = batch.cu_seqlens[:-1].long() + self._place
        head = self.model.cls.predictions
        rows_BH = head.transform(hidden_SH.index_select(0, positions_B))
        logits_BV = head.text_block(rows_BH, self.model.bert.embeddings).logits().float()
        return torch.log_softmax(logits_BV, dim=-1)[:, self._piece]


class AskedCloze:
    """The cloze: the mean log-probability of an answer's WordPieces at a slot, read in order, as `Cloze` scores it."""

    def __init__(
        self,
        model: VideoBERTForPreTraining,
        tokenizer: VideoBERTTokenizer,
        *,
        template: str,
        slot: Slot,
        answer: str,
    ) -> None:
        self.answer = answer
        cloze = Cloze(model, tokenizer, template=template)
        pieces = tuple(tokenizer.text_ids(answer))
        self.parts = tuple(
            AskedPiece(model, cloze, slot=slot, pieces=pieces, place=place) for place in range(len(pieces))
        )


class AskedClass:
    """A classifier: the log-probability of a class."""

    def __init__(
        self, model: VideoBERTForSequenceClassification, tokenizer: VideoBERTTokenizer, *, number: int
    ) -> None:
        self.model = model
        self._tokenizer = tokenizer
        self.answer = model.config.id2label[number]
        self._number = number

    @property
    def parts(self) -> "tuple[AskedClass]":
        """What is asked: itself, in one sequence."""
        return (self,)

    @property
    def first_clip(self) -> int:
        """The place of the first clip: after [CLS]."""
        return 1

    @property
    def answer_place(self) -> int:
        """The place of [CLS]."""
        return 0

    @property
    def max_num_clips(self) -> int:
        """How many clips fit in a sequence, as classification cuts them."""
        return self.model.config.max_num_words

    def batch(self, words: Sequence[np.ndarray]) -> PackedBatch:
        """Return `[CLS] words [SEP]` of each of `words` (T,)."""
        device = next(self.model.parameters()).device
        longest = self.model.config.max_position_embeddings
        return pack(word_sequences(words, tokenizer=self._tokenizer, max_num_tokens=longest)).to(device)

    def log_probability(self, hidden_SH: Tensor, batch: PackedBatch) -> Tensor:
        """Return the class's log-probability [B]."""
        logits_BC = self.model.logits_of(hidden_SH, batch)
        return self.model.log_probabilities(logits_BC)[:, self._number]


def asked_of_cloze(
    model: VideoBERTForPreTraining,
    tokenizer: VideoBERTTokenizer,
    *,
    template: str,
    slot: Slot,
    candidates: Sequence[str],
    words: Sequence[np.ndarray],
) -> list[AskedCloze]:
    """Return for each segment's words (T,) the question with its best answer among the candidates."""
    scores_NC = Cloze(model, tokenizer, template=template).scores(words, slot=slot, candidates=candidates)
    return [
        AskedCloze(model, tokenizer, template=template, slot=slot, answer=candidates[best])
        for best in scores_NC.argmax(axis=1)
    ]


def asked_of_classifier(
    model: VideoBERTForSequenceClassification, tokenizer: VideoBERTTokenizer, *, words: Sequence[np.ndarray]
) -> list[AskedClass]:
    """Return for each segment's words (T,) the question with its best class."""
    probabilities_NC = class_probabilities(model, tokenizer, words=words)
    return [AskedClass(model, tokenizer, number=int(best)) for best in probabilities_NC.argmax(axis=1)]

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

# Shapes: T clips, S tokens, B sequences, P masked positions, H hidden size, N segments, C candidates or classes.


class AskedCloze:
    """The cloze: the mean log-probability of an answer's WordPieces at a slot, among all text tokens."""

    def __init__(
        self,
        model: VideoBERTForPreTraining,
        tokenizer: VideoBERTTokenizer,
        *,
        template: str,
        slot: Slot,
        answer: str,
    ) -> None:
        self.model = model
        self.answer = answer
        self._cloze = Cloze(model, tokenizer, template=template)
        self._pieces = tokenizer.text_ids(answer)
        self._text_L, self._first_mask = self._cloze.text(slot=slot, num_pieces=len(self._pieces))

    @property
    def first_clip(self) -> int:
        """The place of the first clip: after [CLS], the text and [>]."""
        return len(self._text_L) + 2

    @property
    def answer_places(self) -> tuple[int, ...]:
        """The places of the answer's masks: one for each of its WordPieces, after [CLS]."""
        first = self._first_mask + 1
        return tuple(range(first, first + len(self._pieces)))

    @property
    def max_num_clips(self) -> int:
        """How many clips fit beside the text."""
        return self.model.config.max_position_embeddings - 3 - len(self._text_L)

    def batch(self, words: Sequence[np.ndarray]) -> PackedBatch:
        """Return the question about each of `words` (T,)."""
        device = next(self.model.parameters()).device
        return pack([self._cloze.sequence(self._text_L, words_T) for words_T in words]).to(device)

    def log_probability(self, hidden_SH: Tensor, batch: PackedBatch) -> Tensor:
        """Return the answer's mean log-probability [B]."""
        pieces_P = torch.tensor(self._pieces, device=hidden_SH.device)
        offsets_P = torch.tensor(self.answer_places, device=hidden_SH.device)
        positions = (batch.cu_seqlens[:-1].long()[:, None] + offsets_P).reshape(-1)
        head = self.model.cls.predictions
        rows = head.transform(hidden_SH.index_select(0, positions))
        logits = head.text_block(rows, self.model.bert.embeddings).logits().float()
        logs = torch.log_softmax(logits, dim=-1).view(len(batch.cu_seqlens) - 1, len(pieces_P), -1)
        return logs.gather(2, pieces_P.expand(len(logs), -1)[..., None])[..., 0].mean(dim=1)


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
    def first_clip(self) -> int:
        """The place of the first clip: after [CLS]."""
        return 1

    @property
    def answer_places(self) -> tuple[int, ...]:
        """The place of [CLS]."""
        return (0,)

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

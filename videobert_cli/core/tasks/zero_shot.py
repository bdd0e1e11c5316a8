"""Zero-shot actions: the cloze "now let me show you how to [MASK] the [MASK]" over a segment's words (paper 4.3)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Literal, Protocol

import numpy as np
import torch

from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.sequences.documents import joint_vocabulary
from videobert_cli.core.sequences.joint import join, unmasked
from videobert_cli.core.sequences.packing import TokenSequence, pack
from videobert_cli.core.tasks.visual_questions import joint_ids
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer
from videobert_cli.errors import UsageError

# Shapes: N segments, B of one batch, C candidates, T words of one segment, V text vocabulary.

Slot = Literal["verb", "object"]
SLOTS: tuple[Slot, ...] = ("verb", "object")
MASK = "[MASK]"
BATCH_NUM_SEQUENCES = 64


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """The verbs and objects among which the cloze chooses, each list sorted."""

    verb: tuple[str, ...]
    object: tuple[str, ...]

    def of(self, slot: Slot) -> tuple[str, ...]:
        """Return the list of one slot."""
        return self.verb if slot == "verb" else self.object


def template_parts(template: str) -> list[str]:
    """Return the text before, between and after the two masks.

    Raises:
        UsageError: The template does not hold exactly two [MASK]s.
    """
    parts = template.split(MASK)
    if len(parts) != len(SLOTS) + 1:
        raise UsageError(
            f"the template {template!r} has {len(parts) - 1} [MASK], not 2",
            at="evaluate.template",
            fix=f'use one [MASK] for the verb and one for the object, as in "how to {MASK} the {MASK}"',
        )
    return parts


class ClozeScorer(Protocol):
    """What scores candidates: one template, or several together."""

    def scores(
        self, words: Sequence[np.ndarray | None], *, slot: Slot, candidates: Sequence[str]
    ) -> np.ndarray:
        """Return log-probabilities (N, C)."""


class ClozeEnsemble:
    """Several templates: a candidate's score is the mean of its log-probabilities over them."""

    def __init__(self, clozes: "Sequence[Cloze]") -> None:
        self._clozes = clozes

    def scores(
        self, words: Sequence[np.ndarray | None], *, slot: Slot, candidates: Sequence[str]
    ) -> np.ndarray:
        """Return the means (N, C)."""
        found = [cloze.scores(words, slot=slot, candidates=candidates) for cloze in self._clozes]
        return np.asarray(np.mean(found, axis=0))


class Cloze:
    """Scores candidates for the two masks of a template.

    Raises:
        UsageError: The template does not hold exactly two [MASK]s, or is longer than the model's positions.
    """

    def __init__(
        self, model: VideoBERTForPreTraining, tokenizer: VideoBERTTokenizer, *, template: str
    ) -> None:
        parts = template_parts(template)
        self._model = model
        self._tokenizer = tokenizer
        self._vocabulary = joint_vocabulary(tokenizer)
        self._parts = [tokenizer.text_ids(part) for part in parts]
        self._device = next(model.parameters()).device
        # Beside the question stand [CLS], the other slot's [MASK], [>] and [SEP].
        num_others = sum(map(len, self._parts)) + 4
        self._max_num_pieces = model.config.max_position_embeddings - num_others
        if self._max_num_pieces < 1:
            raise UsageError(
                f"the template has {num_others - 4} tokens beside its masks, the model "
                f"{model.config.max_position_embeddings} positions",
                at="evaluate.template",
                fix="use a shorter template",
            )

    def scores(
        self, words: Sequence[np.ndarray | None], *, slot: Slot, candidates: Sequence[str]
    ) -> np.ndarray:
        """Return log-probabilities (N, C): the mean over a candidate's WordPieces, the other slot left masked.

        Each piece is asked with those before it said and those behind it masked, as a word is read: asked all at once,
        "pot ##at ##o" and "tom ##at ##o" would share their endings' scores whatever their beginnings.
        A segment given as None has no video: its row is the language prior (the template alone). A candidate without a
        WordPiece, or with more of them than the model has positions for, scores minus infinity.
        """
        pieces = [tuple(self._tokenizer.text_ids(candidate)) for candidate in candidates]
        fits = [0 < len(ids) <= self._max_num_pieces for ids in pieces]
        scores_NC = np.where(fits, 0.0, -np.inf) * np.ones((len(words), 1))
        asked = {(len(ids), ids[:place]) for ids in compress(pieces, fits) for place in range(len(ids))}
        for num_pieces, said in sorted(asked):
            nexts = {
                column: ids[len(said)]
                for column, ids in enumerate(pieces)
                if len(ids) == num_pieces and ids[: len(said)] == said
            }
            # Picked batch by batch: the log-probabilities of the whole vocabulary for all segments are gigabytes.
            for start in range(0, len(words), BATCH_NUM_SEQUENCES):
                portion = slice(start, start + BATCH_NUM_SEQUENCES)
                found_BV = self._log_probabilities(
                    words[portion], slot=slot, num_pieces=num_pieces, said=said
                )
                scores_NC[portion, list(nexts)] += found_BV[:, list(nexts.values())] / num_pieces
        return scores_NC

    def token_of(self, name: str) -> int | None:
        """Return the text token that a name is, None where it is none or several."""
        ids = self._tokenizer.text_ids(name)
        return ids[0] if len(ids) == 1 else None

    def token_scores(self, words: Sequence[np.ndarray | None], *, slot: Slot) -> Iterator[np.ndarray]:
        """Yield log-probabilities (B, V) of all text tokens at the slot's mask, batch by batch."""
        for start in range(0, len(words), BATCH_NUM_SEQUENCES):
            yield self._log_probabilities(words[start : start + BATCH_NUM_SEQUENCES], slot=slot)

    @torch.no_grad()
    def _log_probabilities(
        self,
        words: Sequence[np.ndarray | None],
        *,
        slot: Slot,
        num_pieces: int = 1,
        said: tuple[int, ...] = (),
    ) -> np.ndarray:
        """Return log-probabilities (N, V) of text tokens at the slot's first mask, behind the pieces that are said."""
        text_L, first_mask = self.text(slot=slot, num_pieces=num_pieces, said=said)
        sequences = [self.sequence(text_L, words_T) for words_T in words]
        batch = pack(sequences).to(self._device)
        positions_N = batch.cu_seqlens[:-1].long() + first_mask + 1  # after [CLS]
        logits_NV = self._model.token_logits(batch, positions_N).float()
        text_logits_NV = logits_NV[:, : self._tokenizer.num_text_tokens]
        return np.asarray(torch.log_softmax(text_logits_NV, dim=-1).cpu().numpy())

    def text(self, *, slot: Slot, num_pieces: int, said: tuple[int, ...] = ()) -> tuple[np.ndarray, int]:
        """Return the template's ids and the place of the slot's first mask.

        In the slot stand the pieces that are `said` and masks, `num_pieces` together; in the other slot one mask.
        """
        before, between, after = self._parts
        mask = [self._tokenizer.mask_id]
        asked = [*said, *mask * (num_pieces - len(said))]
        verb, object_ = (asked, mask) if slot == "verb" else (mask, asked)
        first = len(before) if slot == "verb" else len(before) + 1 + len(between)
        return np.array([*before, *verb, *between, *object_, *after]), first + len(said)

    def sequence(self, text_L: np.ndarray, words_T: np.ndarray | None) -> TokenSequence:
        """Return the question beside a segment's words (T,), `MASKED` where one is hidden, or alone."""
        if words_T is None:
            return join(unmasked(text_L), None, vocabulary=self._vocabulary)
        # The question must stay whole, so only words give way where there are more than positions.
        room = self._model.config.max_position_embeddings - 3 - len(text_L)
        ids_T = joint_ids(words_T[:room], tokenizer=self._tokenizer)
        return join(unmasked(text_L), unmasked(ids_T), vocabulary=self._vocabulary)

"""Which clips carried an answer: how much less likely it is without each, or how much each adds to it.

`occlusion` hides one clip at a time behind a [MASK] and takes what the answer's log-probability loses (Zeiler and
Fergus, ECCV 2014, for pictures). `gradients` are integrated gradients (Sundararajan, Taly and Yan, ICML 2017): the
slope of the log-probability along the straight way from clips that all have the [MASK]'s embedding to those seen,
summed over each clip's embedding; over all clips they sum to what the answer gains on that way. `attention` is the
attention rollout (Abnar and Zuidema, ACL 2020): where the attention of all layers together leads from the places
that the answer is read at. It knows the question, not the answer, and no sign: it says where the model looked, not
what spoke for what.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from videobert_cli.core.model.attention import SequenceLayout
from videobert_cli.core.model.attention_record import recorded_attention
from videobert_cli.core.model.classification import VideoBERTForSequenceClassification
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.sequences.packing import PackedBatch
from videobert_cli.core.tasks.visual_questions import BATCH_NUM_SEQUENCES, MASKED

# Shapes: T clips of a segment, S tokens of a sequence, B steps or sequences, H hidden size, L layers, N heads.

Method = Literal["occlusion", "gradients", "attention"]
METHODS: tuple[Method, ...] = ("occlusion", "gradients", "attention")
# Points on the way; the sum of weights is then within a hundredth of the whole (tests/tasks/test_explain.py).
_NUM_STEPS = 64


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """How much each clip of a segment carried an answer, in order of time.

    Weights are nats of the answer's log-probability; with `attention` shares of all that was looked at, text included.
    """

    answer: str
    method: Method
    weights: tuple[float, ...]

    @property
    def unit(self) -> Literal["nats", "share"]:
        """What the weights are counted in."""
        return "share" if self.method == "attention" else "nats"


class AskedSequence(Protocol):
    """A question about words in one sequence, with the log-probability of one answer."""

    def batch(self, words: Sequence[np.ndarray]) -> PackedBatch:
        """Return the question about each of `words` (T,), `MASKED` where a clip is hidden, on the model's device."""

    def log_probability(self, hidden_SH: Tensor, batch: PackedBatch) -> Tensor:
        """Return the answer's log-probability [B] from the encoder's states."""

    @property
    def first_clip(self) -> int:
        """The place of the first clip in a sequence."""

    @property
    def answer_place(self) -> int:
        """The place in a sequence that the answer is read at."""

    @property
    def max_num_clips(self) -> int:
        """How many clips fit in a sequence; further ones are not read."""

    @property
    def model(self) -> VideoBERTForPreTraining | VideoBERTForSequenceClassification:
        """The model that is asked."""


class Asked(Protocol):
    """An answer whose log-probability is the mean of its parts': a cloze's WordPieces, a classifier's one question."""

    @property
    def answer(self) -> str:
        """The answer."""

    @property
    def parts(self) -> Sequence[AskedSequence]:
        """The questions, at least one, with the same room for clips."""


def explain(asked: Asked, words_T: np.ndarray, *, method: Method) -> Explanation:
    """Return how much each word (T,) of a segment carried an answer; clips that were not read carried nothing."""
    weights_T = clip_weights(asked, words_T, method=method)
    weights = tuple(round(float(weight), 4) for weight in weights_T)
    return Explanation(answer=asked.answer, method=method, weights=weights)


def clip_weights(asked: Asked, words_T: np.ndarray, *, method: Method) -> np.ndarray:
    """Return the weight (T,) of each word of a segment, the mean over parts, 0 for those that were not read."""
    weigh = {"occlusion": _occlusion, "gradients": _integrated_gradients, "attention": _attention}[method]
    weights_T = np.zeros(len(words_T))
    read_T = words_T[: asked.parts[0].max_num_clips]
    weights_T[: len(read_T)] = np.mean([weigh(part, read_T) for part in asked.parts], axis=0)
    return weights_T


def log_probabilities(asked: Asked, words: Sequence[np.ndarray]) -> np.ndarray:
    """Return the answer's log-probability (B,) beside each of `words` (T,), `MASKED` where a clip is hidden."""
    return np.asarray(np.mean([_log_probabilities(part, words) for part in asked.parts], axis=0))


@torch.no_grad()
def _log_probabilities(asked: AskedSequence, words: Sequence[np.ndarray]) -> np.ndarray:
    found = []
    for start in range(0, len(words), BATCH_NUM_SEQUENCES):
        batch = asked.batch(words[start : start + BATCH_NUM_SEQUENCES])
        found.append(asked.log_probability(asked.model.bert(batch).hidden_SH, batch).float().cpu().numpy())
    return np.concatenate(found)


def _occlusion(asked: AskedSequence, words_T: np.ndarray) -> np.ndarray:
    hidden_TT = np.repeat(words_T[None].astype(np.int64), len(words_T), axis=0)
    np.fill_diagonal(hidden_TT, MASKED)
    found_B = _log_probabilities(asked, [words_T, *hidden_TT])
    return np.asarray(found_B[0] - found_B[1:])


def _integrated_gradients(asked: AskedSequence, words_T: np.ndarray) -> np.ndarray:
    num = len(words_T)
    ends = asked.batch([np.full(num, MASKED), words_T])
    with torch.no_grad():
        start_SH, stop_SH = asked.model.bert.embeddings(ends).chunk(2)
    # The middles of equal stretches of the way: exact where the slope is straight in each.
    shares_B = (torch.arange(_NUM_STEPS, device=start_SH.device) + 0.5) / _NUM_STEPS
    points_BSH = start_SH + shares_B[:, None, None] * (stop_SH - start_SH)
    points_BSH.requires_grad_()
    batch = asked.batch([words_T] * _NUM_STEPS)
    hidden_SH = asked.model.bert.encoder(points_BSH.flatten(0, 1), SequenceLayout.of(batch))
    total = asked.log_probability(hidden_SH, batch).sum()
    [gradients_BSH] = torch.autograd.grad(total, points_BSH)
    weights_S = ((stop_SH - start_SH) * gradients_BSH.mean(dim=0)).sum(dim=-1)
    first = asked.first_clip
    return np.asarray(weights_S[first : first + num].detach().cpu().numpy())


def _attention(asked: AskedSequence, words_T: np.ndarray) -> np.ndarray:
    attention_LNSS = recorded_attention(asked.model.bert, asked.batch([words_T])).cpu().numpy()
    shares_S = rollout(attention_LNSS)[asked.answer_place]
    return np.asarray(shares_S[asked.first_clip : asked.first_clip + len(words_T)])


def rollout(attention_LNSS: np.ndarray) -> np.ndarray:
    """Return where the attention of all layers leads (S, S): row i shares 1 among the tokens that token i comes from.

    Heads count alike, and half of each layer is the residual that passes by its attention (their section 3).

    >>> rollout(np.full((1, 2, 2, 2), 0.5))
    array([[0.75, 0.25],
           [0.25, 0.75]])
    """
    itself_SS = np.eye(attention_LNSS.shape[-1])
    shares_SS = itself_SS
    for heads_NSS in attention_LNSS:
        shares_SS = (0.5 * heads_NSS.mean(axis=0) + 0.5 * itself_SS) @ shares_SS
    return shares_SS

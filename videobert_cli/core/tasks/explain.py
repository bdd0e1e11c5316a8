"""Which clips carried an answer: how much less likely it is without each, or how much each adds to it.

`occlusion` hides one clip at a time behind a [MASK] and takes what the answer's log-probability loses (Zeiler and
Fergus, ECCV 2014, for pictures). `gradients` are integrated gradients (Sundararajan, Taly and Yan, ICML 2017): the
slope of the log-probability along the straight way from clips that all have the [MASK]'s embedding to those seen,
summed over each clip's embedding; over all clips they sum to what the answer gains on that way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from videobert_cli.core.model.attention import SequenceLayout
from videobert_cli.core.model.classification import VideoBERTForSequenceClassification
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.sequences.packing import PackedBatch
from videobert_cli.core.tasks.visual_questions import MASKED

# Shapes: T clips of a segment, S tokens of a sequence, B steps, H hidden size.

Method = Literal["occlusion", "gradients"]
# Points on the way; the sum of weights is then within a hundredth of the whole (tests/tasks/test_explain.py).
_NUM_STEPS = 64


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """How much each clip of a segment carried an answer, in nats of its log-probability, in order of time."""

    answer: str
    method: Method
    weights: tuple[float, ...]


class AskedSequence(Protocol):
    """A question about words with the log-probability of one answer."""

    def batch(self, words: Sequence[np.ndarray]) -> PackedBatch:
        """Return the question about each of `words` (T,), `MASKED` where a clip is hidden, on the model's device."""

    def log_probability(self, hidden_SH: Tensor, batch: PackedBatch) -> Tensor:
        """Return the answer's log-probability [B] from the encoder's states."""

    @property
    def first_clip(self) -> int:
        """The place of the first clip in a sequence."""

    @property
    def max_num_clips(self) -> int:
        """How many clips fit in a sequence; further ones are not read."""

    @property
    def model(self) -> VideoBERTForPreTraining | VideoBERTForSequenceClassification:
        """The model that is asked."""


def explain(asked: AskedSequence, words_T: np.ndarray, *, answer: str, method: Method) -> Explanation:
    """Return how much each word (T,) of a segment carried an answer; clips that were not read carried nothing."""
    weigh = _occlusion if method == "occlusion" else _integrated_gradients
    weights = np.zeros(len(words_T))
    read_T = words_T[: asked.max_num_clips]
    weights[: len(read_T)] = weigh(asked, read_T)
    return Explanation(
        answer=answer, method=method, weights=tuple(round(float(weight), 4) for weight in weights)
    )


@torch.no_grad()
def _occlusion(asked: AskedSequence, words_T: np.ndarray) -> np.ndarray:
    hidden = np.repeat(words_T[None].astype(np.int64), len(words_T), axis=0)
    np.fill_diagonal(hidden, MASKED)
    batch = asked.batch([words_T, *hidden])
    found_B = asked.log_probability(_encoded(asked, batch), batch).cpu().numpy()
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


def _encoded(asked: AskedSequence, batch: PackedBatch) -> Tensor:
    hidden_SH: Tensor = asked.model.bert.encoder(asked.model.bert.embeddings(batch), SequenceLayout.of(batch))
    return hidden_SH

"""Beam search: the likeliest sentences of a decoder that says one token after another, several segments at once.

Shapes: B segments, R beams of each, V tokens of the vocabulary, T tokens of a sentence.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

# Log-probabilities [B * R, V] of the token after `tokens` [B * R], once the rows have been put in the order of `rows`
# [B * R], each of which stays with its segment.
Step = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Said:
    """A finished sentence without its end: its tokens, the sum of their log-probabilities and its end's, the score."""

    tokens: tuple[int, ...]
    log_probability: float
    score: float


@dataclass
class _Finished:
    """The best finished sentences of one segment, at most as many as there are beams."""

    num: int
    said: list[Said] = field(default_factory=list)

    def add(self, found: Said) -> None:
        self.said = sorted([*self.said, found], key=lambda each: (-each.score, each.tokens))[: self.num]

    def is_closed(self, *, best_possible: float) -> bool:
        """Return whether nothing that goes on can come among these any more."""
        return len(self.said) == self.num and self.said[-1].score >= best_possible


def beam_search(
    step: Step,
    *,
    num_segments: int,
    num_beams: int,
    start_id: int,
    end_id: int,
    forbidden_ids: Sequence[int],
    max_num_tokens: int,
    length_penalty: float,
    no_repeat_ngram: int,
    device: torch.device,
) -> list[list[Said]]:
    """Return for each segment its best sentences, at most `num_beams`, the best first.

    Args:
        step: The decoder.
        num_segments: How many are asked about at once.
        num_beams: How many beginnings are followed; 1 takes the likeliest token each time.
        start_id: The token before the first.
        end_id: The token that ends a sentence.
        forbidden_ids: Tokens that are never said.
        max_num_tokens: Longest sentence, its end included; one that is as long is ended there.
        length_penalty: The exponent of Wu et al. 2016: a sentence of n tokens scores its log-probability over
            ((5 + n) / 6) ** length_penalty; 0 compares the sums.
        no_repeat_ngram: No so many tokens in a row are said twice; 0 forbids nothing.
        device: Where the decoder is.

    How many segments there are changes no sentence: a segment that is done goes on beside the others unheard.
    """
    finished = [_Finished(num=num_beams) for _ in range(num_segments)]
    # At first all beams of a segment are the same: one of them is followed.
    sums_BR = torch.full((num_segments, num_beams), -torch.inf, dtype=torch.float64, device=device)
    sums_BR[:, 0] = 0.0
    tokens = torch.full((num_segments * num_beams,), start_id, device=device)
    rows = torch.arange(num_segments * num_beams, device=device)
    said: list[list[int]] = [[] for _ in range(num_segments * num_beams)]
    for num_said in range(1, max_num_tokens + 1):
        steps_XV = step(tokens, rows).double()
        steps_XV[:, list(forbidden_ids)] = -torch.inf
        _forbid_repeats(steps_XV, said, size=no_repeat_ngram)
        if num_said == max_num_tokens:
            ends_X = steps_XV[:, end_id].clone()
            steps_XV.fill_(-torch.inf)
            steps_XV[:, end_id] = ends_X
        totals_BX = (sums_BR.view(-1, 1) + steps_XV).view(num_segments, -1)
        num_tokens = steps_XV.shape[1]
        # Twice as many: if each beam ends, as many go on.
        best_BX, places_BX = totals_BX.topk(min(2 * num_beams, totals_BX.shape[1]), dim=1)
        penalty = ((5 + num_said) / 6) ** length_penalty
        rows, tokens, sums_BR, said = _advance(
            best_BX.tolist(),
            places_BX.tolist(),
            said,
            finished=finished,
            num_beams=num_beams,
            num_tokens=num_tokens,
            end_id=end_id,
            penalty=penalty,
            device=device,
        )
        longest = ((5 + max_num_tokens) / 6) ** length_penalty
        if all(
            each.is_closed(best_possible=float(sums.max()) / longest)
            for each, sums in zip(finished, sums_BR, strict=True)
        ):
            break
    return [each.said for each in finished]


def _advance(
    best_BX: Sequence[Sequence[float]],
    places_BX: Sequence[Sequence[int]],
    said: list[list[int]],
    *,
    finished: Sequence[_Finished],
    num_beams: int,
    num_tokens: int,
    end_id: int,
    penalty: float,
    device: torch.device,
) -> tuple[Tensor, Tensor, Tensor, list[list[int]]]:
    """Put away the sentences that end among the first `num_beams`; return rows, tokens and sums of those that go on."""
    rows, tokens, sums, longer = [], [], [], []
    for segment, (best, places) in enumerate(zip(best_BX, places_BX, strict=True)):
        going: list[tuple[int, int, float]] = []
        for rank, (total, place) in enumerate(zip(best, places, strict=True)):
            beam, token = divmod(place, num_tokens)
            row = segment * num_beams + beam
            if total == -float("inf"):
                continue
            if token != end_id:
                going.append((row, token, total))
            elif rank < num_beams:
                finished[segment].add(
                    Said(tokens=tuple(said[row]), log_probability=total, score=total / penalty)
                )
        # Where nothing is left to say the rest stands still, and can never be chosen.
        going += [(segment * num_beams, end_id, -float("inf"))] * num_beams
        for row, token, total in going[:num_beams]:
            rows.append(row)
            tokens.append(token)
            sums.append(total)
            longer.append([*said[row], token])
    shape = (len(best_BX), num_beams)
    return (
        torch.tensor(rows, device=device),
        torch.tensor(tokens, device=device),
        torch.tensor(sums, dtype=torch.float64, device=device).view(shape),
        longer,
    )


def _forbid_repeats(steps_XV: Tensor, said: Sequence[Sequence[int]], *, size: int) -> None:
    """Make impossible each token that would say `size` tokens in a row a second time."""
    if size <= 0:
        return
    for row, tokens in enumerate(said):
        if len(tokens) < size:
            continue
        last = tuple(tokens[len(tokens) - size + 1 :])
        again = [
            tokens[place + size - 1]
            for place in range(len(tokens) - size + 1)
            if tuple(tokens[place : place + size - 1]) == last
        ]
        if again:
            steps_XV[row, again] = -torch.inf

"""Which rank computes which sequences of a batch.

Shapes: B sequences of one batch.
"""

import heapq

import numpy as np


def rank_shares(lengths_B: np.ndarray, *, num_ranks: int) -> list[np.ndarray]:
    """Return which sequences of a batch each rank takes, so that all have nearly equal numbers of tokens.

    The longest sequence first, each to the rank that has the fewest tokens so far (the lowest of equals): no two ranks
    differ by more than one sequence's length. The batch is the same whatever the number of ranks; a rank gets none
    where there are fewer sequences than ranks. Each share is in the batch's order.
    """
    taken = [(0, rank) for rank in range(num_ranks)]
    ranks_B = np.zeros(len(lengths_B), dtype=np.int64)
    lengths = lengths_B.tolist()
    for number in np.argsort(-lengths_B, kind="stable").tolist():
        num_tokens, rank = taken[0]
        ranks_B[number] = rank
        heapq.heapreplace(taken, (num_tokens + lengths[number], rank))
    return [np.flatnonzero(ranks_B == rank) for rank in range(num_ranks)]

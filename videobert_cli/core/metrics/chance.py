"""What drawing at random would score."""

import math


def chance_of_hit(num_right: int, *, num: int, k: int) -> float:
    """Return how often `k` different ones drawn at random have one of `num_right` among them.

    >>> chance_of_hit(1, num=4, k=1), chance_of_hit(1, num=4, k=2), chance_of_hit(2, num=4, k=3)
    (0.25, 0.5, 1.0)
    """
    drawn = min(k, num)
    return 1 - math.comb(num - num_right, drawn) / math.comb(num, drawn)

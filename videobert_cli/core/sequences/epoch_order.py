"""Items that are taken once an epoch, each epoch in an order of its own: a function of the number alone."""

from functools import lru_cache

import numpy as np

from videobert_cli.runtime import derive_seed


class EpochOrder:
    """The order in which `num` items are taken, epoch after epoch."""

    def __init__(self, num: int, *, seed: int) -> None:
        self._num, self._seed = num, seed
        self._order = lru_cache(maxsize=2)(self._draw)

    def take(self, first: int, *, num: int) -> list[int]:
        """Return the items at places `first` to `first + num` (left out) of the endless order."""
        places = (divmod(place, self._num) for place in range(first, first + num))
        return [int(self._order(epoch)[position]) for epoch, position in places]

    def _draw(self, epoch: int) -> np.ndarray:
        return np.random.default_rng(derive_seed(self._seed, "order", epoch)).permutation(self._num)

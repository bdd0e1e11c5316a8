"""Which videos one of N processes extracts, where several fill one feature store."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import xxhash

from videobert_cli.core.video.entries import Video
from videobert_cli.errors import UsageError

_SPELLING = re.compile(r"(\d{1,7})/(\d{1,7})")


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Part `index` (from 0) of the `num_shards` that a list of videos is split into.

    A video's part follows from its id alone: it does not move when videos come or go.
    """

    index: int
    num_shards: int

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.num_shards:
            last = max(self.num_shards, 1) - 1
            raise UsageError(
                f"there is no shard {self.index} of {self.num_shards}: they are counted from 0",
                at="--shard",
                fix=f"--shard 0/{last + 1} to --shard {last}/{last + 1}",
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the shard spelt `i/N`.

        Raises:
            UsageError: It is spelt otherwise, or i is not below N.

        >>> Shard.parse("3/16").worker
        'shard-3-of-16'
        """
        found = _SPELLING.fullmatch(text.strip())
        if found is None:
            raise UsageError(f"a shard is spelt i/N, got {text!r}", at="--shard", fix="--shard 0/4")
        return cls(index=int(found[1]), num_shards=int(found[2]))

    def split(self, *, index: int, num_parts: int) -> "Shard":
        """Return part `index` of this shard, itself split into `num_parts`.

        >>> Shard(index=1, num_shards=4).split(index=0, num_parts=2)
        Shard(index=2, num_shards=8)
        """
        return Shard(index=self.index * num_parts + index, num_shards=self.num_shards * num_parts)

    @property
    def worker(self) -> str:
        """Return the name under which it writes into the store."""
        return f"shard-{self.index}-of-{self.num_shards}"

    def holds(self, item_id: str) -> bool:
        """Return whether the item is this shard's.

        >>> sum(Shard(index=i, num_shards=3).holds("a") for i in range(3))
        1
        """
        return xxhash.xxh3_64_intdigest(item_id.encode()) % self.num_shards == self.index

    def of(self, videos: Sequence[Video]) -> list[Video]:
        """Return the videos of this shard, in their order."""
        return [video for video in videos if self.holds(video.id)]

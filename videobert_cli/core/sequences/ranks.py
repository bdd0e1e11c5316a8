"""The stream of sequences on several ranks: all have the same batches, each prepares some of their blocks."""

from videobert_cli.core.sequences.batches import BlockLoader
from videobert_cli.core.sequences.token_sequence import SequenceBlock
from videobert_cli.ranks import Ranks


class SharedLoader:
    """The whole stream on every rank, each block prepared by one of them: the others are sent it."""

    def __init__(self, loader: BlockLoader, *, ranks: Ranks) -> None:
        """Args: `loader` prepares part `ranks.index` of `ranks.num` of the stream."""
        self._loader = loader
        # A line of their own: blocks may be asked for while gradients are on their way.
        self._ranks = ranks.apart()
        self.num_sequences: int = loader.num_sequences
        self._kept: tuple[int, list[SequenceBlock]] | None = None

    def block(self, number: int) -> SequenceBlock:
        """Return a block; all ranks must ask for the same ones, in the same order."""
        turn, rank = divmod(number, self._ranks.num)
        if self._kept is None or self._kept[0] != turn:
            self._kept = (turn, self._ranks.gather(self._loader.block(turn)))
        return self._kept[1][rank]

"""A loader's child process: sequences in, blocks out, over its standard streams. It imports no torch.

The parent names samples, so that the epoch's order is in one process alone; what is built depends on the sample.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from videobert_cli.core.sequences.corpus import TokenCorpus
from videobert_cli.core.sequences.dataset import PretrainingSamples
from videobert_cli.core.sequences.joint import JointVocabulary
from videobert_cli.core.sequences.options import SequenceOptions
from videobert_cli.core.sequences.token_sequence import SequenceBlock, block_of
from videobert_cli.core.video.channel import Buffer, receive, send

_ID_NAMES = ("cls_id", "sep_id", "mask_id", "glue_id")
_TABLES = {"text_ids": np.int64, "visual_ids": np.int64, "is_continuation": np.bool_}
# Small on the wire: ids and labels are below 2 ** 31, types 0 or 1.
_COLUMNS: dict[str, Any] = {
    "input_ids_S": np.int32,
    "labels_S": np.int32,
    "token_type_ids_S": np.int8,
    "lengths_B": np.int32,
    "alignment_B": np.int8,
    "pairings_B": np.int8,
}


def main() -> None:
    """Serve until the parent closes the pipe, which its death does too."""
    to_parent, from_parent = sys.stdout.buffer, sys.stdin.buffer
    try:
        samples = _samples(*receive(from_parent))
        while True:
            _, body = receive(from_parent)
            wanted = np.frombuffer(body, dtype=np.int64).reshape(-1, 2).tolist()
            send_block(to_parent, [samples.build_numbered(number, epoch=epoch) for number, epoch in wanted])
    except (EOFError, BrokenPipeError):
        return


def opening(samples: PretrainingSamples) -> tuple[dict[str, Any], list[Buffer]]:
    """Return the message that makes a child build the same sequences: the corpus is named, not sent.

    Raises:
        ValueError: The corpus lies in memory alone.
    """
    if samples.corpus.directory is None:
        raise ValueError("loader workers read a corpus from its directory, and this one has none")
    tables = {name: getattr(samples.vocabulary, name).astype(kind) for name, kind in _TABLES.items()}
    head = {
        "corpus": str(samples.corpus.directory),
        "options": samples.options.settings(),
        "seed": samples.seed,
        "ids": {name: getattr(samples.vocabulary, name) for name in _ID_NAMES},
        "tables": {name: table.nbytes for name, table in tables.items()},
    }
    return head, [table.tobytes() for table in tables.values()]


def send_block(stream: Any, sequences: list[Any]) -> None:
    """Send sequences as one block."""
    block = block_of(sequences)
    parts = [getattr(block, name).astype(kind).tobytes() for name, kind in _COLUMNS.items()]
    send(stream, {"num_tokens": len(block.input_ids_S), "num_sequences": block.num_sequences}, parts=parts)


def received_block(head: dict[str, Any], body: bytearray) -> SequenceBlock:
    """Return the block that a child sent."""
    counts = {"S": int(head["num_tokens"]), "B": int(head["num_sequences"])}
    columns, start = {}, 0
    for name, kind in _COLUMNS.items():
        column = np.frombuffer(body, dtype=kind, count=counts[name[-1]], offset=start)
        start += column.nbytes
        columns[name] = column.astype(np.int64)
    return SequenceBlock(**columns)


def _samples(head: dict[str, Any], body: bytearray) -> PretrainingSamples:
    tables: dict[str, Any] = {}
    start = 0
    for name, kind in _TABLES.items():
        stop = start + head["tables"][name]
        tables[name] = np.frombuffer(bytes(body[start:stop]), dtype=kind)
        start = stop
    return PretrainingSamples(
        TokenCorpus.open_unchecked(Path(head["corpus"])),
        options=SequenceOptions(**head["options"]),
        vocabulary=JointVocabulary(**{**head["ids"], **tables}),
        seed=head["seed"],
    )

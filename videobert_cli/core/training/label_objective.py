"""Labels as further objectives of a pretraining: which segments train and measure the heads, and what these weigh."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from videobert_cli.core.model.labels import LabelHead
from videobert_cli.core.sequences.joint import JointVocabulary
from videobert_cli.core.sequences.labelled import LabelledWords
from videobert_cli.core.training.labelled import LabelledSegments, LabelledStream
from videobert_cli.core.training.options import PretrainOptions


@dataclass(frozen=True, kw_only=True)
class LabelObjective:
    """Training segments, held-out ones, and the weight of each head's loss in the sum, in the heads' order."""

    train: LabelledStream
    held_out: LabelledSegments
    weights: Mapping[str, float]


def label_objective(
    heads: Sequence[LabelHead],
    *,
    segments: Sequence[LabelledWords],
    options: PretrainOptions,
    vocabulary: JointVocabulary,
    seed: int,
) -> LabelObjective | None:
    """Return what the heads learn of the labelled segments of all splits, None where there is no head."""
    if not heads:
        return None
    train, held_out = (
        LabelledSegments(
            [segment for segment in segments if segment.split == split],
            heads=heads,
            vocabulary=vocabulary,
            max_num_tokens=options.sequences.max_num_tokens,
        )
        for split in ("train", "validation")
    )
    stream = LabelledStream(
        train,
        num_segments=options.labels.num_segments,
        max_subsampling=options.sequences.max_subsampling,
        seed=seed,
    )
    weights = {head.column: head.weight for head in options.labels.heads}
    return LabelObjective(train=stream, held_out=held_out, weights=weights)

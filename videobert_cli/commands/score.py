"""`videobert evaluate --score`: captions made anywhere against references, a shell around the caption metrics."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from videobert_cli import artifacts
from videobert_cli.commands.results import CommandResult
from videobert_cli.core.metrics.captions.score import CaptionScores, score_captions
from videobert_cli.core.metrics.captions.score_files import read_caption_pairs
from videobert_cli.errors import UsageError

Missing = Literal["error", "empty", "skip"]

_ROWS = (
    ("BLEU-1", "caption.bleu1"),
    ("BLEU-2", "caption.bleu2"),
    ("BLEU-3", "caption.bleu3"),
    ("BLEU-4", "caption.bleu4"),
    ("BLEU-4 a caption", "caption.bleu4.per_caption"),
    ("METEOR 1.5", "caption.meteor"),
    ("ROUGE-L", "caption.rouge_l"),
    ("CIDEr-D", "caption.cider_d"),
)


def score_files(
    references: Path, hypotheses: Path, *, missing: Missing, details: Path | None, is_overwrite: bool
) -> CommandResult:
    """Return the metrics of a file of captions; each caption's own go to `details`, one JSON line an item."""
    if details is not None and details.exists() and not is_overwrite:
        raise UsageError("this file exists already", at=str(details), fix="name another, or add --overwrite")
    pairs = read_caption_pairs(references, hypotheses, missing=missing)
    scores = score_captions(pairs.references, pairs.hypotheses)
    if details is not None:
        artifacts.publish_bytes(details, _details(scores, pairs.hypotheses, pairs.references).encode())
    return CommandResult(
        metrics={**scores.metrics, "caption.num_missing": pairs.num_missing},
        outputs={"details": str(details)} if details is not None else {},
        lines=tuple(_lines(scores, num_missing=pairs.num_missing, missing=missing)),
    )


def _lines(scores: CaptionScores, *, num_missing: int, missing: Missing) -> list[str]:
    metrics = scores.metrics
    lines = [
        f"{metrics['caption.num_captions']:,} captions, {metrics['caption.num_references']:,} references"
    ]
    lines += [
        f"  {name:<18}{'-' if (value := metrics[key]) is None else f'{value:.4f}':>8}" for name, key in _ROWS
    ]
    if scores.why_no_meteor:
        lines.append(f"no METEOR: {scores.why_no_meteor}")
    if num_missing:
        verb = "count as empty captions" if missing == "empty" else "are left out"
        lines.append(f"references without a caption {verb}: {num_missing:,}")
    return lines


def _details(
    scores: CaptionScores, hypotheses: Mapping[str, str], references: Mapping[str, list[str]]
) -> str:
    entries = (
        {"id": key, "caption": hypotheses[key], "references": references[key], **values}
        for key, values in scores.captions.items()
    )
    return "".join(f"{json.dumps(entry, ensure_ascii=False)}\n" for entry in entries)

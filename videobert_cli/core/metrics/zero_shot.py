"""What the zero-shot cloze is asked beside its candidates: other templates, all tokens, other people's figures."""

from collections.abc import Sequence

import numpy as np

from videobert_cli.core.metrics.classification import top_k_accuracy, true_ranks
from videobert_cli.core.metrics.evaluate import TOP_KS
from videobert_cli.core.sequences.labelled import LabelledWords
from videobert_cli.core.tasks.options import BesideRow
from videobert_cli.core.tasks.zero_shot import SLOTS, Candidates, Cloze, Slot

# Shapes: N segments, C candidates.


def template_metrics(
    clozes: Sequence[Cloze],
    segments: Sequence[LabelledWords],
    *,
    columns: tuple[str, str],
    candidates: Candidates,
) -> dict[str, float]:
    """Return of each template alone the lowest, the mean and the highest top-1 and top-5.

    The segments' labels are candidates.
    """
    metrics: dict[str, float] = {}
    words = [segment.words_T for segment in segments]
    for slot, column in zip(SLOTS, columns, strict=True):
        names = candidates.of(slot)
        truth_N = np.array([names.index(segment.labels[column]) for segment in segments])
        each = [cloze.scores(words, slot=slot, candidates=names) for cloze in clozes]
        for k in TOP_KS:
            found = [top_k_accuracy(scores_NC, truth_N, k=k) for scores_NC in each]
            name = f"zero_shot.{slot}.top{k}.template"
            metrics |= {f"{name}_low": min(found), f"{name}_high": max(found)}
            metrics[f"{name}_mean"] = float(np.mean(found))
    return metrics


def full_vocabulary_metrics(
    clozes: Sequence[Cloze], segments: Sequence[LabelledWords], *, columns: tuple[str, str]
) -> dict[str, float]:
    """Return where the true verb and object stand among all text tokens, at one mask (the paper's way).

    Segments whose label is not one token are left out and counted; `language_prior` is the same without the video.
    """
    metrics: dict[str, float] = {}
    for slot, column in zip(SLOTS, columns, strict=True):
        name = f"zero_shot.{slot}.full_vocabulary"
        known = [segment for segment in segments if clozes[0].token_of(segment.labels[column]) is not None]
        metrics[f"{name}.num_segments"] = float(len(known))
        if not known:
            continue
        truth_N = np.array([clozes[0].token_of(segment.labels[column]) for segment in known])
        for end, words in (
            ("", [segment.words_T for segment in known]),
            (".language_prior", [None] * len(known)),
        ):
            ranks_N = _token_ranks(clozes, words, slot=slot, truth_N=truth_N)
            metrics |= {f"{name}.top{k}{end}": float((ranks_N <= k).mean()) for k in TOP_KS}
            metrics[f"{name}.median_rank{end}"] = float(np.median(ranks_N))
    return metrics


def _token_ranks(
    clozes: Sequence[Cloze], words: Sequence[np.ndarray | None], *, slot: Slot, truth_N: np.ndarray
) -> np.ndarray:
    """Return the rank (N,) of each true token by the mean log-probability over the templates, batch by batch."""
    ranks, first = [], 0
    for scores in zip(*(cloze.token_scores(words, slot=slot) for cloze in clozes), strict=True):
        mean_BV = np.mean(scores, axis=0)
        ranks.append(true_ranks(mean_BV, truth_N[first : first + len(mean_BV)]))
        first += len(mean_BV)
    return np.concatenate(ranks)


def beside_lines(metrics: dict[str, float], *, rows: Sequence[BesideRow]) -> list[str]:
    """Return our figures, and those of the rows, as a table in per cent."""
    ours = [
        [metrics.get(f"zero_shot.{slot}.top{k}{end}") for slot in SLOTS for k in TOP_KS]
        for end in (".language_prior", "")
    ]
    theirs = [[row.verb_top1, row.verb_top5, row.object_top1, row.object_top5] for row in rows]
    named = [("this model's language prior", ours[0]), ("this model", ours[1])]
    named += [(row.name, list(values)) for row, values in zip(rows, theirs, strict=True)]
    heads = "".join(f"{slot + f' top-{k}':>16}" for slot in SLOTS for k in TOP_KS)
    lines = [f"{'in per cent':<34}{heads}"]
    for name, values in named:
        cells = "".join(f"{100 * value:>16.1f}" if value is not None else f"{'-':>16}" for value in values)
        lines.append(f"{name:<34}{cells}")
    return lines

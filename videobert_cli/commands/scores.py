"""Flat metrics as a table for people: a score, its language prior, its chance, seen and unseen pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

_COLUMNS = ("", "language_prior", "chance", "seen_pairs", "unseen_pairs")
_HEADS = ("score", "language prior", "chance", "seen pairs", "unseen pairs")
_FORECAST_COLUMNS = (
    ("", "score"),
    (".word_pairs", "word pairs"),
    (".copy_last", "copy last"),
    (".most_frequent", "most frequent"),
    (".chance", "chance"),
)
_EXPLAIN_COLUMNS = (
    ("", "most first"),
    (".random", "random"),
    (".least_first", "least first"),
    (".above_random.low", "above, low"),
    (".above_random.high", "above, high"),
)
_EXPLAIN_METHODS = ("occlusion", "gradients", "attention")


@dataclass(frozen=True, kw_only=True)
class _Table:
    """A task's scores: shown where metric `count`, the number of what was measured on, is there."""

    title: str
    count: str
    rows: tuple[tuple[str, str], ...]
    columns: tuple[tuple[str, str], ...]


_TABLES = (
    _Table(
        title="captions",
        count="caption.num_captions",
        rows=(
            ("caption.cider_d", "CIDEr-D"),
            ("caption.bleu4", "BLEU-4"),
            ("caption.rouge_l", "ROUGE-L"),
            ("caption.meteor", "METEOR 1.5"),
        ),
        columns=(
            ("", "score"),
            (".nearest_neighbour", "nearest"),
            (".most_frequent", "most frequent"),
            (".language_prior", "language prior"),
        ),
    ),
    _Table(
        title="text to video",
        count="text_to_video.num_sentences",
        rows=(("text_to_video.top1", "top-1"), ("text_to_video.top5", "top-5")),
        columns=(
            ("", "score"),
            (".most_frequent", "most frequent"),
            (".no_text", "without text"),
            (".word_counts", "word counts"),
            (".chance", "chance"),
        ),
    ),
    _Table(
        title="retrieval",
        count="retrieval.num_sentences",
        rows=tuple(
            (f"retrieval.{direction}.{measure}", f"{name}, {shown}")
            for direction, name in (("text_to_video", "video"), ("video_to_text", "text"))
            for measure, shown in (("r1", "R@1"), ("r5", "R@5"), ("r10", "R@10"), ("median_rank", "median"))
        ),
        columns=(
            ("", "score"),
            (".reranked", "reranked"),
            (".alignment", "alignment"),
            (".word_counts", "word counts"),
            (".chance", "chance"),
        ),
    ),
    _Table(
        title="linear classifier on features",
        count="linear_probe.num_segments",
        rows=tuple(
            (f"linear_probe.{slot}.top{k}", f"{slot} top-{k}") for slot in ("verb", "object") for k in (1, 5)
        ),
        columns=(
            ("", "raw"),
            (".encoder", "encoder"),
            (".most_frequent", "most frequent"),
            (".chance", "chance"),
        ),
    ),
    _Table(
        title="summaries",
        count="summarize.num_videos",
        rows=(("summarize.segment_recall", "segments shown"), ("summarize.explained", "explained")),
        columns=(("", "score"), (".even", "even"), (".chance", "chance")),
    ),
    _Table(
        title="explanations of the cloze: nats lost to hidden clips",
        count="explain.num_segments",
        rows=tuple(
            (f"explain.{slot}.{method}", f"{slot}, {method}")
            for slot in ("verb", "object")
            for method in _EXPLAIN_METHODS
        ),
        columns=_EXPLAIN_COLUMNS,
    ),
    _Table(
        title="explanations of classes: nats lost to hidden clips",
        count="explain_classes.num_segments",
        rows=tuple((f"explain_classes.{method}", method) for method in _EXPLAIN_METHODS),
        columns=_EXPLAIN_COLUMNS,
    ),
)
_CLASSIFY_COLUMNS = (
    ("", "score"),
    (".word_histogram", "word histogram"),
    (".linear_probe", "raw features"),
    (".most_frequent", "most frequent"),
    (".chance", "chance"),
)
_CLASSIFY = (
    ("classify.accuracy", "accuracy"),
    ("classify.macro_f1", "macro F1"),
    ("classify.top5", "top-5"),
    ("classify.mean_average_precision", "mean avg. precision"),
    ("classify.micro_average_precision", "micro avg. precision"),
    ("classify.micro_f1", "micro F1"),
    ("classify.calibration_error", "calibration error"),
    ("classify.calibration_error.after_temperature", "at one temperature"),
)


def score_lines(metrics: Mapping[str, Any]) -> list[str]:
    """Return the lines of the tables that the metrics allow."""
    lines: list[str] = []
    if "zero_shot.num_segments" in metrics:
        lines += [f"zero-shot cloze, {metrics['zero_shot.num_segments']:.0f} segments"]
        lines += ["  " + "".join([f"{'':<14}", *(f"{head:>16}" for head in _HEADS)])]
        for slot in ("verb", "object"):
            for k in (1, 5):
                lines.append(_slot_line(metrics, f"zero_shot.{slot}.top{k}", name=f"{slot} top-{k}"))
        lines += _zero_shot_more_lines(metrics)
    if {"classify.num_segments", "classify.num_videos"} & metrics.keys():
        lines += [*([""] if lines else []), *_classify_lines(metrics)]
    if "labels.num_segments" in metrics:
        lines += [*([""] if lines else []), *_label_lines(metrics)]
    if any(name.startswith("forecast.") for name in metrics):
        lines += [*([""] if lines else []), *_forecast_lines(metrics)]
    if "few_shot.num_segments" in metrics:
        lines += [*([""] if lines else []), *_few_shot_lines(metrics)]
    for table in _TABLES:
        if table.count in metrics:
            head = f"{table.title}, {metrics[table.count]:.0f} {table.count.rpartition('num_')[2]}"
            lines += [*([""] if lines else []), head]
            lines += _table_lines(metrics, rows=table.rows, columns=table.columns)
    return lines


def _classify_lines(metrics: Mapping[str, Any]) -> list[str]:
    """Return a line for each score that there is, with the columns that any of them has."""
    unit = "segments" if "classify.num_segments" in metrics else "videos"
    rows = [(key, name) for key, name in _CLASSIFY if key in metrics]
    columns = [
        column for column in _CLASSIFY_COLUMNS if any(f"{key}{column[0]}" in metrics for key, _ in rows)
    ]
    head = f"classification, {metrics[f'classify.num_{unit}']:.0f} {unit}"
    return [head, *_table_lines(metrics, rows=rows, columns=columns)]


def _forecast_lines(metrics: Mapping[str, Any]) -> list[str]:
    """Return a line for each horizon and rank, with what needs no model beside it."""
    horizons = [name.split(".")[1] for name in metrics if fnmatch(name, "forecast.*.num_questions")]
    num = max(metrics[f"forecast.{horizon}.num_questions"] for horizon in horizons)
    rows = []
    for horizon in sorted(horizons, key=lambda name: int(name.removeprefix("horizon"))):
        distance = int(horizon.removeprefix("horizon"))
        for k in (1, 5):
            name = f"{distance} clip{'s' * (distance > 1)} on, top-{k}"
            rows.append((f"forecast.{horizon}.top{k}", name))
    head = f"forecast of coming words, {num:.0f} questions"
    return [head, *_table_lines(metrics, rows=rows, columns=_FORECAST_COLUMNS)]


def _table_lines(
    metrics: Mapping[str, Any], *, rows: Sequence[tuple[str, str]], columns: Sequence[tuple[str, str]]
) -> list[str]:
    """Return the heads and a line for each metric: a row is (metric, name), a column (end of the metric, name)."""
    lines = [f"  {'':<22}" + "".join(f"{head:>16}" for _, head in columns)]
    for key, name in rows:
        values = [metrics.get(f"{key}{end}") for end, _ in columns]
        cells = [f"{value:>16.3f}" if value is not None else f"{'-':>16}" for value in values]
        lines.append(f"  {name:<22}{''.join(cells)}")
    return lines


def _zero_shot_more_lines(metrics: Mapping[str, Any]) -> list[str]:
    """Return the spread over templates and the ranks among all tokens, where they were asked for."""
    slots = ("verb", "object")
    lines = []
    if "zero_shot.verb.top1.template_mean" in metrics:
        lines.append("  each template alone, lowest, mean, highest")
        for key, name in [(f"{slot}.top{k}", f"{slot} top-{k}") for slot in slots for k in (1, 5)]:
            each = [metrics[f"zero_shot.{key}.template_{end}"] for end in ("low", "mean", "high")]
            lines.append("  " + "".join([f"{name:<14}", *(f"{value:>16.3f}" for value in each)]))
    if "zero_shot.verb.full_vocabulary.num_segments" in metrics:
        lines.append("  among all tokens: top-1, top-5, median rank; the same without the video")
        for slot in slots:
            key = f"zero_shot.{slot}.full_vocabulary"
            each = [
                metrics.get(f"{key}.{measure}{end}")
                for end in ("", ".language_prior")
                for measure in ("top1", "top5", "median_rank")
            ]
            cells = (f"{value:>12.3f}" if value is not None else f"{'-':>12}" for value in each)
            lines.append("  " + "".join([f"{slot:<14}", *cells]))
    return lines


def _few_shot_lines(metrics: Mapping[str, Any]) -> list[str]:
    """Return a line for each number of labels a class."""
    names = [name.split(".")[1] for name in metrics if fnmatch(name, "few_shot.*.accuracy")]
    shots = {name: name.removeprefix("shots") for name in names}
    rows = [
        (f"few_shot.{name}.accuracy", "all labels" if name == "all" else f"{num} a class")
        for name, num in shots.items()
    ]
    head = f"few labels, linear classifier, {metrics['few_shot.num_segments']:.0f} segments"
    columns = (("", "encoder"), (".linear_probe", "raw"), (".chance", "chance"))
    return [head, *_table_lines(metrics, rows=rows, columns=columns)]


def _label_lines(metrics: Mapping[str, Any]) -> list[str]:
    """Return a line for each score of each head of labels; what stands for chance is beside it."""
    prefix, lines = "labels.", [f"heads of labels, {metrics['labels.num_segments']:.0f} segments"]
    baselines = (".chance", ".most_frequent")
    names = [name for name in metrics if name.startswith(prefix) and not name.endswith(baselines)]
    for name in (name for name in names if ".num_segments" not in name):
        beside = [
            f"{end[1:].replace('_', ' ')} {metrics[name + end]:.3f}"
            for end in baselines
            if name + end in metrics
        ]
        told = f"  ({', '.join(beside)})" if beside else ""
        lines.append(f"  {name.removeprefix(prefix):<30}{metrics[name]:>8.3f}{told}")
    return lines


def _slot_line(metrics: Mapping[str, Any], key: str, *, name: str) -> str:
    cells = []
    for column in _COLUMNS:
        value = metrics.get(f"{key}.{column}" if column else key)
        cells.append(f"{value:>16.3f}" if value is not None else f"{'-':>16}")
    return "  " + "".join([f"{name:<14}", *cells])

"""The quality of a codebook as a table for people, from its flat metrics."""

from collections.abc import Mapping
from typing import Any

_HEAD = (
    f"  {'level':<7}{'nodes':>10}{'used':>10}{'dead':>10}{'perplexity':>12}{'inertia':>14}{'explained':>11}"
)


def codebook_lines(metrics: Mapping[str, Any]) -> list[str]:
    """Return the lines of the table, none where there is nothing to say."""
    if "quantize.num_training_clips" not in metrics:
        return []
    lines = [f"codebook, {metrics['quantize.num_training_clips']:,} training clips", _HEAD]
    number = 1
    while f"quantize.level_{number}.num_nodes" in metrics:
        lines.append(_level_line(metrics, number))
        number += 1
    if (kept := metrics.get("quantize.pca.variance_explained")) is not None:
        lines.append(f"  projection keeps {kept:.3f} of the features' variance")
    if (same := metrics.get("quantize.descent.same_word_as_flat")) is not None:
        ratio = metrics.get("quantize.descent.inertia_ratio_to_flat")
        cost = "" if ratio is None else f", {ratio:.3f} times its inertia"
        num_clips = metrics["quantize.descent.num_clips"]
        lines.append(
            f"  descent against the nearest of all leaves: same word {same:.3f}{cost} ({num_clips:,} clips)"
        )
    return lines


def _level_line(metrics: Mapping[str, Any], number: int) -> str:
    level = {
        name: metrics.get(f"quantize.level_{number}.{name}")
        for name in ("num_nodes", "num_used", "num_dead", "perplexity", "inertia", "variance_explained")
    }
    explained = level["variance_explained"]
    shown = "-" if explained is None else f"{explained:.3f}"
    return (
        f"  {number:<7}{level['num_nodes']:>10,}{level['num_used']:>10,}{level['num_dead']:>10,}"
        f"{level['perplexity']:>12,.1f}{level['inertia']:>14,.6g}{shown:>11}"
    )

"""A codebook's quality as flat numbers: what `videobert quantize` prints and `--json` gives."""

from videobert_cli.core.words.codebook import Codebook
from videobert_cli.core.words.survey import Survey


def quality_metrics(codebook: Codebook, survey: Survey) -> dict[str, float | int]:
    """Return the numbers by name; levels count from 1, the root's children.

    What cannot be known is left out: without features on disk the descent's quality and the variance explained, without
    a PCA its share, and a ratio to a flat inertia of 0.
    """
    numbers: dict[str, float | int | None] = {"quantize.num_training_clips": survey.num_training_clips}
    for statistics in codebook.statistics:
        prefix = f"quantize.level_{statistics.level + 1}"
        numbers |= {
            f"{prefix}.num_nodes": statistics.num_nodes,
            f"{prefix}.num_used": statistics.num_used,
            f"{prefix}.num_dead": statistics.num_nodes - statistics.num_used,
            f"{prefix}.perplexity": statistics.perplexity,
            f"{prefix}.inertia": statistics.inertia,
            f"{prefix}.variance_explained": _explained(statistics.inertia, total=survey.total_inertia),
        }
    numbers["quantize.pca.variance_explained"] = survey.projection_explained
    if survey.descent is not None:
        numbers |= {
            "quantize.descent.num_clips": survey.descent.num_sampled,
            "quantize.descent.same_word_as_flat": survey.descent.same_word,
            "quantize.descent.inertia_ratio_to_flat": survey.descent.inertia_ratio,
        }
    return {name: value for name, value in numbers.items() if value is not None}


def _explained(inertia: float, *, total: float | None) -> float | None:
    if total is None:
        return None
    # All clips alike: nothing is left to explain.
    return max(0.0, 1.0 - inertia / total) if total > 0 else 1.0

"""Linear classifiers of the same segments or videos, without a pretrained model: what fine-tuning has to beat.

Shapes: N units, C classes.
"""

from collections.abc import Sequence

import numpy as np

from videobert_cli.core.metrics.classes import class_numbers
from videobert_cli.core.metrics.probes import Rows, probe_probabilities, word_histograms
from videobert_cli.core.model.labels import LabelHead
from videobert_cli.core.training.units import LabelledUnit
from videobert_cli.errors import InputError
from videobert_cli.pipeline.run import Run
from videobert_cli.pipeline.segment_features import require_segment_features


def baselines(
    run: Run, *, train: Sequence[LabelledUnit], held_out: Sequence[LabelledUnit], head: LabelHead
) -> dict[str, np.ndarray]:
    """Return the probabilities (N, C) of the held-out units by each of `evaluate.classify.baselines`.

    Raises:
        InputError: There are no training units, or `linear_probe` is asked for and extraction kept words alone.
    """
    names = run.recipe.evaluate.classify.baselines
    if names and not train:
        raise InputError(
            "a baseline learns from the training split, and no segment of it has a label that the model knows",
            at="evaluate.classify.baselines",
            fix="--set 'evaluate.classify.baselines=[]'",
        )
    rows = {"word_histogram": _word_histograms, "linear_probe": _mean_features}
    truths = class_numbers(train, head=head)
    return {
        name: probe_probabilities(rows[name](run, train), truths, rows[name](run, held_out), head=head)
        for name in names
    }


def _word_histograms(run: Run, units: Sequence[LabelledUnit]) -> Rows:
    return word_histograms([unit.words() for unit in units], num_words=run.codebook.num_words)


def _mean_features(run: Run, units: Sequence[LabelledUnit]) -> np.ndarray:
    """Return the mean raw feature of each unit's clips, a row each."""
    features = require_segment_features(
        run, reader="linear_probe", otherwise="leave linear_probe out of evaluate.classify.baselines"
    )
    means = [
        np.concatenate(
            [
                features.clips(segment.video_id, first=segment.first_clip, num=len(segment.words_T))
                for segment in unit.segments
            ]
        ).mean(axis=0, dtype=np.float32)
        for unit in units
    ]
    return np.stack(means)

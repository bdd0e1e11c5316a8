"""Linear classifiers on frozen features of labelled segments: the paper's supervised row, and few labels a class."""

from collections.abc import Callable, Sequence

import numpy as np

from videobert_cli.core.metrics.evaluate import TaskResult
from videobert_cli.core.metrics.probes import ProbeSegments, evaluate_few_shot, evaluate_linear_probe
from videobert_cli.core.sequences.labelled import LabelledWords, with_labels
from videobert_cli.core.tasks.segment_states import segment_states
from videobert_cli.errors import InputError
from videobert_cli.pipeline.evaluations.evaluation import Evaluation, is_pretrained, pretrained_model
from videobert_cli.pipeline.run import Run
from videobert_cli.pipeline.segment_features import require_segment_features, segment_features

Represent = Callable[[Sequence[LabelledWords]], dict[str, np.ndarray]]


def _measure_linear_probe(run: Run) -> TaskResult:
    options = run.recipe.evaluate
    require_segment_features(run, reader="linear_probe", otherwise="leave linear_probe out of evaluate.tasks")
    represent = _represent(run, task="linear_probe")
    columns = {"verb": options.verb, "object": options.object}
    return evaluate_linear_probe(
        {name: _split_segments(run, column, represent=represent) for name, column in columns.items()}
    )


def _measure_few_shot(run: Run) -> TaskResult:
    options = run.recipe.evaluate.few_shot
    if run.recipe.finetune.labels == "multi":
        raise InputError(
            "few_shot learns one class of each segment, and finetune.labels is multi",
            at="evaluate.tasks",
            fix="leave few_shot out, or name a column of one class (finetune.label, finetune.labels)",
        )
    train, held_out = _split_segments(
        run, run.recipe.finetune.label, represent=_represent(run, task="few_shot")
    )
    return evaluate_few_shot(
        train, held_out, shots=options.shots, num_draws=options.num_draws, seed=run.recipe.seed
    )


def _represent(run: Run, *, task: str) -> Represent:
    """Return what makes features of segments: the encoder's, and the raw ones where they were kept."""
    loaded, model = pretrained_model(run, task=task)
    features = segment_features(run)

    def represent(segments: Sequence[LabelledWords]) -> dict[str, np.ndarray]:
        found = {
            "encoder": segment_states(model, loaded.tokenizer, words=[each.words_T for each in segments])
        }
        if features is not None:
            means = [
                features.clips(each.video_id, first=each.first_clip, num=len(each.words_T)).mean(axis=0)
                for each in segments
            ]
            found["raw"] = np.asarray(means, dtype=np.float32)
        return found

    return represent


def _split_segments(run: Run, column: str, *, represent: Represent) -> tuple[ProbeSegments, ProbeSegments]:
    """Return the training segments that have a label in the column, and those of the chosen split."""
    labelled = with_labels(run.segments, column)
    train, held_out = (
        [segment for segment in labelled if segment.split == split]
        for split in ("train", run.recipe.evaluate.split)
    )
    return (
        ProbeSegments(features=represent(train), labels=[each.labels[column] for each in train]),
        ProbeSegments(features=represent(held_out), labels=[each.labels[column] for each in held_out]),
    )


LINEAR_PROBE = Evaluation(
    task="linear_probe", stage="pretrain", measure=_measure_linear_probe, fits=is_pretrained
)
FEW_SHOT = Evaluation(task="few_shot", stage="pretrain", measure=_measure_few_shot, fits=is_pretrained)

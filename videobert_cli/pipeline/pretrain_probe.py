"""The zero-shot cloze put to a model while it trains: what `evaluate` asks, of the validation videos."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from videobert_cli.core.metrics.evaluate import evaluate_zero_shot
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.sequences.labelled import LabelledWords, with_labels
from videobert_cli.core.tasks.zero_shot import Candidates, Cloze, template_parts
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer
from videobert_cli.core.training.model_directory import Questions
from videobert_cli.pipeline.run import Run


class ZeroShotProbe:
    """Asks a model for the verbs and objects of held-out segments.

    Raises:
        UsageError: `evaluate.template` does not hold two masks: better now than after the training.
    """

    def __init__(self, run: Run, *, tokenizer: VideoBERTTokenizer, questions: Questions) -> None:
        template_parts(questions.template)
        self._tokenizer = tokenizer
        self._questions = questions
        self._columns = (run.recipe.evaluate.verb, run.recipe.evaluate.object)
        labelled = with_labels(run.segments, *self._columns)
        self._seen_pairs = frozenset(self._pair(segment) for segment in labelled if segment.split == "train")
        held_out = [segment for segment in labelled if segment.split == "validation"]
        self.segments = _spread(held_out, num=run.recipe.pretrain.probe.max_num_segments)

    def __call__(self, model: VideoBERTForPreTraining) -> Mapping[str, float]:
        """Return the flat metrics of `evaluate`'s zero-shot task, computed as there: in full precision."""
        device = next(model.parameters()).device
        with torch.autocast(device.type, enabled=False):
            return evaluate_zero_shot(
                Cloze(model, self._tokenizer, template=self._questions.template),
                self.segments,
                columns=self._columns,
                candidates=Candidates(verb=self._questions.verbs, object=self._questions.objects),
                seen_pairs=self._seen_pairs,
            ).metrics

    def _pair(self, segment: LabelledWords) -> tuple[str, str]:
        verb, object_ = self._columns
        return segment.labels[verb], segment.labels[object_]


def zero_shot_probe(run: Run, *, tokenizer: VideoBERTTokenizer, questions: Questions) -> ZeroShotProbe | None:
    """Return the probe that the recipe asks for, None where it asks for none or there is nothing to ask about."""
    if run.recipe.pretrain.probe.every_num_validations == 0:
        return None
    probe = ZeroShotProbe(run, tokenizer=tokenizer, questions=questions)
    if probe.segments:
        return probe
    columns = " and ".join((run.recipe.evaluate.verb, run.recipe.evaluate.object))
    run.reporter.line(f"pretrain: no zero-shot probe, as no validation segment has labels in {columns}")
    return None


def _spread(segments: Sequence[LabelledWords], *, num: int) -> list[LabelledWords]:
    """Return at most `num` segments, evenly spread over the list."""
    if len(segments) <= num:
        return list(segments)
    return [segments[int(position)] for position in np.linspace(0, len(segments) - 1, num)]

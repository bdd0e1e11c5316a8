"""Zero-shot actions of the segments that carry a verb and an object."""

from videobert_cli.core.metrics.evaluate import TaskResult, evaluate_zero_shot
from videobert_cli.core.sequences.labelled import with_labels
from videobert_cli.core.tasks.zero_shot import Candidates, Cloze
from videobert_cli.pipeline.evaluations.evaluation import Evaluation, is_pretrained, pretrained_model
from videobert_cli.pipeline.run import Run


def _measure(run: Run) -> TaskResult:
    options = run.recipe.evaluate
    loaded, model = pretrained_model(run, task="zero_shot")
    labelled = with_labels(run.segments, options.verb, options.object)
    return evaluate_zero_shot(
        Cloze(model, loaded.tokenizer, template=options.template),
        [segment for segment in labelled if segment.split == options.split],
        columns=(options.verb, options.object),
        candidates=Candidates(verb=loaded.questions.verbs, object=loaded.questions.objects),
        seen_pairs=frozenset(
            (segment.labels[options.verb], segment.labels[options.object])
            for segment in labelled
            if segment.split == "train"
        ),
    )


EVALUATION = Evaluation(task="zero_shot", stage="pretrain", measure=_measure, fits=is_pretrained)

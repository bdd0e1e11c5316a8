"""Whether explanations name the clips that answers rest on: the cloze's verb and object, a classifier's class."""

from collections.abc import Mapping, Sequence

from videobert_cli.core.metrics.evaluate import TaskResult
from videobert_cli.core.metrics.explain import ExplainedAnswer, evaluate_explanations, measured_segments
from videobert_cli.core.sequences.labelled import LabelledWords, with_labels
from videobert_cli.core.tasks.explain import Asked
from videobert_cli.core.tasks.explained_questions import asked_of_classifier, asked_of_cloze
from videobert_cli.core.tasks.zero_shot import SLOTS
from videobert_cli.core.training.model_directory import load_model
from videobert_cli.core.training.units import labelled_units
from videobert_cli.pipeline.evaluations import classify
from videobert_cli.pipeline.evaluations.evaluation import Evaluation, is_pretrained, pretrained_model
from videobert_cli.pipeline.evaluations.zero_shot import candidates_of, known_segments
from videobert_cli.pipeline.learned_model import require_same_codebook
from videobert_cli.pipeline.run import Run


def _measure_cloze(run: Run) -> TaskResult:
    options = run.recipe.evaluate
    loaded, model = pretrained_model(run, task="explain")
    columns = (options.verb, options.object)
    candidates = candidates_of(run, loaded.questions)
    labelled = [each for each in with_labels(run.segments, *columns) if each.split == options.split]
    known = known_segments(labelled, columns=columns, candidates=candidates)
    segments = _measured(run, known)
    words = [each.words_T for each in segments]
    asked = {
        f"explain.{slot}": asked_of_cloze(
            model,
            loaded.tokenizer,
            template=options.template,
            slot=slot,
            candidates=candidates.of(slot),
            words=words,
        )
        for slot in (SLOTS if segments else ())
    }
    return _evaluated(run, asked, task="explain", segments=segments, given=known)


def _measure_classes(run: Run) -> TaskResult:
    loaded = load_model(run.model_of("finetune"), device=run.device)
    require_same_codebook(run, loaded.directory)
    model, head = classify.classifier_of(run, loaded)
    units = labelled_units(run.segments, head=head, unit=run.recipe.finetune.unit)
    known = [
        part
        for unit in units
        if unit.split == run.recipe.evaluate.split and set(unit.values) & set(head.classes)
        for part in unit.parts(max_num_words=model.config.max_num_words)
    ]
    segments = _measured(run, known)
    words = [each.words_T for each in segments]
    asked = {"explain_classes": asked_of_classifier(model, loaded.tokenizer, words=words)} if segments else {}
    return _evaluated(run, asked, task="explain_classes", segments=segments, given=known)


def _measured(run: Run, segments: Sequence[LabelledWords]) -> list[LabelledWords]:
    num_segments = run.recipe.evaluate.explain.num_segments
    return measured_segments(segments, num_segments=num_segments, seed=run.recipe.seed)


def _evaluated(
    run: Run,
    asked: Mapping[str, Sequence[Asked]],
    *,
    task: str,
    segments: Sequence[LabelledWords],
    given: Sequence[LabelledWords],
) -> TaskResult:
    """Return the scores of what is `asked` of the measured segments, of those that were given."""
    return evaluate_explanations(
        {
            name: [
                ExplainedAnswer(segment=segment, asked=each)
                for segment, each in zip(segments, own, strict=True)
            ]
            for name, own in asked.items()
        },
        task=task,
        hidden_shares=run.recipe.evaluate.explain.hidden_shares,
        seed=run.recipe.seed,
        num_of_one_clip=sum(len(each.words_T) == 1 for each in given),
    )


CLOZE = Evaluation(task="explain", stage="pretrain", measure=_measure_cloze, fits=is_pretrained)
CLASSES = Evaluation(
    task="explain_classes", stage="finetune", measure=_measure_classes, fits=classify.EVALUATION.fits
)

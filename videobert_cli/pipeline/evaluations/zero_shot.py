"""Zero-shot actions of the segments that carry a verb and an object."""

from dataclasses import replace
from pathlib import Path

from videobert_cli.core.metrics.evaluate import TaskResult, evaluate_zero_shot
from videobert_cli.core.metrics.zero_shot import beside_lines, full_vocabulary_metrics, template_metrics
from videobert_cli.core.sequences.labelled import LabelledWords, with_labels
from videobert_cli.core.tasks.zero_shot import Candidates, Cloze, ClozeEnsemble
from videobert_cli.core.training.model_directory import Questions
from videobert_cli.errors import InputError, MissingInputError
from videobert_cli.pipeline.evaluations.evaluation import Evaluation, is_pretrained, pretrained_model
from videobert_cli.pipeline.run import Run


def _measure(run: Run) -> TaskResult:
    options = run.recipe.evaluate
    loaded, model = pretrained_model(run, task="zero_shot")
    labelled = with_labels(run.segments, options.verb, options.object)
    segments = [segment for segment in labelled if segment.split == options.split]
    columns = (options.verb, options.object)
    candidates = candidates_of(run, loaded.questions)
    clozes = [
        Cloze(model, loaded.tokenizer, template=template)
        for template in options.zero_shot.templates or (options.template,)
    ]
    result = evaluate_zero_shot(
        ClozeEnsemble(clozes) if len(clozes) > 1 else clozes[0],
        segments,
        columns=columns,
        candidates=candidates,
        seen_pairs=frozenset(
            (segment.labels[options.verb], segment.labels[options.object])
            for segment in labelled
            if segment.split == "train"
        ),
    )
    known = known_segments(segments, columns=columns, candidates=candidates)
    more: dict[str, float] = {}
    if len(clozes) > 1:
        more |= template_metrics(clozes, known, columns=columns, candidates=candidates)
    if options.zero_shot.full_vocabulary:
        more |= full_vocabulary_metrics(clozes, known, columns=columns)
    rows = options.zero_shot.beside
    text = "\n".join(beside_lines(result.metrics, rows=rows)) if rows else ""
    return replace(result, metrics={**result.metrics, **more}, text=text)


def known_segments(
    segments: list[LabelledWords], *, columns: tuple[str, str], candidates: Candidates
) -> list[LabelledWords]:
    """Return the segments whose verb and object are candidates: those that are measured."""
    lists = (set(candidates.verb), set(candidates.object))
    return [
        segment
        for segment in segments
        if all(segment.labels[column] in names for column, names in zip(columns, lists, strict=True))
    ]


def candidates_of(run: Run, questions: Questions) -> Candidates:
    """Return the verbs and objects of the recipe's files, else those of the training videos."""
    options = run.recipe.evaluate.zero_shot
    return Candidates(
        verb=_read(options.verbs, key="verbs") if options.verbs else questions.verbs,
        object=_read(options.objects, key="objects") if options.objects else questions.objects,
    )


def _read(path: Path, *, key: str) -> tuple[str, ...]:
    """Return the lines of a file of candidates, sorted, each once.

    Raises:
        MissingInputError: There is no such file.
        InputError: It holds no text, or no line.
    """
    at = f"evaluate.zero_shot.{key}: {path}"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise MissingInputError(
            f"the candidates cannot be read ({error.strerror})", at=at, fix="check the name"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(
            "the candidates are no UTF-8 text", at=at, fix="one word or phrase a line"
        ) from error
    found = tuple(sorted({line.strip() for line in lines} - {""}))
    if not found:
        raise InputError("the file has no candidate", at=at, fix="one word or phrase a line")
    return found


EVALUATION = Evaluation(task="zero_shot", stage="pretrain", measure=_measure, fits=is_pretrained)

"""The evaluate stage: held-out segments into scores, a report and one prediction a segment."""

import json
from pathlib import Path
from typing import Any

from videobert_cli.artifacts import (
    MANIFEST_NAME,
    discard,
    publish_json,
    publish_text,
    read_manifest,
    seal,
)
from videobert_cli.core.metrics.evaluate import TaskResult, evaluate_classification, evaluate_zero_shot
from videobert_cli.core.metrics.forecast import evaluate_forecast
from videobert_cli.core.metrics.labels import evaluate_labels
from videobert_cli.core.model.classification import VideoBERTForSequenceClassification
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.sequences.labelled import with_labels
from videobert_cli.core.tasks.forecast import Forecaster
from videobert_cli.core.tasks.zero_shot import Candidates, Cloze
from videobert_cli.core.training.model_directory import LoadedModel, load_model
from videobert_cli.errors import InputError
from videobert_cli.pipeline.finetune_stage import require_same_codebook
from videobert_cli.pipeline.run import Run
from videobert_cli.pipeline.stage import RECORD_NAME, Stage, StageReport

REPORT_NAME = "report.json"
TEXT_NAME = "report.txt"


def _needs(run: Run) -> tuple[str, ...]:
    tasks = run.recipe.evaluate.tasks
    needs = ["quantize"]
    if set(tasks) - {"classify"} and not run.external_model:
        needs.append("pretrain")
    if "classify" in tasks and not run.external_model:
        needs.append("finetune")
    return tuple(needs)


def _settings(run: Run) -> dict[str, Any]:
    return {"evaluate": run.recipe.evaluate.settings(), "finetune": {"label": run.recipe.finetune.label}}


def _inputs(run: Run) -> dict[str, str]:
    models = {task: run.classifier if task == "classify" else run.pretrained for task in _tasks(run)}
    inputs = {
        f"{task}_model": read_manifest(model, kind="model").content_hash for task, model in models.items()
    }
    inputs["words"] = read_manifest(run.paths.words, kind="words").content_hash
    inputs["labels"] = run.labels_hash()
    return inputs


def _tasks(run: Run) -> tuple[str, ...]:
    """Return the recipe's tasks; with a model made elsewhere, only what that model can do."""
    if run.external_model is None:
        return run.recipe.evaluate.tasks
    facts = read_manifest(run.external_model, kind="model").facts
    if facts.get("num_classes"):
        return ("classify",)
    asked = {"forecast", *(["labels"] if facts.get("label_heads") else [])} & set(run.recipe.evaluate.tasks)
    return ("zero_shot", *sorted(asked))


def _execute(run: Run) -> StageReport:
    measure = {"zero_shot": _zero_shot, "classify": _classify, "labels": _labels, "forecast": _forecast}
    results = {}
    for task in _tasks(run):
        run.stop.raise_if_requested("nothing of this stage; it starts anew and gives the same scores")
        results[task] = measure[task](run)
    metrics = {name: value for result in results.values() for name, value in result.metrics.items()}
    directory = run.directory("evaluate")
    discard(directory / MANIFEST_NAME)
    for task, result in results.items():
        lines = [json.dumps(prediction, ensure_ascii=False) for prediction in result.predictions]
        publish_text(directory / f"predictions_{task}.jsonl", "\n".join(lines) + "\n")
    publish_json(directory / REPORT_NAME, {"metrics": metrics, "split": run.recipe.evaluate.split})
    publish_text(directory / TEXT_NAME, "\n".join(result.text for result in results.values() if result.text))
    seal(directory, kind="evaluation", settings=_settings(run), parents=_inputs(run), ignore=(RECORD_NAME,))
    return StageReport(summary=_size(metrics, split=run.recipe.evaluate.split), facts=metrics)


def _size(metrics: dict[str, float], *, split: str) -> str:
    """Return on how much was measured, in words."""
    for unit in ("segments", "questions"):
        counts = [int(value) for name, value in metrics.items() if name.endswith(f"num_{unit}")]
        if counts:
            return f"{max(counts):,} {split} {unit}"
    return "nothing"


def _pretrained(run: Run, *, task: str) -> tuple[LoadedModel, VideoBERTForPreTraining]:
    loaded = load_model(run.pretrained, device=run.device)
    require_same_codebook(run, loaded.directory)
    if not isinstance(loaded.model, VideoBERTForPreTraining):
        raise InputError(
            f"{task} needs a pretrained model; this one is a classifier",
            at=str(loaded.directory),
            fix="--set 'evaluate.tasks=[classify]', or name a pretrained model",
        )
    return loaded, loaded.model


def _labels(run: Run) -> TaskResult:
    loaded, model = _pretrained(run, task="labels")
    segments = [segment for segment in run.segments if segment.split == run.recipe.evaluate.split]
    return evaluate_labels(model, loaded.tokenizer, segments=segments)


def _forecast(run: Run) -> TaskResult:
    options = run.recipe.evaluate
    loaded, model = _pretrained(run, task="forecast")
    held_out, train = (
        {video_id: run.words.words(video_id) for video_id in run.split_ids(split) if video_id in run.words}
        for split in (options.split, "train")
    )
    return evaluate_forecast(
        Forecaster(model, loaded.tokenizer),
        held_out,
        train_videos=train,
        num_words=run.words.num_words,
        options=options.forecast,
    )


def _zero_shot(run: Run) -> TaskResult:
    options = run.recipe.evaluate
    loaded, model = _pretrained(run, task="zero_shot")
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


def _classify(run: Run) -> TaskResult:
    label = run.recipe.finetune.label
    loaded = load_model(run.classifier, device=run.device)
    require_same_codebook(run, loaded.directory)
    if not isinstance(loaded.model, VideoBERTForSequenceClassification):
        raise InputError(
            "classify needs a fine-tuned model; this one is only pretrained",
            at=str(loaded.directory),
            fix=run.loaded.command("finetune"),
        )
    classes = [loaded.model.config.id2label[number] for number in range(len(loaded.model.config.id2label))]
    segments = [
        segment for segment in with_labels(run.segments, label) if segment.split == run.recipe.evaluate.split
    ]
    return evaluate_classification(
        loaded.model, loaded.tokenizer, segments=segments, label=label, classes=classes
    )


def _outputs(run: Run) -> tuple[Path, ...]:
    directory = run.directory("evaluate")
    return (directory / MANIFEST_NAME, directory / REPORT_NAME, directory / TEXT_NAME)


STAGE = Stage(
    name="evaluate",
    needs=_needs,
    settings=_settings,
    inputs=_inputs,
    execute=_execute,
    outputs=_outputs,
)

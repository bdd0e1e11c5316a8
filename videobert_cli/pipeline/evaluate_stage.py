"""The evaluate stage: held-out segments into scores, a report and one prediction a segment."""

import json
from pathlib import Path
from typing import Any

from videobert_cli.artifacts import (
    MANIFEST_NAME,
    discard,
    hash_file,
    publish_bytes,
    publish_json,
    publish_text,
    read_manifest,
    seal,
)
from videobert_cli.pipeline.evaluations.tasks import EVALUATIONS, evaluations_of
from videobert_cli.pipeline.run import Run
from videobert_cli.pipeline.stage import RECORD_NAME, Stage, StageReport

REPORT_NAME = "report.json"
TEXT_NAME = "report.txt"


def _needs(run: Run) -> tuple[str, ...]:
    if run.external_model:
        return ("quantize",)
    stages = [EVALUATIONS[task].stage for task in run.recipe.evaluate.tasks]
    return ("quantize", *dict.fromkeys(stages))


def _settings(run: Run) -> dict[str, Any]:
    return {"evaluate": run.recipe.evaluate.remembered(), "finetune": run.recipe.finetune.asked()}


def _inputs(run: Run) -> dict[str, str]:
    inputs = {f"{each.task}_model": each.model_hash(run) for each in evaluations_of(run)}
    inputs["words"] = read_manifest(run.paths.words, kind="words").content_hash
    inputs["labels"] = run.labels_hash()
    for key in ("verbs", "objects"):
        path = getattr(run.recipe.evaluate.zero_shot, key)
        if path is not None and path.is_file():
            inputs[key] = hash_file(path)
    return inputs


def _execute(run: Run) -> StageReport:
    results = {}
    for evaluation in evaluations_of(run):
        run.stop.raise_if_requested("nothing of this stage; it starts anew and gives the same scores")
        results[evaluation.task] = evaluation.measure(run)
    metrics = {name: value for result in results.values() for name, value in result.metrics.items()}
    directory = run.directory("evaluate")
    discard(directory / MANIFEST_NAME)
    for task, result in results.items():
        lines = [json.dumps(prediction, ensure_ascii=False) for prediction in result.predictions]
        publish_text(directory / f"predictions_{task}.jsonl", "\n".join(lines) + "\n")
        for name, data in result.files.items():
            publish_bytes(directory / name, data)
    publish_json(directory / REPORT_NAME, {"metrics": metrics, "split": run.recipe.evaluate.split})
    publish_text(directory / TEXT_NAME, "\n".join(result.text for result in results.values() if result.text))
    seal(directory, kind="evaluation", settings=_settings(run), parents=_inputs(run), ignore=(RECORD_NAME,))
    return StageReport(summary=_size(metrics, split=run.recipe.evaluate.split), facts=metrics)


def _size(metrics: dict[str, float], *, split: str) -> str:
    """Return on how much was measured, in words."""
    for unit in ("segments", "questions", "sentences", "videos"):
        counts = [int(value) for name, value in metrics.items() if name.endswith(f"num_{unit}")]
        if counts:
            return f"{max(counts):,} {split} {unit}"
    return "nothing"


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

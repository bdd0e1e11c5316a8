"""The finetune stage: a pretrained model and labelled segments into a classifier's model directory."""

from pathlib import Path
from typing import Any

from videobert_cli.artifacts import read_manifest
from videobert_cli.core.training.finetune import FinetuneResult, classified, finetune_classifier
from videobert_cli.core.training.model_directory import LoadedModel, load_model
from videobert_cli.core.training.sinks import require_sinks
from videobert_cli.pipeline.events import loop_events
from videobert_cli.pipeline.learned_model import publish_learned, require_same_codebook, training_summary
from videobert_cli.pipeline.ranks import call_for_help
from videobert_cli.pipeline.run import Run
from videobert_cli.pipeline.stage import Stage, StageReport
from videobert_cli.pipeline.training_report import is_report_due, look
from videobert_cli.ranks import Ranks, connected_ranks


def _settings(run: Run) -> dict[str, Any]:
    return {"seed": run.recipe.seed, "finetune": run.recipe.finetune.remembered()}


def _inputs(run: Run) -> dict[str, str]:
    # A mistyped column is refused here, before a model made from another one is thrown away.
    classified(run.segments, options=run.recipe.finetune)
    return {
        "model": read_manifest(run.pretrained, kind="model").content_hash,
        "words": read_manifest(run.paths.words, kind="words").content_hash,
        "labels": run.labels_hash(),
    }


def _execute(run: Run) -> StageReport:
    loaded = load_model(run.pretrained, device=run.device)
    require_same_codebook(run, loaded.directory)
    options = run.recipe.finetune
    result = _train(run, loaded, ranks=call_for_help("finetune"))
    facts = {
        "num_steps": result.training.num_steps,
        "num_classes": len(result.classes),
        f"num_train_{options.unit}s": result.num_train_units,
    }
    publish_learned(
        run,
        "finetune",
        result.model,
        start=loaded,
        card=("video-classification", f"VideoBERT classifier of {options.label!r}"),
        label=options.label,
        unit=options.unit,
        settings=_settings(run),
        parents=_inputs(run),
        facts=facts,
    )
    return StageReport(
        summary=f"{len(result.classes)} classes, {result.num_train_units:,} {options.unit}s, "
        f"{training_summary(result.training)}",
        facts={f"finetune.{name}": value for name, value in facts.items()},
    )


def _help(run: Run) -> None:
    """Train beside rank 0."""
    _train(run, load_model(run.pretrained, device=run.device), ranks=connected_ranks())


def _train(run: Run, loaded: LoadedModel, *, ranks: Ranks) -> FinetuneResult:
    return finetune_classifier(
        segments=run.segments,
        pretrained=loaded.directory,
        tokenizer=loaded.tokenizer,
        options=run.recipe.finetune,
        directory=run.directory("finetune"),
        seed=run.recipe.seed,
        device=run.device,
        stop=run.stop,
        events=loop_events(run, "finetune"),
        ranks=ranks,
    )


def _outputs(run: Run) -> tuple[Path, ...]:
    return (run.directory("finetune") / "model" / "manifest.json",)


STAGE = Stage(
    name="finetune",
    needs=lambda run: ("quantize",) if run.external_model else ("pretrain",),
    settings=_settings,
    inputs=_inputs,
    execute=_execute,
    outputs=_outputs,
    help=_help,
    require=lambda run: require_sinks(run.recipe.finetune.loop.log_to, key="finetune.loop.log_to"),
    look=lambda run: look(run, "finetune"),
    is_look_due=lambda run: is_report_due(run, "finetune"),
)

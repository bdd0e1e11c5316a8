"""The caption stage: a pretrained model and sentences with their clips into a captioner's model directory."""

from pathlib import Path
from typing import Any

from videobert_cli.artifacts import read_manifest
from videobert_cli.core.training.caption import CaptionResult, finetune_captioner
from videobert_cli.core.training.model_directory import LoadedModel, load_model
from videobert_cli.core.training.sinks import require_sinks
from videobert_cli.pipeline.events import loop_events
from videobert_cli.pipeline.learned_model import publish_learned, require_same_codebook, training_summary
from videobert_cli.pipeline.ranks import call_for_help
from videobert_cli.pipeline.run import Run
from videobert_cli.pipeline.shown_sentences import sentences_by_split, sentences_inputs
from videobert_cli.pipeline.stage import Stage, StageReport
from videobert_cli.pipeline.training_report import is_report_due, look
from videobert_cli.ranks import Ranks, connected_ranks


def _settings(run: Run) -> dict[str, Any]:
    return {"seed": run.recipe.seed, "finetune": {"caption": run.recipe.finetune.caption.remembered()}}


def _inputs(run: Run) -> dict[str, str]:
    model = read_manifest(run.pretrained, kind="model").content_hash
    return {"model": model, **sentences_inputs(run)}


def _execute(run: Run) -> StageReport:
    loaded = load_model(run.pretrained, device=run.device)
    require_same_codebook(run, loaded.directory)
    result = _train(run, loaded, ranks=call_for_help("caption"))
    facts = {"num_steps": result.training.num_steps, "num_train_captions": result.num_train_captions}
    publish_learned(
        run,
        "caption",
        result.model,
        start=loaded,
        card=("video-to-text", f"VideoBERT captioner of {run.recipe.data.videos.name}"),
        settings=_settings(run),
        parents=_inputs(run),
        facts=facts,
    )
    return StageReport(
        summary=f"{result.num_train_captions:,} sentences with clips, {training_summary(result.training)}",
        facts={f"caption.{name}": value for name, value in facts.items()},
    )


def _help(run: Run) -> None:
    """Train beside rank 0."""
    _train(run, load_model(run.pretrained, device=run.device), ranks=connected_ranks())


def _train(run: Run, loaded: LoadedModel, *, ranks: Ranks) -> CaptionResult:
    return finetune_captioner(
        pairs=sentences_by_split(run, tokenizer=loaded.tokenizer),
        pretrained=loaded.directory,
        tokenizer=loaded.tokenizer,
        options=run.recipe.finetune.caption,
        directory=run.directory("caption"),
        seed=run.recipe.seed,
        device=run.device,
        stop=run.stop,
        events=loop_events(run, "caption"),
        ranks=ranks,
    )


def _outputs(run: Run) -> tuple[Path, ...]:
    return (run.directory("caption") / "model" / "manifest.json",)


STAGE = Stage(
    name="caption",
    needs=lambda run: ("quantize",) if run.external_model else ("pretrain",),
    settings=_settings,
    inputs=_inputs,
    execute=_execute,
    outputs=_outputs,
    help=_help,
    require=lambda run: require_sinks(
        run.recipe.finetune.caption.loop.log_to, key="finetune.caption.loop.log_to"
    ),
    look=lambda run: look(run, "caption"),
    is_look_due=lambda run: is_report_due(run, "caption"),
)

"""`videobert evaluate`: a shell around the pipeline's evaluate stage, for one model or several."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from videobert_cli.commands import flags
from videobert_cli.commands.ablation import run_ablation
from videobert_cli.commands.comparison import compare_evaluations
from videobert_cli.commands.models import require_model
from videobert_cli.commands.results import CommandResult
from videobert_cli.commands.score import Missing, score_files
from videobert_cli.commands.scores import score_lines
from videobert_cli.commands.session import CommonFlags
from videobert_cli.commands.stage_command import StageFlags, run_stage
from videobert_cli.commands.untrained import make_untrained
from videobert_cli.errors import UsageError

HELP = """Held-out segments become scores, beside chance and language prior.

Without --model the run's own models are measured, and made first where they are missing; --model DIR (repeatable)
measures models made elsewhere with the same codebook.

--compare says what each of several models is above the first, and whether that could be chance; --append FILE collects
evaluations of shell loops in one file.

With --ablation FILE each variant of the recipe in it is made and measured with some seeds: one table.

With --score REFERENCES the argument is a file of captions, made by anything, and their metrics are coco-caption's.

\b
Examples:
  videobert evaluate recipes/demo.yaml
  videobert evaluate demo --ablation demo
  videobert evaluate --score references.json captions.json
"""

ModelsOption = Annotated[
    list[Path],
    typer.Option("--model", metavar="DIR", help="A model directory made elsewhere; repeatable."),
]
ScoreOption = Annotated[
    Path | None,
    typer.Option(
        "--score", metavar="REFERENCES", help="Score the captions of a JSON file against these references."
    ),
]
CompareOption = Annotated[
    bool,
    typer.Option(
        "--compare", help="With several --model: what each is above the first, and whether by chance."
    ),
]
AppendOption = Annotated[
    Path | None,
    typer.Option(
        "--append", metavar="FILE", help="Add each evaluation to a .jsonl file, one line, none twice."
    ),
]
AblationOption = Annotated[
    str | None,
    typer.Option("--ablation", metavar="FILE", help="Variants of the recipe and seeds: one table of all."),
]
InitOption = Annotated[
    Literal["trained", "random"],
    typer.Option(
        "--init", help="`random` measures an untrained model of the same shape: what chance scores."
    ),
]
MissingOption = Annotated[
    Missing, typer.Option("--missing", help="With --score: what references without a caption are.")
]
DetailsOption = Annotated[
    Path | None,
    typer.Option(
        "--details", metavar="FILE", help="With --score: write each caption's scores, one JSON line each."
    ),
]


def command(  # noqa: PLR0913 - one parameter a flag
    *,
    recipe: flags.RecipeArgument,
    overrides: flags.SetOption = [],  # noqa: B006 - typer reads the default, nothing changes it
    model: ModelsOption = [],  # noqa: B006 - as above
    compare: CompareOption = False,
    append: AppendOption = None,
    ablation: AblationOption = None,
    init: InitOption = "trained",
    score: ScoreOption = None,
    missing: MissingOption = "error",
    details: DetailsOption = None,
    dry_run: flags.DryRunOption = False,
    print_config: flags.PrintConfigOption = False,
    no_upstream: flags.NoUpstreamOption = False,
    overwrite: flags.OverwriteOption = False,
    strict: flags.StrictOption = False,
    time_limit: flags.TimeLimitOption = None,
    device: flags.DeviceOption = "auto",
    seed: flags.SeedOption = None,
    json: flags.JsonOption = False,  # noqa: ARG001 - read by the frame around all commands
    quiet: flags.QuietOption = False,
    verbose: flags.VerboseOption = False,
    debug: flags.DebugOption = False,  # noqa: ARG001 - read by the frame around all commands
) -> CommandResult:
    """Measure the models of a recipe, models made elsewhere, or captions."""
    others = [bool(model), dry_run, print_config, compare, append is not None]
    if score is not None:
        _refuse(any((*others, overrides, ablation)), "--score takes no recipe, and none of its flags")
        return score_files(score, Path(recipe), missing=missing, details=details, is_overwrite=overwrite)
    _refuse(details is not None, "--details goes with --score; a run keeps its predictions by itself")
    stage_flags = StageFlags(
        overrides=overrides,
        seed=seed,
        is_dry_run=dry_run,
        is_print_config=print_config,
        is_upstream_forbidden=no_upstream,
        is_overwrite=overwrite,
        is_strict=strict,
        common=CommonFlags(device=device, is_quiet=quiet, is_verbose=verbose, time_limit_seconds=time_limit),
    )
    if ablation is not None:
        _refuse(any((*others, seed is not None)), "--ablation has seeds and models of its own")
        return run_ablation(ablation, recipe, flags=stage_flags)
    if print_config:
        return run_stage("evaluate", recipe, flags=stage_flags)
    _refuse(compare and len(model) < 2, f"--compare needs two models or more (--model), {len(model)} given")
    if init == "random":
        _refuse(any((model, dry_run)), "--init random measures a model of its own")
        model = [make_untrained(recipe, flags=stage_flags)]
    # A mistyped name must not be found only when the models before it have been measured.
    for path in model:
        require_model(path)
    models: list[Path | None] = list(model) or [None]
    results = [run_stage("evaluate", recipe, flags=stage_flags, model=path) for path in models]
    if dry_run:
        return _plans(results, models=[str(path) for path in model])
    together = _together(results, models=[str(path) for path in model])
    if append is not None:
        together = _appended(together, results, models=models, file=append)
    return _compared(together) if compare else together


def _refuse(is_wrong: object, problem: str) -> None:
    if is_wrong:
        raise UsageError(problem, fix="videobert evaluate --help has an example of each")


def _appended(
    together: CommandResult, results: list[CommandResult], *, models: list[Path | None], file: Path
) -> CommandResult:
    from videobert_cli.pipeline.results_file import append_evaluation

    num_appended = sum(
        append_evaluation(
            file,
            Path(str(result.outputs["evaluate"])),
            run=str(result.run),
            model=str(model) if model else None,
        )
        for result, model in zip(results, models, strict=True)
    )
    num_known = len(results) - num_appended
    line = f"{file}: {num_appended} appended" + (f", {num_known} known" if num_known else "")
    outputs = {**together.outputs, "appended_to": str(file)}
    return replace(together, outputs=outputs, lines=(*together.lines, line))


def _compared(together: CommandResult) -> CommandResult:
    metrics, lines = compare_evaluations(
        {model: Path(str(path)) for model, path in together.outputs.items() if model != "appended_to"}
    )
    return replace(together, metrics={**together.metrics, **metrics}, lines=(*together.lines, "", *lines))


def _plans(results: list[CommandResult], *, models: list[str]) -> CommandResult:
    """Return one plan: as it is for one model, one after the other under the models' names for several."""
    if len(results) == 1:
        return results[0]
    lines = [
        line for name, result in zip(models, results, strict=True) for line in (name, *result.lines[:-1], "")
    ]
    return replace(
        results[0],
        outputs={name: result.outputs for name, result in zip(models, results, strict=True)},
        lines=(*lines, *results[0].lines[-1:]),
    )


def _together(results: list[CommandResult], *, models: list[str]) -> CommandResult:
    """Return one result: as it is for one model, metrics prefixed by the model's directory for several."""
    names = models if len(models) > 1 else [""]
    metrics: dict[str, Any] = {}
    lines: list[str] = []
    for name, result in zip(names, results, strict=True):
        metrics |= {f"{name}:{key}" if name else key: value for key, value in result.metrics.items()}
        lines += [*([name] if name else []), *score_lines(result.metrics), *_report_lines(result), ""]
    worst = max(results, key=lambda result: (result.exit_code, result.status == "done"))
    outputs = {
        name or "evaluate": result.outputs["evaluate"] for name, result in zip(names, results, strict=True)
    }
    lines += [f"report: {Path(str(path)) / 'report.json'}" for path in outputs.values()]
    return CommandResult(
        status=worst.status,
        exit_code=worst.exit_code,
        run=worst.run,
        metrics=metrics,
        outputs=outputs,
        lines=tuple(lines),
    )


def _report_lines(result: CommandResult) -> list[str]:
    path = Path(str(result.outputs["evaluate"])) / "report.txt"
    text = path.read_text().rstrip() if path.is_file() else ""
    return ["", *text.splitlines()] if text else []

"""`videobert extract`: a recipe's extract stage, or features of named videos without a recipe."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videobert_cli.commands import flags, slurm
from videobert_cli.commands.inputs import expand_inputs
from videobert_cli.commands.results import CommandResult
from videobert_cli.commands.session import CommonFlags, console_and_stop
from videobert_cli.commands.stage_command import StageFlags, load_with_flags, prepared_run, run_stage
from videobert_cli.errors import UsageError
from videobert_cli.runtime import launched_rank

if TYPE_CHECKING:
    from videobert_cli.core.features.line.sharding import Shard
    from videobert_cli.core.features.options import ExtractOptions
    from videobert_cli.pipeline.extraction import ExtractEnd

# Jobs of a SLURM array, where the user names no number.
_SLURM_FLAGS = frozenset({"--emit-slurm", "--num-shards"})
_NUM_SHARDS = 16
HELP = """Videos become features: one vector for each clip of 30 frames.

With a recipe, the videos of its `data:` section; with --out DIR, the videos and folders named, by built-in defaults
(--backbone, --weights and --set extract.KEY=VALUE choose others; `videobert doctor` lists the backbones). Videos that
cannot be read are listed in quarantine.jsonl (exit code 4).

Several processes may fill one store, each its --shard; under torchrun each rank takes one, and its GPU.

\b
Examples:
  videobert extract recipes/demo.yaml
  videobert extract clips/ more.mp4 --out features --backbone s3d --weights s3d.pth
  videobert extract recipes/howto100m.yaml --shard 3/16
"""


def command(  # noqa: PLR0913 - one parameter a flag
    *,
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="RECIPE | VIDEO", help="A recipe, or with --out: files, folders, globs, -."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write a feature store here, no recipe.")
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="With --out: efficientnet_lite0, s3d, transformers:DIR_OR_HUB_ID, a plug-in, ...",
        ),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="FILE", help="With --out: a weights file, or a name as in a recipe.")
    ] = None,
    keep: Annotated[
        str | None, typer.Option(metavar="WHAT", help="Store features, words (by --codebook) or both.")
    ] = None,
    codebook: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="With --keep: a codebook, or the model or run it is in."),
    ] = None,
    null: Annotated[bool, typer.Option("--null", help="Names on standard input end with NUL.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try quarantined videos again.")
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Extract part I (from 0) of N; the last one seals the store."),
    ] = None,
    emit_slurm: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a SLURM job array of --num-shards jobs and stop."),
    ] = None,
    num_shards: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help=f"With --emit-slurm: jobs ({_NUM_SHARDS}).", show_default=False
        ),
    ] = None,
    overrides: flags.SetOption = [],  # noqa: B006 - typer reads the default, nothing changes it
    dry_run: flags.DryRunOption = False,
    print_config: flags.PrintConfigOption = False,
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
    """Extract features of a recipe's videos, or of the videos named."""
    part = _shard_of_process(shard)
    if emit_slurm is not None:
        _require_none({"--shard": part is not None, "--overwrite": overwrite}, beside="--emit-slurm")
    elif num_shards is not None:
        raise _num_shards_alone()
    overrides = [*overrides, *_kept(keep, codebook=codebook)]
    common = CommonFlags(device=device, is_quiet=quiet, is_verbose=verbose, time_limit_seconds=time_limit)
    if out is not None:
        refused = {
            "--dry-run": dry_run,
            "--print-config": print_config,
            "--overwrite": overwrite,
            "--strict": strict,
        }
        _require_none(refused | {"--seed": seed is not None}, beside="--out")
        options = _options(out, backbone=backbone, weights=weights, overrides=overrides)
        if emit_slurm is not None:
            return _emit_slurm(emit_slurm, num_shards=num_shards)
        _require_no_recipe(inputs)
        videos = expand_inputs(inputs, is_null_separated=null)
        return _extract_videos(
            videos, out=out, options=options, is_retry=retry_failed, shard=part, common=common
        )
    if len(inputs) != 1 or backbone or weights or null:
        raise UsageError(
            "without --out, extract takes one recipe and no flag for named videos",
            at="command line",
            fix="videobert extract RECIPE; or videobert extract VIDEO... --out DIR",
        )
    stage_flags = StageFlags(
        overrides=overrides,
        seed=seed,
        is_dry_run=dry_run,
        is_print_config=print_config,
        is_upstream_forbidden=False,
        is_overwrite=overwrite,
        is_strict=strict,
        common=common,
        is_retry=retry_failed,
    )
    if emit_slurm is not None:
        # A typo must not be found by sixty jobs.
        load_with_flags(inputs[0], flags=stage_flags)
        return _emit_slurm(emit_slurm, num_shards=num_shards)
    if part is None or dry_run or print_config:
        return run_stage("extract", inputs[0], flags=stage_flags)
    if overwrite:
        raise UsageError(
            "one shard cannot throw away what the others have made",
            at="--overwrite",
            fix="videobert extract RECIPE --overwrite without --shard; or --set run=OTHER_DIR",
        )
    return _extract_shard(inputs[0], shard=part, stage_flags=stage_flags)


def _kept(keep: str | None, *, codebook: Path | None) -> list[str]:
    """Return the flags as what they stand for, `--set extract.keep=... --set extract.codebook=...`."""
    from videobert_cli.recipe.snapshot import scalar_text

    values = {"keep": keep, "codebook": None if codebook is None else str(codebook)}
    return [f"extract.{name}={scalar_text(value)}" for name, value in values.items() if value is not None]


def _require_none(flags_given: dict[str, bool], *, beside: str) -> None:
    """Refuse flags that mean nothing beside another."""
    given = [name for name, is_given in flags_given.items() if is_given]
    if given:
        raise UsageError(
            f"{given[0]} means nothing beside {beside}",
            at="command line",
            fix=f"drop {given[0]} or {beside}; videobert extract --help says what each does",
        )


def _num_shards_alone() -> UsageError:
    return UsageError(
        "--num-shards says how many jobs --emit-slurm writes, and there is no --emit-slurm",
        at="command line",
        fix="add --emit-slurm job.sh, or run one part of N: --shard I/N",
    )


def _require_no_recipe(names: list[str]) -> None:
    """Refuse a recipe among videos: it would be quarantined in the store as one that cannot be read."""
    from videobert_cli.recipe.names import is_recipe_name

    recipe = next((name for name in names if is_recipe_name(name)), None)
    if recipe is not None:
        raise UsageError(
            "with --out, extract takes videos and no recipe",
            at=recipe,
            fix=f"videobert extract {recipe} without --out; --set run=DIR says where to",
        )


def _emit_slurm(path: Path, *, num_shards: int | None) -> CommandResult:
    return slurm.emit_slurm(
        path,
        arguments=slurm.without_flags(sys.argv[2:], names=_SLURM_FLAGS),
        num_shards=num_shards or _NUM_SHARDS,
    )


def _options(
    out: Path, *, backbone: str | None, weights: str | None, overrides: list[str]
) -> "ExtractOptions":
    """Return the options of an extraction without a recipe, checked as a recipe's are."""
    from videobert_cli.recipe.load import load_settings

    foreign = [override for override in overrides if not override.startswith("extract.")]
    if foreign:
        raise UsageError(
            f"with --out there is nothing that {foreign[0].partition('=')[0]!r} could change",
            at="--set",
            fix="--set extract.KEY=VALUE; docs/recipes.md lists the keys",
        )
    values = {"backbone": backbone, "weights": weights}
    chosen = {name: value for name, value in values.items() if value is not None}
    given = {"run": str(out), "data": {"videos": "."}, "extract": chosen}
    return load_settings(given, overrides=overrides, name="command line").extract


def _shard_of_process(text: str | None) -> "Shard | None":
    """Return what this process extracts: the shard named, or its rank's part of it under torchrun; None for all."""
    rank = launched_rank()
    if text is None and (rank is None or rank.num_ranks == 1):
        return None
    from videobert_cli.core.features.line.sharding import Shard

    named = Shard(index=0, num_shards=1) if text is None else Shard.parse(text)
    return named if rank is None else named.split(index=rank.index, num_parts=rank.num_ranks)


def _extract_shard(recipe: str, *, shard: "Shard", stage_flags: StageFlags) -> CommandResult:
    with prepared_run(recipe, flags=stage_flags) as run:
        from videobert_cli.pipeline.extract_shard import extract_run_shard

        end = extract_run_shard(run, shard)
    return _result(end, outputs=run.paths.features, shard=shard, run=str(run.paths.root))


def _extract_videos(
    videos: list[Path],
    *,
    out: Path,
    options: "ExtractOptions",
    is_retry: bool,
    shard: "Shard | None",
    common: CommonFlags,
) -> CommandResult:
    with console_and_stop(common) as (console, stop):
        from videobert_cli.pipeline.extract_files import extract_files

        end = extract_files(
            videos, directory=out, options=options, device=common.device, on_failed="retry" if is_retry else "keep",
            shard=shard, stop=stop, reporter=console,
        )  # fmt: skip
    return _result(end, outputs=out, shard=shard)


def _result(
    end: "ExtractEnd", *, outputs: Path, shard: "Shard | None", run: str | None = None
) -> CommandResult:
    name = f"shard {shard.index}/{shard.num_shards}, " if shard else ""
    state = f"; {end.state}" if end.state else ""
    nothing = "" if end.is_new or end.num_failed else "nothing to do, "
    # torchrun takes any code but 0 for a crash, and ends the other ranks.
    exit_code = 4 if end.num_failed and launched_rank() is None else 0
    return CommandResult(
        status="partial" if end.num_failed else "done" if end.is_new else "nothing-to-do",
        exit_code=exit_code,
        run=run,
        metrics=end.facts,
        outputs={"features": str(outputs)},
        lines=(f"extract: {name}{nothing}{end.summary}{state} -> {outputs}",),
    )

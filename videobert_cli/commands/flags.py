"""The flags that several commands share, each spelt and explained once."""

from pathlib import Path
from typing import Annotated

import typer

from videobert_cli.commands.durations import parse_duration

RecipeArgument = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE", help="A recipe (*.yaml), or the name of one we ship: demo, howto100m, ..."
    ),
]
SetOption = Annotated[
    list[str],
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override a key of the recipe; repeatable, the last one wins."
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop; nothing is written.")]
PrintConfigOption = Annotated[
    bool, typer.Option("--print-config", help="Print the resolved recipe with each value's origin and stop.")
]
NoUpstreamOption = Annotated[
    bool, typer.Option("--no-upstream", help="Refuse to make the stages before this one.")
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Make stages anew that were made from other settings or inputs.")
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="A video in two splits is an error (exit 3), not a warning.")
]
TimeLimitOption = Annotated[
    float | None,
    typer.Option(
        "--time-limit",
        metavar="DURATION",
        parser=parse_duration,
        help="Save and stop (exit 75) after 90s, 45m, 2h30m or 11:59:00; the same command goes on.",
    ),
]
DeviceOption = Annotated[
    str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:N or mps.")
]
SeedOption = Annotated[
    int | None, typer.Option("--seed", min=0, max=2**31 - 1, metavar="N", help="Override the recipe's seed.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout, also on failure.")
]
QuietOption = Annotated[bool, typer.Option("-q", "--quiet", help="Only results, warnings and errors.")]
VerboseOption = Annotated[bool, typer.Option("-v", "--verbose", help="A line for every step of progress.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
ModelOption = Annotated[
    Path | None,
    typer.Option(
        "--model", metavar="DIR", help="A model directory made elsewhere, in place of the run's own."
    ),
]

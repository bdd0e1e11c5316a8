"""Features of files named on the command line, with no recipe."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from videobert_cli.core.features.extract import ExtractReport
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.video.manifest import videos_from_files
from videobert_cli.errors import MissingInputError, UsageError
from videobert_cli.pipeline.extraction import extract_reported
from videobert_cli.pipeline.reporter import Reporter
from videobert_cli.recipe.fields import overlay
from videobert_cli.recipe.origins import Origin, Origins
from videobert_cli.recipe.overrides import apply_overrides
from videobert_cli.runtime import StopRequest, pick_device


def extract_files(
    files: Sequence[Path],
    *,
    directory: Path,
    chosen: Mapping[str, str],
    overrides: Sequence[str],
    device: str,
    on_failed: Literal["keep", "retry"],
    stop: StopRequest,
    reporter: Reporter,
) -> ExtractReport:
    """Extract features of `files` into a store at `directory`.

    `chosen` are fields of `ExtractOptions` by their flags, `overrides` the `--set extract.KEY=VALUE`, which go before.

    Raises:
        UsageError: A chosen value is not one, or an override is of another section.
        MissingInputError: There is no such weights file.
        InputError: No file could be read.
    """
    options = _options(chosen, overrides=overrides)
    if isinstance(options.weights, Path) and not options.weights.is_file():
        raise MissingInputError(
            "there is no such weights file", at=f"--weights {options.weights}", fix="check the name"
        )

    return extract_reported(
        videos_from_files(files),
        options=options,
        directory=directory,
        device=pick_device(device),
        on_failed=on_failed,
        stop=stop,
        reporter=reporter,
    )


def _options(chosen: Mapping[str, str], *, overrides: Sequence[str]) -> ExtractOptions:
    origins = Origins(Origin(name="--set", has_lines=False), lines={})
    tree, problems = apply_overrides({"extract": chosen}, overrides, origins=origins)
    if problems:
        raise UsageError(
            problems[0].render(), at="--set", fix="--set extract.KEY=VALUE; docs/recipes.md lists every key"
        )
    if others := sorted(set(tree) - {"extract"}):
        raise UsageError(
            f"with --out there is no recipe, so there is no {others[0]!r} to set",
            at="--set",
            fix="set keys of `extract` alone, or write a recipe: videobert extract RECIPE",
        )
    try:
        given = overlay(ExtractOptions().settings(), tree["extract"])
        return ExtractOptions.model_validate_json(json.dumps(given), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        what = str(first.get("ctx", {}).get("error", "")) or f"{first['msg'].lower()}, got {first['input']!r}"
        is_flag = name in chosen and chosen[name] == tree["extract"][name]
        at = f"--{name}" if is_flag else f"--set extract.{name}"
        raise UsageError(
            what, at=at, fix="videobert extract --help; docs/recipes.md lists every key"
        ) from error

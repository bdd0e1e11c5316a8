"""The file of an ablation: variants of one recipe, each a list of overrides, and the seeds that each is run with."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError, field_validator

from videobert_cli.errors import RecipeError, UsageError
from videobert_cli.options import Options
from videobert_cli.recipe.load import load_recipe
from videobert_cli.recipe.origins import Origin
from videobert_cli.recipe.parse import parse_document

_SHARED_SECTIONS = ("run", "seed", "data", "extract")


class AblationOptions(Options):
    """What the file says."""

    seeds: tuple[int, ...] = Field(
        default=(0, 1, 2), min_length=1, description="Each variant is run with each."
    )
    metrics: tuple[str, ...] = Field(min_length=1, description="Columns of the table, names of `--json`.")
    variants: dict[str, tuple[str, ...]] = Field(
        min_length=1, description="Rows of the table, each with its overrides as `--set` takes them."
    )

    @field_validator("variants")
    @classmethod
    def _require_own_directories(cls, variants: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        slugs = [slug(name) for name in variants]
        if len(set(slugs)) < len(slugs) or not all(slugs):
            raise ValueError("two variants have names that differ in signs alone, or one has no letter")
        for name, overrides in variants.items():
            for override in overrides:
                if override.partition("=")[0].split(".")[0] in _SHARED_SECTIONS:
                    raise ValueError(
                        f"variant {name!r} sets {override!r}: run, seed, data and extract are shared by all"
                    )
        return variants


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """A checked ablation: `variants` are overrides by name."""

    seeds: tuple[int, ...]
    metrics: tuple[str, ...]
    variants: Mapping[str, tuple[str, ...]]


def slug(name: str) -> str:
    """Return a variant's name as part of a directory's.

    >>> slug("no centroid start (random)")
    'no-centroid-start-random'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def load_ablation(path: Path, *, recipe: Path, overrides: tuple[str, ...]) -> Ablation:
    """Return the ablation at `path`, each of its variants checked against the recipe with these overrides.

    Raises:
        UsageError: There is no readable file, or it does not say what an ablation does.
        RecipeError: A variant's override is wrong; `what` begins with its name.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the ablation cannot be read: {getattr(error, 'strerror', None) or 'no UTF-8 text'}",
            at=str(path),
            fix="--ablation FILE, as recipes/ablations/demo.yaml is one",
        ) from error
    document = parse_document(text, origin=Origin(name=path.name))
    problems = [problem.render() for problem in document.problems]
    options: AblationOptions | None = None
    if not problems:
        try:
            options = AblationOptions.model_validate_json(json.dumps(document.value))
        except ValidationError as error:
            problems = [
                f"{path.name}: {'.'.join(str(part) for part in found['loc'])}: {found['msg']}"
                for found in error.errors(include_url=False)
            ]
    if options is None:
        raise UsageError("\n".join(problems), at=str(path), fix="mend the lines above")
    for name, of_variant in options.variants.items():
        try:
            load_recipe(recipe, overrides=[*overrides, *of_variant])
        except RecipeError as error:
            raise RecipeError(f"variant {name!r}: {error.what}", at=str(path), fix=error.fix) from error
    return Ablation(seeds=options.seeds, metrics=options.metrics, variants=options.variants)

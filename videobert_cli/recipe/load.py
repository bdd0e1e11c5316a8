"""A recipe's file becomes a checked `Recipe`, or one error with all that is wrong with it."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from videobert_cli.errors import UsageError
from videobert_cli.recipe.fields import default_settings, keys_in, overlay, recipe_fields
from videobert_cli.recipe.origins import DEFAULT_ORIGIN, KeyPath, Origin, Origins, dotted
from videobert_cli.recipe.overrides import apply_overrides
from videobert_cli.recipe.parse import Document, parse_document
from videobert_cli.recipe.problems import Problem, recipe_error, validation_problems
from videobert_cli.recipe.schema import FINETUNE_TASKS, Recipe

MAX_BYTES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class LoadedRecipe:
    """A recipe and where it came from.

    `source_bytes` are the file's own bytes, `overrides` the `--set` values in order, `origins` says of every
    key of the resolved recipe (`pretrain.loop.num_steps`) whether it is from `recipe.yaml:14`, `--set #1` or
    `default`.
    """

    recipe: Recipe
    source_bytes: bytes
    path: Path
    overrides: tuple[str, ...]
    origins: Mapping[str, str]

    def command(self, stage: str, *, run: str | None = None) -> str:
        """Return the command that makes `stage` of this recipe, overrides included, as it is typed into a shell.

        `run` is another run directory than the recipe's.
        """
        kept = [override for override in self.overrides if run is None or not override.startswith("run=")]
        overrides = [*kept, f"run={run}"] if run else kept
        if stage in FINETUNE_TASKS:
            overrides = [
                *(o for o in overrides if not o.startswith("finetune.task=")),
                f"finetune.task={stage}",
            ]
            stage = "finetune"
        flags = [word for override in overrides for word in ("--set", override)]
        return shlex.join(["videobert", stage, str(self.path), *flags])


def load_recipe(path: Path, *, overrides: Sequence[str] = ()) -> LoadedRecipe:
    """Return the recipe at `path` with the overrides put in; what neither says has its default.

    Relative paths inside stay as they are written.

    Raises:
        RecipeError: The recipe or an override is not valid; `what` has one line for each problem.
        UsageError: There is no readable file at `path`; `resolve_recipe` answers better to a mistyped name.
    """
    source_bytes = _read_bytes(path)
    file = Origin(name=path.name)
    document, problems = _parse(source_bytes, file=file)
    origins = Origins(file, lines=document.lines)
    recipe, tree = _checked(document.value, overrides=overrides, origins=origins, problems=problems, at=path)
    return LoadedRecipe(
        recipe=recipe,
        source_bytes=source_bytes,
        path=path,
        overrides=tuple(overrides),
        origins=_leaf_origins(tree, origins=origins),
    )


def load_settings(given: Mapping[str, Any], *, overrides: Sequence[str] = (), name: str) -> Recipe:
    """Return the recipe that settings given without a file make, checked as a recipe is; `name` says where they are.

    Raises:
        RecipeError: A setting or an override is not valid.
    """
    origins = Origins(Origin(name=name, has_lines=False), lines={})
    return _checked(given, overrides=overrides, origins=origins, problems=[], at=Path(name))[0]


def _checked(
    given: Any, *, overrides: Sequence[str], origins: Origins, problems: list[Problem], at: Path
) -> tuple[Recipe, dict[str, Any]]:
    """Return the recipe and its tree with the overrides put in; raise all problems at once."""
    tree, override_problems = apply_overrides(
        given if isinstance(given, dict) else {}, overrides, origins=origins
    )
    found = [*problems, *override_problems]
    recipe: Recipe | None = None
    if isinstance(given, dict):
        try:
            recipe = _validate(tree)
        except ValidationError as error:
            found += validation_problems(error.errors(include_url=False), origins=origins)
    if recipe is None or found:
        raise recipe_error(found, path=at)
    return recipe, tree


def _read_bytes(path: Path) -> bytes:
    if not path.is_file():
        raise UsageError(
            "there is no recipe here",
            at=str(path),
            fix="give a recipe's .yaml file, or the name of one we ship: demo",
        )
    try:
        with path.open("rb") as stream:
            source_bytes = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"the recipe cannot be read: {error.strerror}",
            at=str(path),
            fix="make the file readable (chmod u+r)",
        ) from error
    if len(source_bytes) > MAX_BYTES:
        problem = Problem(
            origin=path.name,
            line=None,
            key="",
            message=f"the file has {path.stat().st_size:,} bytes, a recipe at most {MAX_BYTES:,}",
            suggestion="is this a recipe? List the videos in a CSV manifest, named by `data.videos`",
        )
        raise recipe_error([problem], path=path)
    return source_bytes


def _parse(source_bytes: bytes, *, file: Origin) -> tuple[Document, list[Problem]]:
    try:
        text = source_bytes.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = source_bytes.count(b"\n", 0, error.start) + 1
        message = f"the file is not UTF-8 text (byte {source_bytes[error.start]:#04x})"
        origin = file.at_line(line).text
        problem = Problem(origin=origin, line=line, key="", message=message, suggestion="save it as UTF-8")
        return Document(value=None, lines={}, problems=(), is_complete=False), [problem]
    document = parse_document(text, origin=file)
    problems = list(document.problems)
    if document.is_complete and not isinstance(document.value, dict):
        message = (
            "the recipe is empty"
            if document.value is None
            else "a recipe is keys with values, not a list or a text"
        )
        suggestion = "it needs `run:` and `data:` with `videos:`; its other keys: " + ", ".join(
            key for key in keys_in("") if key not in {"run", "data"}
        )
        problems.append(Problem(origin=file.name, line=None, key="", message=message, suggestion=suggestion))
    return document, problems


def _validate(tree: Mapping[str, Any]) -> Recipe:
    """Check the tree, defaults put in, against the schema.

    Through JSON, because pydantic's strict mode refuses "32" and true for a number in both ways, but only
    from JSON still makes a path of a text and a tuple of a list.
    """
    fields = recipe_fields()
    defaults = {
        key: value for key, value in default_settings().items() if key in tree or not fields[key].is_required
    }
    return Recipe.model_validate_json(json.dumps(overlay(defaults, tree)), strict=True)


def _leaf_origins(tree: Mapping[str, Any], *, origins: Origins) -> dict[str, str]:
    given = {dotted(path): origins.of(path).text for path in _leaves(tree, prefix=())}
    return {
        field.key: given.get(field.key, DEFAULT_ORIGIN)
        for field in recipe_fields().values()
        if not field.is_section
    }


def _leaves(tree: Mapping[str, Any], *, prefix: KeyPath) -> Iterator[KeyPath]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, prefix=(*prefix, key))
        else:
            yield (*prefix, key)

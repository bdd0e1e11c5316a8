"""`--set a.b=c`: all that overrides a recipe, read by the same rules and checked by the same schema."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from videobert_cli.recipe.fields import keys_in, recipe_fields
from videobert_cli.recipe.origins import KeyPath, Origin, Origins
from videobert_cli.recipe.parse import parse_value
from videobert_cli.recipe.problems import Problem, unknown_key


def apply_overrides(
    tree: Mapping[str, Any], overrides: Sequence[str], *, origins: Origins
) -> tuple[dict[str, Any], list[Problem]]:
    """Return the tree with each `KEY=VALUE` put in, the last one winning, and what is wrong with them.

    A whole section can be given as `{key: value}`; it is put in key by key. What the values may be is for the
    schema to say; here only keys, sections and YAML are checked. `origins` learns which override set what.
    """
    merged: dict[str, Any] = _plain_copy(tree)
    problems: list[Problem] = []
    for index, text in enumerate(overrides, start=1):
        origin = Origin(name=f"--set #{index}", has_lines=False)
        key, value, found = _read(text, origin=origin)
        problems += found
        if not found:
            _assign(merged, tuple(key.split(".")), value=value, origin=origin, origins=origins)
    return merged, problems


def _read(text: str, *, origin: Origin) -> tuple[str, Any, list[Problem]]:
    """Return key, value and problems of one override; key and value mean nothing where there are problems."""
    key, equals, raw = text.partition("=")
    key = key.strip()
    if not equals or not key:
        message = f"{text!r} is not KEY=VALUE"
        suggestion = "write it as --set pretrain.loop.num_steps=100"
        return (
            key,
            None,
            [Problem(origin=origin.name, line=None, key="", message=message, suggestion=suggestion)],
        )
    field = recipe_fields().get(key)
    if field is None:
        return key, None, [_no_such_key(key, origin=origin)]
    document = parse_value(raw, origin=origin)
    if document.problems:
        return key, None, [replace(problem, key=problem.key or key) for problem in document.problems]
    if field.is_section and not isinstance(document.value, Mapping):
        suggestion = f"set one of its keys: {', '.join(f'{key}.{name}' for name in keys_in(key))}"
        message = "this is a section, not a value"
        return (
            key,
            None,
            [Problem(origin=origin.name, line=None, key=key, message=message, suggestion=suggestion)],
        )
    return key, document.value, []


def _no_such_key(key: str, *, origin: Origin) -> Problem:
    whole = key.partition("[")[0]
    field = recipe_fields().get(whole)
    if field is not None and field.is_list:
        suggestion = f"give the whole list: --set {whole}=[first, second]"
        return Problem(origin=origin.name, line=None, key=key, message="unknown key", suggestion=suggestion)
    return unknown_key(tuple(key.split(".")), origin=origin.name, line=None)


def _assign(tree: dict[str, Any], path: KeyPath, *, value: Any, origin: Origin, origins: Origins) -> None:
    """Put `value` at `path`; a recipe with something else than a section on the way is reported elsewhere."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _assign(tree, (*path, key), value=inner, origin=origin, origins=origins)
        return
    section: Any = tree
    for key in path[:-1]:
        section = section.setdefault(key, {})
        if not isinstance(section, dict):
            return
    section[path[-1]] = value
    origins.record_override(path, origin=origin)


def _plain_copy(value: Any) -> Any:
    """Copy without sharing: two uses of one YAML alias must not change together."""
    if isinstance(value, Mapping):
        return {key: _plain_copy(inner) for key, inner in value.items()}
    return [_plain_copy(inner) for inner in value] if isinstance(value, list) else value

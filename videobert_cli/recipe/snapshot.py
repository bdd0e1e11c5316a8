"""What a run remembers of its recipe, and how two of them differ.

The resolved recipe is YAML with every default explicit; feeding it back gives the same recipe and the same
hash.
"""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from videobert_cli import artifacts
from videobert_cli.recipe.load import LoadedRecipe
from videobert_cli.recipe.origins import DEFAULT_ORIGIN
from videobert_cli.recipe.parse import resolve_plain
from videobert_cli.recipe.schema import Recipe

RECIPE_NAME = "recipe.yaml"
RESOLVED_NAME = "recipe.resolved.yaml"
OVERRIDES_NAME = "overrides.txt"
ENVIRONMENT_NAME = "environment.json"

_INDENT = "  "
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-")
_ABSENT = object()


def recipe_hash(recipe: Recipe) -> str:
    """Return the hash of all settings, defaults included: equal for a recipe and its resolved form."""
    return artifacts.hash_json(recipe.settings())


def resolved_yaml(recipe: Recipe) -> str:
    """Return the recipe as YAML with every default explicit."""
    return settings_yaml(recipe.settings())


def settings_yaml(settings: Mapping[str, Any]) -> str:
    """Return a tree of settings as YAML."""
    return "\n".join(text for text, _ in _lines(settings)) + "\n"


def print_config(loaded: LoadedRecipe) -> str:
    """Return the resolved recipe, each value's origin as a comment: a line, an override or the default."""
    lines = list(_lines(loaded.recipe.settings()))
    width = max((len(text) for text, key in lines if key and len(text) <= 60), default=0)
    shown = [
        f"{text:<{width}}  # {loaded.origins.get(key, 'default')}" if key else text for text, key in lines
    ]
    return "\n".join(shown) + "\n"


def write_snapshot(directory: Path, loaded: LoadedRecipe, *, environment: Mapping[str, Any]) -> None:
    """Write recipe.yaml (the file's bytes), recipe.resolved.yaml, overrides.txt and environment.json.

    Each line of overrides.txt can be pasted behind a command: `--set pretrain.loop.num_steps=100`.
    """
    overrides = "".join(shlex.join(["--set", override]) + "\n" for override in loaded.overrides)
    artifacts.publish_bytes(directory / RECIPE_NAME, loaded.source_bytes)
    artifacts.publish_text(directory / RESOLVED_NAME, resolved_yaml(loaded.recipe))
    artifacts.publish_text(directory / OVERRIDES_NAME, overrides)
    artifacts.publish_json(directory / ENVIRONMENT_NAME, dict(environment))


def difference(
    recorded: Mapping[str, Any], wanted: Mapping[str, Any], *, origins: Mapping[str, str] | None = None
) -> list[str]:
    """Return a line for every setting that differs, in the order of `wanted`, empty when none does.

    Both are trees of JSON values with the recipe's own keys (`{"pretrain": {"loop": {"num_steps": 100}}}`). A key that
    `recorded` lacks and `wanted` has by default came with a later version: its default does what was done before it.

    >>> difference({"seed": 0}, {"seed": 3, "new": [1]}, origins={"seed": "recipe.yaml:2"})
    ['seed: 0 (this run) -> 3 (recipe.yaml:2)', 'new: absent (this run) -> [1] (recipe)']
    """
    before, after = dict(_flatten(recorded)), dict(_flatten(wanted))
    lines = []
    for key in [*after, *(key for key in before if key not in after)]:
        old, new = before.get(key, _ABSENT), after.get(key, _ABSENT)
        if _is_same(old, new) or (old is _ABSENT and (origins or {}).get(key) == DEFAULT_ORIGIN):
            continue
        origin = f" ({(origins or {}).get(key, 'recipe')})" if new is not _ABSENT else ""
        lines.append(f"{key}: {_show(old)} (this run) -> {_show(new)}{origin}")
    return lines


# --- YAML out: read back by parse.py, so quoted by its rules and not by PyYAML's --------------------------


def _lines(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the lines of a tree of settings, each with its dotted key, empty for the head of a section."""
    yield from _section_lines(settings, prefix="", indent="")


def _section_lines(settings: Mapping[str, Any], *, prefix: str, indent: str) -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield f"{indent}{name}:", ""
            yield from _section_lines(value, prefix=f"{key}.", indent=indent + _INDENT)
        else:
            yield f"{indent}{name}: {scalar_text(value)}", key


def scalar_text(value: Any) -> str:
    """Return a value (not a section, but a list of them) as it is written in a recipe, on one line."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {scalar_text(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, Sequence):
        return f"[{', '.join(scalar_text(item) for item in value)}]"
    return json.dumps(value, allow_nan=False)


def _text(value: str) -> str:
    """Return a text as a YAML scalar: bare where it is plainly text, else in double quotes."""
    is_plain = set(value) <= _PLAIN and isinstance(resolve_plain(value), str) and value[0] not in "-."
    if is_plain:
        return value
    return '"' + "".join(_escaped(char) for char in value) + '"'


def _escaped(char: str) -> str:
    # Not JSON's escapes: YAML reads the two halves of a surrogate pair as two characters.
    if char in '"\\':
        return f"\\{char}"
    return char if char.isprintable() else f"\\U{ord(char):08x}"


def _flatten(tree: Mapping[str, Any], *, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, prefix=f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", list(value) if isinstance(value, tuple) else value


def _is_same(old: Any, new: Any) -> bool:
    # 1 and 1.0 are one setting after a trip through JSON; true and 1 are not.
    return bool(old == new) and isinstance(old, bool) == isinstance(new, bool)


def _show(value: Any) -> str:
    return "absent" if value is _ABSENT else scalar_text(value)

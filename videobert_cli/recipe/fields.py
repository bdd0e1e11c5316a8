"""The recipe's keys as the schema declares them: what is legal, what the default, in the user's words."""

import functools
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeGuard, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from videobert_cli.recipe.schema import Recipe

_NOUNS: Mapping[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    Path: "a path",
    type(None): "null",
}
_SIGNS = ((Gt, "gt", ">"), (Ge, "ge", ">="), (Lt, "lt", "<"), (Le, "le", "<="))


@dataclass(frozen=True, kw_only=True)
class RecipeField:
    """One key of the recipe: a section of keys, or a value.

    `kinds` are the types a value may have (`Path`, `int`, `NoneType`, ...; those of its items for a list),
    `choices` the words it may be, `default` its default as a JSON value as it holds in this very place. Where a list's
    items are sections, `item_fields` are the keys of one, by name.
    """

    key: str
    description: str
    is_section: bool
    is_required: bool
    is_list: bool
    kinds: frozenset[Any]
    choices: tuple[str, ...]
    default: Any
    legal: str
    item_fields: Mapping[str, "RecipeField"] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the last part of the key."""
        return self.key.rpartition(".")[2]

    @property
    def section(self) -> str:
        """Return the key of the section that holds this key, empty at the top."""
        return self.key.rpartition(".")[0]


@functools.cache
def recipe_fields() -> Mapping[str, RecipeField]:
    """Return all keys of a recipe by dotted name, sections before what they hold, in the schema's order."""
    return {field.key: field for field in _walk(Recipe, prefix="", defaults={})}


@functools.cache
def default_settings() -> Mapping[str, Any]:
    """Return the tree of all defaults: what holds where the recipe says nothing; without required keys."""
    return _section_defaults(Recipe, given={})


def keys_in(section: str) -> list[str]:
    """Return the names of the keys of a section, empty for the top; none where it is not a section."""
    return [field.name for field in recipe_fields().values() if field.section == section]


def overlay(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return `given` with what it does not say taken from `defaults`, section by section.

    A section's default may differ from its model's (`finetune.optimizer` warms up, `pretrain.optimizer` does
    not): a recipe that sets one key of such a section must not lose the others.
    """
    merged = dict(defaults)
    for key, value in given.items():
        default = merged.get(key)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            merged[key] = overlay(default, value)
        else:
            merged[key] = value
    return merged


def _walk(model: type[BaseModel], *, prefix: str, defaults: Mapping[str, Any]) -> Iterator[RecipeField]:
    effective = _section_defaults(model, given=defaults)
    for name, info in model.model_fields.items():
        key = f"{prefix}{name}"
        if _is_section(info.annotation):
            yield _field(key, info=info, default=None, is_section=True)
            yield from _walk(info.annotation, prefix=f"{key}.", defaults=effective.get(name, {}))
        else:
            yield _field(key, info=info, default=effective.get(name), is_section=False)


def _section_defaults(model: type[BaseModel], *, given: Mapping[str, Any]) -> dict[str, Any]:
    defaults: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        if _is_section(info.annotation):
            value = info.get_default(call_default_factory=False)
            inner = value.model_dump(mode="json") if isinstance(value, BaseModel) else {}
            defaults[name] = _section_defaults(info.annotation, given=inner)
        elif not info.is_required():
            defaults[name] = _json(info.get_default())
    return overlay(defaults, given)


def _field(key: str, *, info: FieldInfo, default: Any, is_section: bool) -> RecipeField:
    annotation: Any = info.annotation
    is_list = get_origin(annotation) in {tuple, list}
    if is_list and _is_section(get_args(annotation)[0]):
        return _list_of_sections(key, info=info, item=get_args(annotation)[0], default=default)
    parts = _parts(get_args(annotation)[0] if is_list else annotation)
    kinds = frozenset(part for part in parts if not isinstance(part, str))
    choices = tuple(part for part in parts if isinstance(part, str))
    return RecipeField(
        key=key,
        description=info.description or "",
        is_section=is_section,
        is_required=info.is_required(),
        is_list=is_list,
        kinds=kinds,
        choices=choices,
        default=default,
        legal="a section of keys" if is_section else _legal(info, parts=parts, is_list=is_list),
    )


def _list_of_sections(key: str, *, info: FieldInfo, item: type[BaseModel], default: Any) -> RecipeField:
    defaults = _section_defaults(item, given={})
    fields = {
        name: _field(f"{key}[].{name}", info=inner, default=defaults.get(name), is_section=False)
        for name, inner in item.model_fields.items()
    }
    return RecipeField(
        key=key,
        description=info.description or "",
        is_section=False,
        is_required=info.is_required(),
        is_list=True,
        kinds=frozenset(),
        choices=(),
        default=default,
        legal=f"a list, each a section with the keys {', '.join(fields)}",
        item_fields=fields,
    )


def _parts(annotation: Any) -> list[Any]:
    """Return the types and words that an annotation stands for, null last."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _parts(get_args(annotation)[0])
    if origin is Literal:
        return [str(word) for word in get_args(annotation)]
    if origin in {Union, types.UnionType}:
        parts = [part for argument in get_args(annotation) for part in _parts(argument)]
        return sorted(parts, key=lambda part: part is type(None))
    return [annotation]


def _legal(info: FieldInfo, *, parts: list[Any], is_list: bool) -> str:
    choices = [part for part in parts if isinstance(part, str)]
    nouns = [_noun(part) for part in parts if not isinstance(part, str)]
    ranges = " and ".join(
        f"{sign} {getattr(item, attribute)}"
        for item in (*info.metadata, *_inner_metadata(info.annotation))
        for kind, attribute, sign in _SIGNS
        if isinstance(item, kind)
    )
    if ranges and nouns:
        nouns[0] += f" {ranges}"
    words = [f"one of {', '.join(choices)}"] if len(choices) > 1 else choices
    text = " or ".join(words + nouns)
    has_minimum = any(isinstance(item, MinLen) for item in info.metadata)
    if is_list:
        return f"a list, not empty, each {text}" if has_minimum else f"a list, each {text}"
    return f"{text}, not empty" if has_minimum else text


def _inner_metadata(annotation: Any) -> list[Any]:
    """Return the ranges of the parts of a union, such as `auto` or an integer from 1 to 256."""
    annotated = [part for part in get_args(annotation) if get_origin(part) is Annotated]
    fields = [item for part in annotated for item in get_args(part)[1:] if isinstance(item, FieldInfo)]
    return [item for field in fields for item in field.metadata]


def _noun(kind: Any) -> str:
    return _NOUNS.get(kind, getattr(kind, "__name__", str(kind)))


def _is_section(annotation: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _json(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return [_json(item) for item in value] if isinstance(value, (tuple, list)) else value

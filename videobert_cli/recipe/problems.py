"""What is wrong with a recipe, in the user's words: every problem with its line, its key and a way out."""

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videobert_cli.errors import RecipeError
from videobert_cli.recipe.fields import RecipeField, keys_in, recipe_fields
from videobert_cli.recipe.origins import KeyPath, Origins, dotted

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_SIMILAR = 0.6
# A guess across sections has many more keys to hit by chance than one inside a section.
_SIMILAR_ELSEWHERE = 0.8
_MAX_SHOWN_TEXT = 60
_MAX_SHOWN_PROBLEMS = 100
_TRUTH_WORDS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong: `origin` is the place as shown, `line` only sorts, `key` may be empty."""

    origin: str
    line: int | None
    key: str
    message: str
    suggestion: str | None = None

    def render(self) -> str:
        """Return the problem as one line: `recipe.yaml:14: key: message -> suggestion`."""
        head = ": ".join(part for part in (self.origin, _shorten(self.key), self.message) if part)
        return f"{head} -> {self.suggestion}" if self.suggestion else head


def recipe_error(problems: Iterable[Problem], *, path: Path) -> RecipeError:
    """Return the error that lists all `problems`, those of the file by line, then those of the overrides."""
    ordered = sorted(problems, key=_place)
    lines = dict.fromkeys(problem.render() for problem in ordered)
    if len(lines) > _MAX_SHOWN_PROBLEMS:
        lines = dict.fromkeys([*list(lines)[:_MAX_SHOWN_PROBLEMS], "and more"])
    place = "--set" if all(problem.origin.startswith("--set") for problem in ordered) else "lines"
    fix = (
        f"mend the {place} above, then run the same command; docs/recipes.md lists every key, "
        "`videobert pretrain demo --print-config` shows them all with a value"
    )
    return RecipeError("\n".join(lines), at=str(path), fix=fix)


def _place(problem: Problem) -> tuple[int, int]:
    """Return what a problem is sorted by: the file's by line, then the overrides' by number."""
    if problem.origin.startswith("--set"):
        return int(problem.origin.rpartition("#")[2]), 0
    return 0, problem.line or 0


def validation_problems(errors: "Sequence[ErrorDetails]", *, origins: Origins) -> list[Problem]:
    """Return pydantic's errors in the user's words, one for each key or list item.

    A required key is not reported as missing where a misspelt key beside it is already told to be that key.
    """
    problems: dict[KeyPath, Problem] = {}
    # A guess costs 0.4 ms: 5,000 unknown keys would take two seconds.
    first = sorted(errors, key=lambda error: origins.of(_locate(error["loc"])[0]).line or 0)
    for error in sorted(first[: _MAX_SHOWN_PROBLEMS + 1], key=lambda error: len(error["loc"]), reverse=True):
        path, field = _locate(error["loc"])
        is_told = any(known[: len(path)] == path for known in problems) and error["type"] != "value_error"
        if not is_told:
            problems[path] = _problem(error, path=path, field=field, origins=origins)
    meant = {text for problem in problems.values() for text in _meant(problem)}
    return [
        problem
        for problem in problems.values()
        if not (problem.message.startswith("missing") and problem.key in meant)
    ]


def unknown_key(path: KeyPath, *, origin: str, line: int | None) -> Problem:
    """Return the problem of a key that the recipe does not have, with the key that was probably meant."""
    return Problem(
        origin=origin, line=line, key=dotted(path), message="unknown key", suggestion=_guess_key(path)
    )


def value_problem(value: Any, *, field: RecipeField, key: str) -> tuple[str, str | None]:
    """Return message and suggestion for a value that `field` does not allow; `key` may be an item of it."""
    is_item = key != field.key
    legal = field.legal
    if field.is_list and is_item:
        legal = legal.partition("each ")[2]
    return f"must be {legal}, got {_given(value)}", _guess_value(value, field=field, is_item=is_item)


def _locate(loc: tuple[int | str, ...]) -> tuple[KeyPath, RecipeField | None]:
    """Cut pydantic's location after the key or list item it is about; the rest names a branch of a union."""
    fields = recipe_fields()
    for length in range(1, len(loc) + 1):
        field = fields.get(".".join(map(str, loc[:length])))
        if field is None:
            return loc[:length], None
        if not field.is_section:
            is_item = field.is_list and len(loc) > length and isinstance(loc[length], int)
            if is_item and field.item_fields and len(loc) > length + 1:
                return loc[: length + 2], field.item_fields.get(str(loc[length + 1]))
            return loc[: length + 1 if is_item else length], field
    return loc, fields.get(dotted(loc))


def _problem(error: "ErrorDetails", *, path: KeyPath, field: RecipeField | None, origins: Origins) -> Problem:
    origin = origins.of(path)
    key = dotted(path)
    if error["type"] == "extra_forbidden":
        return unknown_key(path, origin=origin.text, line=origin.line)
    if error["type"] == "missing":
        # A key that is not there has no line: its section has, and at the top only the file itself.
        origin = origins.written(path[:-1])
        text = f"missing: {field.description}" if field else "missing"
        return Problem(
            origin=origin.text, line=origin.line, key=key, message=text, suggestion=_example(field)
        )
    if error["type"] in {"value_error", "assertion_error"} or field is None:
        message = str(error.get("ctx", {}).get("error", error["msg"]))
        return Problem(origin=origin.text, line=origin.line, key=key, message=message)
    if field.is_section:
        message = f"must be a section (its keys indented below it), got {_given(error['input'])}"
        suggestion = f"its keys: {', '.join(keys_in(field.key))}; or remove the line"
        return Problem(origin=origin.text, line=origin.line, key=key, message=message, suggestion=suggestion)
    message, guess = value_problem(error["input"], field=field, key=key)
    return Problem(origin=origin.text, line=origin.line, key=key, message=message, suggestion=guess)


def _example(field: RecipeField | None) -> str | None:
    if field is None:
        return None
    if not field.is_section:
        return f"add `{field.name}:`, {field.legal}"
    required = [name for name in keys_in(field.key) if recipe_fields()[f"{field.key}.{name}"].is_required]
    return f"add a section `{field.name}:`" + (f" with `{required[0]}:`" if required else "")


def _meant(problem: Problem) -> list[str]:
    """Return the full keys that a suggestion of `problem` names."""
    if problem.message != "unknown key" or not (problem.suggestion or "").startswith("did you mean "):
        return []
    section = problem.key.rpartition(".")[0]
    named = (problem.suggestion or "").removeprefix("did you mean ").rstrip("?").split(" or ")
    return [f"{section}.{name}" if section else name for name in named] + named


def _guess_key(path: KeyPath) -> str:
    *parents, last = map(str, path)
    section = ".".join(parents)
    here = keys_in(section)
    if (items := recipe_fields().get(".".join(parents[:-1]))) is not None and items.item_fields:
        near = difflib.get_close_matches(last, list(items.item_fields), n=1, cutoff=_SIMILAR)
        return f"did you mean {near[0]}?" if near else f"legal keys: {', '.join(items.item_fields)}"
    elsewhere = _elsewhere(section=section, accept=lambda name: name == last)
    near = difflib.get_close_matches(last, here, n=1, cutoff=_SIMILAR)
    if not elsewhere and not near:
        names = sorted({field.name for field in recipe_fields().values()})
        close = difflib.get_close_matches(last, names, n=1, cutoff=_SIMILAR_ELSEWHERE)
        elsewhere = _elsewhere(section=section, accept=lambda name: name in close)
    if elsewhere or near:
        return f"did you mean {' or '.join(elsewhere or near)}?"
    if not here:
        return (
            f"{section} is a value, not a section"
            if section in recipe_fields()
            else _guess_key(tuple(parents))
        )
    return f"legal keys {f'of {section}' if section else 'at the top'}: {', '.join(here)}"


def _elsewhere(*, section: str, accept: Callable[[str], bool]) -> list[str]:
    """Return the full keys of other sections whose name is accepted: the two least deep of the nearest."""
    fields = [field for field in recipe_fields().values() if accept(field.name) and field.section != section]

    def distance(field: RecipeField) -> int:
        ours, theirs = section.split("."), field.section.split(".")
        shared = next(
            (i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b),
            min(len(ours), len(theirs)),
        )
        return -shared

    nearest = min(map(distance, fields), default=0)
    near = [field.key for field in fields if distance(field) == nearest]
    return sorted(near, key=lambda key: key.count("."))[:2]


def _guess_value(value: Any, *, field: RecipeField, is_item: bool) -> str | None:
    if field.item_fields and not isinstance(value, (list, dict)) and value is not None:
        required = next(inner.name for inner in field.item_fields.values() if inner.is_required)
        written = f"{{{required}: {value}}}"
        return f"write {written}" if is_item else f"write [{written}]"
    if field.is_list and not is_item:
        return None if isinstance(value, (list, dict)) or value is None else f"write [{value}]"
    if isinstance(value, str):
        return _guess_text(value, field=field)
    if isinstance(value, (int, float)) and field.kinds & {str, Path}:
        shown = str(value).lower() if isinstance(value, bool) else value
        return f'write "{shown}" in quotes'
    if isinstance(value, float) and int in field.kinds and value.is_integer():
        return f"write {int(value)}"
    if isinstance(value, int) and bool in field.kinds and value in {0, 1}:
        return f"write {'true' if value else 'false'}"
    return None


def _guess_text(value: str, *, field: RecipeField) -> str | None:
    if type(None) in field.kinds and value.lower() in {"none", "nil", "never"}:
        return "write null"
    if bool in field.kinds and value.lower() in _TRUTH_WORDS | {"true": "true", "false": "false"}:
        return f"write {_TRUTH_WORDS.get(value.lower(), value.lower())} without quotes"
    if field.kinds & {int, float} and (number := _number(value)) is not None:
        is_whole = int in field.kinds and number.is_integer()
        return f"write {int(number) if is_whole else number} without quotes"
    near = difflib.get_close_matches(value, field.choices, n=1, cutoff=_SIMILAR)
    return f"did you mean {near[0]}?" if near else None


def _number(text: str) -> float | None:
    try:
        number = float(text.replace("_", "").replace(",", ""))
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None


def _given(value: Any) -> str:
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a section of keys"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, str):
        return f"the text {_shorten(value)!r}"
    return str(value)


def _shorten(text: str) -> str:
    # A line break or a terminal's escape in a hostile key must not break the one-line form.
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= _MAX_SHOWN_TEXT else f"{text[:_MAX_SHOWN_TEXT]}..."

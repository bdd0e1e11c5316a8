"""A sweep's file: which keys of a recipe are tried with which values, how often, and what is to be better.

```yaml
num_trials: 20
metric: loss                # a number of the validations in metrics.jsonl
direction: minimize
pruner: median              # or hyperband, none
space:
  pretrain.optimizer.learning_rate: {float: [1e-5, 1e-2], log: true}
  pretrain.model.num_layers: {int: [1, 4]}
  pretrain.model.softmax: {choice: [joint, per_modality]}
```
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from videobert_cli.errors import RecipeError, UsageError
from videobert_cli.recipe.fields import recipe_fields
from videobert_cli.recipe.load import MAX_BYTES, load_recipe
from videobert_cli.recipe.origins import KeyPath, Origin, dotted
from videobert_cli.recipe.parse import Document, parse_document
from videobert_cli.recipe.problems import Problem, recipe_error, unknown_key
from videobert_cli.recipe.snapshot import scalar_text

Kind = Literal["choice", "int", "float"]
Direction = Literal["minimize", "maximize"]
Pruner = Literal["median", "hyperband", "none"]
Sampler = Literal["tpe", "random"]

_KINDS: tuple[Kind, ...] = ("choice", "int", "float")
_WORDS: Mapping[str, tuple[str, ...]] = {
    "direction": ("minimize", "maximize"),
    "pruner": ("median", "hyperband", "none"),
    "sampler": ("tpe", "random"),
}
_KEYS = ("num_trials", "metric", *_WORDS, "space")


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """The values of one key: `values` are all choices, or the least and the greatest number."""

    key: str
    kind: Kind
    values: tuple[Any, ...]
    is_log: bool = False
    step: float | None = None

    def record(self) -> dict[str, Any]:
        """Return the dimension as it is written in the file."""
        more = {"log": True} if self.is_log else {"step": self.step} if self.step is not None else {}
        return {self.kind: list(self.values), **more}


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A sweep's file, checked; `path` is where it lies, its name names the sweep."""

    path: Path
    num_trials: int
    metric: str
    direction: Direction
    pruner: Pruner
    sampler: Sampler
    space: tuple[Dimension, ...]

    def record(self) -> dict[str, Any]:
        """Return what a sweep cannot change when it goes on; the number of trials it can."""
        return {
            "metric": self.metric,
            "direction": self.direction,
            "pruner": self.pruner,
            "sampler": self.sampler,
            "space": {dimension.key: dimension.record() for dimension in self.space},
        }


def load_sweep(path: Path, *, recipe: Path, overrides: Sequence[str]) -> Sweep:
    """Return the sweep at `path`, each key and value of its space tried in the recipe.

    Raises:
        RecipeError: The file is not valid, or the recipe takes one of the values for none; all problems at once.
        UsageError: There is no readable file at `path`.
    """
    document = _parsed(path)
    reading = _Reading(document, file=Origin(name=path.name))
    sweep = reading.sweep(path)
    if not reading.problems:
        reading.problems += _recipe_problems(sweep, reading=reading, recipe=recipe, overrides=overrides)
    if reading.problems:
        raise RecipeError(
            recipe_error(reading.problems, path=path).what,
            at=str(path),
            fix="mend the lines above, then run the same command; docs/sweeps.md shows a sweep",
        )
    return sweep


def setting(key: str, value: Any) -> str:
    """Return a value as an override of the recipe."""
    return f"{key}={scalar_text(value)}"


def _parsed(path: Path) -> Document:
    try:
        with path.open("rb") as stream:
            text = stream.read(MAX_BYTES + 1)[:MAX_BYTES].decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(
            f"the sweep cannot be read: {reason}",
            at=str(path),
            fix="give a sweep's .yaml file (docs/sweeps.md)",
        ) from error
    return parse_document(text, origin=Origin(name=path.name))


def _recipe_problems(
    sweep: Sweep, *, reading: "_Reading", recipe: Path, overrides: Sequence[str]
) -> Iterator[Problem]:
    """Yield a problem for each key that the recipe has not and each value that it does not take."""
    fields = recipe_fields()
    for dimension in sweep.space:
        path = ("space", dimension.key)
        origin = reading.origin(path)
        field = fields.get(dimension.key)
        if field is None or field.is_section:
            yield unknown_key(tuple(dimension.key.split(".")), origin=origin.text, line=origin.line)
            continue
        for value in dimension.values:
            try:
                load_recipe(recipe, overrides=[*overrides, setting(dimension.key, value)])
            except RecipeError as error:
                # `--set #3: KEY: what is wrong`: the place is the sweep's, not an override's.
                what = error.what.splitlines()[0].partition(": ")[2].removeprefix(f"{dimension.key}: ")
                yield reading.problem(path, f"{scalar_text(value)}: {what}")
                break


class _Reading:
    """A sweep's file on its way to a `Sweep`; what is wrong is collected."""

    def __init__(self, document: Document, *, file: Origin) -> None:
        self._lines = document.lines
        self._file = file
        self.problems: list[Problem] = list(document.problems)
        self._tree: Mapping[str, Any] = document.value if isinstance(document.value, dict) else {}
        if document.is_complete and not isinstance(document.value, dict):
            self._wrong((), f"a sweep is keys with values: {', '.join(_KEYS)}")

    def origin(self, path: KeyPath) -> Origin:
        """Return where a key is."""
        line = self._lines.get(path)
        return self._file if line is None else self._file.at_line(line)

    def problem(self, path: KeyPath, message: str) -> Problem:
        """Return a problem of a key."""
        origin = self.origin(path)
        return Problem(origin=origin.text, line=origin.line, key=dotted(path), message=message)

    def sweep(self, path: Path) -> Sweep:
        """Return the sweep; it means nothing where there are problems."""
        for key in self._tree:
            if key not in _KEYS:
                self._wrong((key,), f"unknown key; its keys: {', '.join(_KEYS)}")
        space = self._tree.get("space")
        if not isinstance(space, dict) or not space:
            self._wrong(("space",), "the space is empty: name at least one key of the recipe with its values")
            space = {}
        words = {key: self._word(key) for key in _WORDS}
        return Sweep(
            path=path,
            num_trials=self._count("num_trials"),
            metric=self._metric(),
            direction=words["direction"],  # type: ignore[arg-type]
            pruner=words["pruner"],  # type: ignore[arg-type]
            sampler=words["sampler"],  # type: ignore[arg-type]
            space=tuple(
                found
                for key, given in space.items()
                if (found := self._dimension(str(key), given)) is not None
            ),
        )

    def _wrong(self, path: KeyPath, message: str) -> None:
        self.problems.append(self.problem(path, message))

    def _word(self, key: str) -> str:
        value = self._tree.get(key, _WORDS[key][0])
        if value not in _WORDS[key]:
            self._wrong((key,), f"must be {' or '.join(_WORDS[key])}, got {value!r}")
        return str(value)

    def _count(self, key: str) -> int:
        value: Any = self._tree.get(key)
        if not _is_number(value, int) or value < 1:
            self._wrong((key,), "how many trials: a whole number >= 1")
            return 1
        return int(value)

    def _metric(self) -> str:
        value = self._tree.get("metric", "loss")
        if not isinstance(value, str) or not value:
            self._wrong(("metric",), "must be the name of a number of the validations, such as loss")
        return str(value)

    def _dimension(self, key: str, given: Any) -> Dimension | None:
        path: KeyPath = ("space", key)
        kinds = [kind for kind in _KINDS if isinstance(given, dict) and kind in given]
        if len(kinds) != 1:
            self._wrong(path, "give {choice: [...]}, {int: [low, high]} or {float: [low, high]}")
            return None
        kind = kinds[0]
        values, is_log, step = given[kind], given.get("log", False), given.get("step")
        unknown = [name for name in given if name not in {kind, "log", "step"}]
        problem = (
            f"unknown key {unknown[0]!r}; {kind} may have log and step"
            if unknown
            else _choice_problem(values, is_log=is_log, step=step)
            if kind == "choice"
            else _range_problem(values, kind=kind, is_log=is_log, step=step)
        )
        if problem:
            self._wrong(path, problem)
            return None
        return Dimension(key=key, kind=kind, values=tuple(values), is_log=is_log, step=step)


def _is_number(value: Any, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _choice_problem(values: Any, *, is_log: Any, step: Any) -> str | None:
    if not isinstance(values, list) or not values:
        return "choice is a list of at least one value"
    if is_log or step is not None:
        return "log and step are for numbers between two ends"
    texts = [scalar_text(value) if not isinstance(value, dict) else "" for value in values]
    if "" in texts:
        return "a choice is a value, not a section of keys"
    return "a choice is there twice" if len(set(texts)) < len(texts) else None


def _range_problem(values: Any, *, kind: Kind, is_log: Any, step: Any) -> str | None:
    legal: tuple[type, ...] = (int,) if kind == "int" else (int, float)
    noun = "whole numbers" if kind == "int" else "numbers"
    if not isinstance(values, list) or len(values) != 2 or not all(_is_number(v, legal) for v in values):
        return f"{kind} is [low, high], two {noun}"
    low, high = values
    if low >= high:
        return f"low ({low}) must be below high ({high})"
    if not isinstance(is_log, bool):
        return "log is true or false"
    if is_log and low <= 0:
        return f"with log: true, low must be above 0, got {low}"
    if step is not None and (is_log or not _is_number(step, legal) or step <= 0):
        return f"step is one of the {noun} above 0, without log"
    return None

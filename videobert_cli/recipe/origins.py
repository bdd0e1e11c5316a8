"""Where each value of a recipe came from: a line of the file, a `--set`, or the defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]

# Of a value that neither the recipe nor an override gives.
DEFAULT_ORIGIN = "default"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """One place: `name` is the file or `--set #1`, `line` counts from 1, None where there is none."""

    name: str
    line: int | None = None
    has_lines: bool = True

    @property
    def text(self) -> str:
        """Return the place as it is shown: `recipe.yaml:14`, `recipe.yaml` or `--set #1`."""
        return self.name if self.line is None else f"{self.name}:{self.line}"

    def at_line(self, line: int) -> "Origin":
        """Return the same place at another line; an override has no lines and stays as it is."""
        return replace(self, line=line) if self.has_lines else self


def dotted(path: KeyPath) -> str:
    """Return a path as it is written in messages and after `--set`.

    >>> dotted(("evaluate", "tasks", 1))
    'evaluate.tasks[1]'
    """
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


class Origins:
    """The origins of all values that a recipe and its overrides give, by path."""

    def __init__(self, file: Origin, *, lines: Mapping[KeyPath, int]) -> None:
        self._file = file
        self._known = {path: file.at_line(line) for path, line in lines.items()}
        self._overrides: dict[KeyPath, Origin] = {}

    def record_override(self, path: KeyPath, *, origin: Origin) -> None:
        """Note that `path` and everything below it now comes from an override."""
        for known in [known for known in self._known if known[: len(path)] == path]:
            del self._known[known]
        for known in [known for known in self._overrides if known[: len(path)] == path]:
            del self._overrides[known]
        self._overrides[path] = origin

    def written(self, path: KeyPath) -> Origin:
        """Return where the file itself has `path`; the file, without a line, where it has not."""
        return self._known.get(path, self._file)

    def of(self, path: KeyPath) -> Origin:
        """Return the origin of a value or a section, else of the nearest section above it.

        A section that an override changed has the last override's origin: what is wrong with the section as a
        whole came with it.
        """
        exact = self._overrides.get(path)
        below = [origin for known, origin in self._overrides.items() if known[: len(path)] == path]
        for origin in (exact, below[-1] if below and path else None, self._known.get(path)):
            if origin is not None:
                return origin
        if not path:
            return self._file
        if any(known[: len(path)] == path for known in self._known):
            return next(origin for known, origin in self._known.items() if known[: len(path)] == path)
        return self.of(path[:-1])

"""YAML text to plain values with the line of every key: YAML 1.2's scalars, and none of YAML's surprises.

Stock PyYAML reads `1e-4` as text, `1:30` as 90, `no` as False and `010` as 8, keeps the last of two equal
keys, and walks into alias bombs and 20,000 brackets. Here PyYAML only splits the text into events; the values
are built from those events in one pass that counts depth, nodes and aliases as it goes.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from videobert_cli.recipe.origins import KeyPath, Origin, dotted
from videobert_cli.recipe.problems import Problem

MAX_DEPTH = 50
MAX_ALIASES = 100
# Pure-Python PyYAML needs 25 us an event: 10,000 nodes answer within a second on a slow machine.
MAX_NODES = 10_000
# No number of a recipe is longer; Python refuses to read integers of more than 4,300 digits.
_MAX_NUMBER_LENGTH = 100

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

_HINTS = (
    ("\\t", "indent with spaces, not tabs"),
    ("mapping values are not allowed", "put a text that holds `: ` in quotes, or mend the indentation"),
    ("expected ':'", "a key is followed by a colon and a space"),
    ("expected <block end>", "mend the indentation: keys of one section start in the same column"),
    ("expected '<document start>'", "put a text that starts with a bracket or a quote in quotes"),
    ("found unexpected end of stream", "close the quote"),
    ("expected ',' or", "close the bracket, and put commas between the items"),
    ("cannot start any token", "put a text that starts with this character in quotes"),
)


@dataclass(frozen=True, kw_only=True)
class Document:
    """What a YAML text says.

    `value` is None for an empty text and where reading had to stop; `lines` has the line, from 1, of every
    key and list item by its path; `is_complete` is False where reading stopped at a fault that hides the
    rest.
    """

    value: Any
    lines: dict[KeyPath, int]
    problems: tuple[Problem, ...]
    is_complete: bool


class _FatalError(Exception):
    """Reading cannot go on; carries the one problem to show."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def resolve_plain(text: str) -> Any:
    """Return what a scalar without quotes means in YAML 1.2: null, a truth value, a number or a text.

    >>> [resolve_plain(text) for text in ("1e-4", "010", "0o10", "1:30", "no", "true", "~", "1_000")]
    [0.0001, 10, 8, '1:30', 'no', True, None, '1_000']
    """
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if len(text) > _MAX_NUMBER_LENGTH:
        return text
    for pattern, base in ((_DECIMAL, 10), (_OCTAL, 8), (_HEXADECIMAL, 16)):
        if pattern.fullmatch(text):
            return int(text, base)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INFINITE.fullmatch(text):
        return float(text.replace(".", "", 1))
    return text


def parse_document(text: str, *, origin: Origin) -> Document:
    """Return the values of a YAML text; never raises on a bad one.

    `origin` says where the text comes from; where it has a line, problems get the line of the text they are
    about.
    """
    builder = _Builder(text, origin=origin)
    try:
        value = builder.document()
    except _FatalError as error:
        problems = (*builder.problems, error.problem)
        return Document(value=None, lines=builder.lines, problems=problems, is_complete=False)
    return Document(value=value, lines=builder.lines, problems=tuple(builder.problems), is_complete=True)


def parse_value(text: str, *, origin: Origin) -> Document:
    """Return the value of an override, by the same rules as a recipe's; never raises on a bad one.

    What does not start with a bracket, a brace or a quote is one scalar to its end, so that a colon or a hash
    in it is text: `--set evaluate.template=first: [MASK] # it`.
    """
    text = text.strip()
    if text.startswith(("[", "{", '"', "'")):
        return parse_document(text, origin=origin)
    builder = _Builder("", origin=origin)
    value = builder.scalar(text, is_plain=True, path=(), line=1)
    return Document(value=value, lines={}, problems=tuple(builder.problems), is_complete=True)


class _Builder:
    """Builds the values of one document from PyYAML's events."""

    def __init__(self, text: str, *, origin: Origin) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[Problem] = []
        self._text = text
        self._origin = origin
        self._events = self._read_events()
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._open_anchors: set[str] = set()
        self._num_nodes = 0
        self._num_aliases = 0

    def document(self) -> Any:
        """Return the value of the only document, None where there is none."""
        next(self._events)  # the start of the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        value = self._node(next(self._events), path=(), depth=0)
        next(self._events)  # the end of the document
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise self._fatal(
                event, "a second document starts here", "one file is one recipe: remove the `---`"
            )
        return value

    def _node(self, event: Any, *, path: KeyPath, depth: int) -> Any:
        self._count(event, num_nodes=1)
        if depth > MAX_DEPTH:
            raise self._fatal(event, f"nested more than {MAX_DEPTH} levels deep", "a recipe has four levels")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if event.tag is not None:
            message = f"the tag {event.tag!r} is not allowed: a recipe is plain data"
            self._report(event, path=path, message=message, suggestion="remove the tag")
        before = self._num_nodes
        if event.anchor is not None:
            self._open_anchors.add(event.anchor)
        value = self._value(event, path=path, depth=depth)
        if event.anchor is not None:
            self._open_anchors.discard(event.anchor)
            self._anchors[event.anchor] = (value, self._num_nodes - before + 1)
        return value

    def _value(self, event: Any, *, path: KeyPath, depth: int) -> Any:
        if isinstance(event, yaml.ScalarEvent):
            return self.scalar(event.value, is_plain=event.style is None, path=path, line=_line(event))
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path=path, depth=depth)
        return self._mapping(path=path, depth=depth)

    def _alias(self, event: Any) -> Any:
        self._num_aliases += 1
        if event.anchor in self._open_anchors:
            raise self._fatal(event, f"*{event.anchor} stands inside what it names", "write the value out")
        if event.anchor not in self._anchors:
            raise self._fatal(
                event, f"*{event.anchor} names nothing", f"write &{event.anchor} before the value it repeats"
            )
        if self._num_aliases > MAX_ALIASES:
            raise self._fatal(event, f"more than {MAX_ALIASES} aliases (*name)", "write the values out")
        value, num_nodes = self._anchors[event.anchor]
        self._count(event, num_nodes=num_nodes)
        return value

    def _sequence(self, *, path: KeyPath, depth: int) -> list[Any]:
        values: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            item_path = (*path, len(values))
            self.lines[item_path] = _line(event)
            values.append(self._node(event, path=item_path, depth=depth + 1))
        return values

    def _mapping(self, *, path: KeyPath, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            self._count(event, num_nodes=1)
            key = self._key(event)
            key_path = (*path, key)
            if key in values:
                lines = (
                    f", on lines {self.lines[key_path]} and {_line(event)}" if self._origin.has_lines else ""
                )
                message = f"given twice{lines}"
                self._report(event, path=key_path, message=message, suggestion="keep one of them")
            self.lines[key_path] = _line(event)
            value = self._node(next(self._events), path=key_path, depth=depth + 1)
            if key == "<<" and event.style is None:
                message = "merge keys (<<) are not read: a recipe is a whole file"
                self._report(event, path=key_path, message=message, suggestion="write the keys out")
            else:
                values[key] = value
        return values

    def _key(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            raise self._fatal(
                event, "a key must be a word, not a list, a section or an alias", "write `key: value`"
            )
        return str(event.value)

    def scalar(self, text: str, *, is_plain: bool, path: KeyPath, line: int) -> Any:
        """Return the value of one scalar; a value that no recipe can hold is reported."""
        value = resolve_plain(text) if is_plain else text
        if isinstance(value, float) and not math.isfinite(value):
            self.problems.append(self._problem(line, path, f"{text} is not a finite number", None))
            return value
        if isinstance(value, str) and any(char == "\0" or "\ud800" <= char <= "\udfff" for char in value):
            message = "the text holds a NUL or half a character"
            self.problems.append(self._problem(line, path, message, "write it as UTF-8 text"))
            return value.encode("ascii", "replace").decode().replace("\0", "?")
        return value

    def _count(self, event: Any, *, num_nodes: int) -> None:
        self._num_nodes += num_nodes
        if self._num_nodes > MAX_NODES:
            raise self._fatal(
                event, f"more than {MAX_NODES} values, aliases written out", "a recipe has some hundred"
            )

    def _read_events(self) -> Iterator[Any]:
        try:
            yield from yaml.parse(self._text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            message = f"this is not YAML: {error.problem or error.context}"
            hint = next((hint for text, hint in _HINTS if text in message), None)
            raise _FatalError(self._problem(mark.line + 1 if mark else 1, (), message, hint)) from error
        except yaml.reader.ReaderError as error:
            line = self._text.count("\n", 0, error.position) + 1
            message = f"the character {chr(error.character)!r} is not allowed in YAML"
            raise _FatalError(
                self._problem(line, (), message, "remove it, or write it as \\x.. in quotes")
            ) from error

    def _report(self, event: Any, *, path: KeyPath, message: str, suggestion: str | None) -> None:
        self.problems.append(self._problem(_line(event), path, message, suggestion))

    def _fatal(self, event: Any, message: str, suggestion: str) -> _FatalError:
        return _FatalError(self._problem(_line(event), (), message, suggestion))

    def _problem(self, line: int, path: KeyPath, message: str, suggestion: str | None) -> Problem:  # noqa: PLR0917
        origin = self._origin.at_line(line)
        return Problem(
            origin=origin.text, line=origin.line, key=dotted(path), message=message, suggestion=suggestion
        )


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1

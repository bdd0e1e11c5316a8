"""XML as a tree of local names, read without a single entity or reference: what a document type declares is refused."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

_MAX_DEPTH = 60


class XMLProblemError(Exception):
    """The text is not XML that we read; the message says why."""


@dataclass(kw_only=True)
class Node:
    """An element: its name and attributes without namespaces, and its texts and elements in the file's order."""

    name: str
    attributes: Mapping[str, str]
    content: list["Node | str"] = field(default_factory=list)

    def elements(self, *names: str) -> Iterator["Node"]:
        """Yield the elements of these names at any depth, in the file's order."""
        for part in self.content:
            if isinstance(part, Node):
                if part.name in names:
                    yield part
                yield from part.elements(*names)


def parse_xml(text: str) -> Node:
    """Return the root of an XML text.

    Raises:
        XMLProblemError: It is not well-formed, more than 60 elements deep, or declares a document type, which is where
            entities that grow without end and references to other files come from.
    """
    parser = expat.ParserCreate("utf-8", " ")
    parser.buffer_text = True
    root = Node(name="", attributes={})
    stack = [root]

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(stack) > _MAX_DEPTH:
            raise XMLProblemError(f"elements lie more than {_MAX_DEPTH} deep")
        node = Node(name=_local(name), attributes={_local(key): value for key, value in attributes.items()})
        stack[-1].content.append(node)
        stack.append(node)

    def characters(data: str) -> None:
        stack[-1].content.append(data)

    def doctype(*_: object) -> None:
        raise XMLProblemError("it declares a document type (<!DOCTYPE>), which is never read")

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _name: stack.pop()
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(text.encode(errors="replace"), True)  # noqa: FBT003 - expat takes no names
    except expat.ExpatError as error:
        raise XMLProblemError(str(error)) from error
    return next(part for part in root.content if isinstance(part, Node))


def _local(name: str) -> str:
    return name.rpartition(" ")[2]

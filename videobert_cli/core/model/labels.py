"""A head of pretraining that learns a column of labels: name, kind and classes, as `config.json` has them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, get_args

from videobert_cli.errors import ArtifactError

LabelKind = Literal["single", "multi"]


@dataclass(frozen=True, kw_only=True)
class LabelHead:
    """`single`: one class of each segment (softmax); `multi`: any number of them (a sigmoid each).

    `name` is the column of the manifest, `classes` are in the order of the logits, `separator` parts the classes of a
    segment in a `multi` column.
    """

    name: str
    kind: LabelKind
    classes: tuple[str, ...] = ()
    separator: str = "|"

    @property
    def num_targets(self) -> int:
        """How many numbers the target of a segment has: its class, or 0 or 1 for each class."""
        return 1 if self.kind == "single" else len(self.classes)

    def values(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Return a segment's labels in this column: none, one, or with `multi` all that the separator parts.

        >>> LabelHead(name="tool", kind="multi").values({"tool": "pan | lid|"})
        ('pan', 'lid')
        """
        value = labels.get(self.name, "")
        parts = value.split(self.separator) if self.kind == "multi" else [value]
        return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))

    def numbers(self, labels: Mapping[str, str]) -> list[int]:
        """Return the numbers of a segment's classes; labels that are no class of the head are passed over."""
        return [self.classes.index(value) for value in self.values(labels) if value in self.classes]

    def is_continued_by(self, other: Self) -> bool:
        """Return whether the weights of this head fit the other: the same column, kind and classes."""
        ours, theirs = ((head.name, head.kind, head.classes) for head in (self, other))
        return ours == theirs

    def to_dict(self) -> dict[str, Any]:
        """Return the head as JSON values."""
        return {**asdict(self), "classes": list(self.classes)}


def read_label_heads(values: object) -> tuple[LabelHead, ...]:
    """Return the heads of a configuration's JSON values.

    Raises:
        ArtifactError: They are no heads, one has no classes, or two have one name.
    """
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise ArtifactError(f"label_heads is not a list but {values!r}")
    heads = tuple(value if isinstance(value, LabelHead) else _read(value) for value in values)
    names = [head.name for head in heads]
    if len(set(names)) < len(names):
        raise ArtifactError("label_heads has two heads of one name")
    return heads


def _read(value: object) -> LabelHead:
    try:
        name, kind, classes = (value[key] for key in ("name", "kind", "classes"))  # type: ignore[index]
    except (TypeError, KeyError) as error:
        raise ArtifactError(f"label_heads has an entry without name, kind and classes ({error})") from error
    is_named = isinstance(name, str) and kind in get_args(LabelKind)
    if not is_named or not isinstance(classes, list) or not all(isinstance(label, str) for label in classes):
        raise ArtifactError(
            "label_heads has an entry that is no head: a name, `single` or `multi`, and texts"
        )
    if not classes or len(set(classes)) < len(classes):
        raise ArtifactError(f"the head {name!r} has no classes, or one of them twice")
    separator = value.get("separator", "|") if isinstance(value, Mapping) else "|"
    if not isinstance(separator, str) or not separator:
        raise ArtifactError(f"the head {name!r} has no text as separator")
    return LabelHead(name=name, kind=kind, classes=tuple(classes), separator=separator)

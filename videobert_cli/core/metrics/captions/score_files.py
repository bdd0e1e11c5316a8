"""Caption files of the field into references and captions by id: COCO, YouCook2, ActivityNet Captions, or plain.

The layout is told by content. In layouts of timed sentences an item is a segment, named `video@start-end`; a caption
finds its segment by video and times.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from videobert_cli.errors import InputError, MissingInputError

# Two programs may round a segment's times differently; segments of one video lie farther apart.
_SAME_TIME_SECONDS = 0.1
_MOST_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class _Caption:
    """One text about an item; `subset` is the split that the file names, empty where it names none."""

    item: str
    times: tuple[float, float] | None
    text: str
    subset: str = ""


@dataclass(frozen=True, kw_only=True)
class CaptionPairs:
    """What is scored: references and captions of the same ids; how many items had no caption."""

    references: Mapping[str, list[str]]
    hypotheses: Mapping[str, str]
    num_missing: int


@dataclass(kw_only=True)
class _Items:
    """Items of the references while captions are matched to them."""

    references: dict[str, list[str]] = field(default_factory=dict)
    times: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)

    def add(self, caption: _Caption) -> None:
        """Add a reference. A segment that is annotated twice (YouCook2 has some) is two items, `...#2` the second."""
        key, number = _name(caption), 2
        if caption.times is not None:
            times = self.times.setdefault(caption.item, {})
            while key in times:
                key, number = f"{_name(caption)}#{number}", number + 1
            times[key] = caption.times
        self.references.setdefault(key, []).append(caption.text)

    def key(self, caption: _Caption, *, taken: Mapping[str, str]) -> str | None:
        """Return the id of the item that a caption is about, None where there is none; of twins one not yet taken."""
        if caption.times is None:
            return caption.item if caption.item in self.references else None
        start, end = caption.times
        near = [
            (key in taken, distance, key)
            for key, times in self.times.get(caption.item, {}).items()
            if (distance := max(abs(start - times[0]), abs(end - times[1]))) <= _SAME_TIME_SECONDS
        ]
        return min(near)[2] if near else None


def read_caption_pairs(
    references: Path, hypotheses: Path, *, missing: Literal["error", "empty", "skip"]
) -> CaptionPairs:
    """Read references and captions, and match them.

    Of references with subsets (YouCook2's `subset`) only those count in which a captioned video lies.

    Args:
        references: `{"annotations": [{"image_id", "caption"}]}` (COCO), `{"database": {video: {"annotations":
            [{"segment", "sentence"}]}}}` (YouCook2), `{video: {"timestamps", "sentences"}}` (ActivityNet), or
            `{id: text or texts}`.
        hypotheses: `[{"image_id", "caption"}]` (COCO), `{"results": {video: [{"sentence", "timestamp"}]}}`
            (ActivityNet), or `{id: text}`.
        missing: Items without a caption: an error, scored as empty captions, or left out of the score.

    Raises:
        InputError: A file is of no known layout, a caption belongs to no item, an item has two, or one has none and
            `missing` is `error`.
    """
    said = list(_captions(_load(hypotheses), at=hypotheses))
    items = _items(
        list(_captions(_load(references), at=references)), captioned={caption.item for caption in said}
    )
    found: dict[str, str] = {}
    strangers = []
    for caption in said:
        key = items.key(caption, taken=found)
        if key is None:
            strangers.append(_name(caption))
        elif key in found:
            raise InputError(f"{key!r} has two captions", at=str(hypotheses), fix="give one caption an item")
        else:
            found[key] = caption.text
    if strangers:
        raise InputError(
            f"{len(strangers)} captions belong to no reference: {_some(strangers)}",
            at=str(hypotheses),
            fix=f"use the ids (and segments) of {references}",
        )
    without = [key for key in items.references if key not in found]
    if without and missing == "error":
        raise InputError(
            f"{len(without)} of {len(items.references)} references have no caption: {_some(without)}",
            at=str(hypotheses),
            fix="caption them too, or say what they count for: --missing empty, or --missing skip",
        )
    if missing == "empty":
        found |= dict.fromkeys(without, "")
    return CaptionPairs(
        references={key: texts for key, texts in items.references.items() if key in found},
        hypotheses=found,
        num_missing=len(without),
    )


def _items(captions: list[_Caption], *, captioned: set[str]) -> _Items:
    # Where no captioned video is known, every reference is kept: the caller says which captions are strangers.
    subsets = {caption.subset for caption in captions if caption.item in captioned} or {
        caption.subset for caption in captions
    }
    items = _Items()
    for caption in captions:
        if caption.subset in subsets:
            items.add(caption)
    return items


def _captions(content: Any, *, at: Path) -> Iterator[_Caption]:
    """Yield every caption of a file, whatever its layout."""
    try:
        if isinstance(content, dict) and isinstance(content.get("annotations"), list):
            yield from map(_coco_caption, content["annotations"])
        elif isinstance(content, list):
            yield from map(_coco_caption, content)
        elif isinstance(content, dict) and isinstance(content.get("database"), dict):
            yield from _youcook_captions(content["database"])
        elif isinstance(content, dict) and isinstance(content.get("results"), dict):
            yield from _result_captions(content["results"])
        elif isinstance(content, dict) and content:
            yield from _plain_captions(content)
        else:
            raise ValueError("neither a list nor an object with items")
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise InputError(
            f"this is no caption file of a known layout ({type(error).__name__}: {error})",
            at=str(at),
            fix="docs/captions.md shows the layouts: COCO, YouCook2, ActivityNet Captions, or {id: text}",
        ) from error


def _coco_caption(entry: dict[str, Any]) -> _Caption:
    return _Caption(item=str(entry["image_id"]), times=None, text=_text(entry["caption"]))


def _youcook_captions(database: dict[str, Any]) -> Iterator[_Caption]:
    for video, entry in database.items():
        for annotation in entry.get("annotations", []):
            yield _Caption(
                item=video,
                times=_times(annotation["segment"]),
                text=_text(annotation["sentence"]),
                subset=str(entry.get("subset", "")),
            )


def _result_captions(results: dict[str, Any]) -> Iterator[_Caption]:
    for video, entries in results.items():
        for entry in entries:
            times = _times(entry["timestamp" if "timestamp" in entry else "segment"])
            yield _Caption(item=video, times=times, text=_text(entry["sentence"]))


def _plain_captions(content: dict[str, Any]) -> Iterator[_Caption]:
    for item, entry in content.items():
        if isinstance(entry, dict):
            for times, text in zip(entry["timestamps"], entry["sentences"], strict=True):
                yield _Caption(item=item, times=_times(times), text=_text(text))
        else:
            for text in entry if isinstance(entry, list) else [entry]:
                yield _Caption(item=item, times=None, text=_text(text))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a caption is text, not {value!r}")
    return value


def _times(value: Any) -> tuple[float, float]:
    start, end = value
    return float(start), float(end)


def _name(caption: _Caption) -> str:
    if caption.times is None:
        return caption.item
    start, end = caption.times
    return f"{caption.item}@{start:g}-{end:g}"


def _some(names: list[str]) -> str:
    return ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise MissingInputError("there is no such file", at=str(path), fix="check the name") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"this is no JSON file ({error})", at=str(path), fix="give references and captions as JSON"
        ) from error

"""Which dataset a file or folder is, by content: the head of each annotation file, not its name alone."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from videobert_cli.core.video.datasets.gathering import Gathering
from videobert_cli.core.video.entries import SPLIT_NAMES, VIDEO_SUFFIXES, Split

LIST_ROLE = "list"
_ANNOTATION_SUFFIXES = frozenset({".json", ".csv", ".txt"})
_ANNOTATION_FOLDERS = frozenset({"annotations", "annotation", "labels", "splits", "crosstask_release"})
_HEAD_BYTES = 65_536
# Transcripts beside videos are JSON too; a dataset has a handful of files.
_MAX_FILES = 500
_NUM_SUBTITLES = 3


@dataclass(frozen=True, kw_only=True)
class Head:
    """A file and the beginning of its text."""

    path: Path
    text: str

    @cached_property
    def columns(self) -> frozenset[str]:
        """The cells of the first line, where commas part them."""
        return frozenset(cell.strip().strip('"') for cell in self.first_line.split(","))

    @property
    def first_line(self) -> str:
        """The first line."""
        return self.text.partition("\n")[0].rstrip("\r")

    @property
    def is_json(self) -> bool:
        """Whether the text begins as a JSON object or list does."""
        return self.text.lstrip()[:1] in {"{", "["}

    def has_keys(self, *keys: str) -> bool:
        """Whether this is JSON in whose beginning all these words stand as text."""
        return self.is_json and all(f'"{key}"' in self.text for key in keys)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """An adapter.

    Args:
        name: The word for the recipe.
        title: The dataset's name as its makers write it.
        files: What to look for, for people.
        role_of: What a file is to this dataset: `list` for one that lists videos, another word for one that helps
            (names of classes, captions), None for a file of others.
        read: Gathers the videos from the files by role.
    """

    name: str
    title: str
    files: str
    role_of: Callable[[Head], str | None]
    read: Callable[[Mapping[str, Sequence[Path]], Gathering], None]


@dataclass(frozen=True, kw_only=True)
class Recognised:
    """A dataset with its files by role."""

    dataset: Dataset
    files: Mapping[str, Sequence[Path]]


def recognise(source: Path, datasets: Sequence[Dataset]) -> list[Recognised]:
    """Return the datasets of which a file that lists videos is at `source`: the file itself, or one of the folder.

    Helping files are looked for beside. A table with a column `video` is nobody's annotation file but a manifest. Of
    a folder its top level is read, and folders in it that are called `annotations`, `labels` or the like.
    """
    heads = [head for head in map(_head, _candidates(source)) if head.is_json or "video" not in head.columns]
    found = []
    for dataset in datasets:
        files: dict[str, list[Path]] = {}
        for head in heads:
            role = dataset.role_of(head)
            if role is not None and (role != LIST_ROLE or source.is_dir() or head.path == source):
                files.setdefault(role, []).append(head.path)
        if LIST_ROLE in files:
            found.append(Recognised(dataset=dataset, files=files))
    return found


def may_annotate(source: Path) -> bool:
    """Return whether a dataset can be at `source`: a folder, or a file with the suffix of annotations."""
    return source.is_dir() or source.suffix.lower() in {*_ANNOTATION_SUFFIXES, ".srt"}


def split_of_name(name: str) -> Split | None:
    """Return the split that a file's name tells: its first word that is the name of one.

    >>> split_of_name("EPIC_100_train.csv"), split_of_name("val_2.json"), split_of_name("MSRVTT_data.json")
    ('train', 'validation', None)
    """
    for word in "".join(c if c.isalpha() else " " for c in Path(name).stem.lower()).split():
        if word in SPLIT_NAMES or word == "validate":
            return SPLIT_NAMES.get(word, "validation")
    return None


def split_of_word(word: str) -> Split | None:
    """Return the split that a dataset's word for it means, None for a word that is none."""
    word = word.strip().lower()
    return "validation" if word == "validate" else SPLIT_NAMES.get(word)


def _candidates(source: Path) -> Iterator[Path]:
    folder = source if source.is_dir() else source.parent
    names = _annotation_names(folder)
    if source.is_file() and source.name not in names:
        names.append(source.name)
    yield from (folder / name for name in sorted(names)[:_MAX_FILES])
    with os.scandir(folder) as entries:
        inner = sorted(e.name for e in entries if e.name.lower() in _ANNOTATION_FOLDERS and e.is_dir())
    for name in inner:
        yield from (folder / name / file for file in sorted(_annotation_names(folder / name))[:_MAX_FILES])


def _annotation_names(folder: Path) -> list[str]:
    """Return the names of a folder's annotation files; JSON beside a video of the same name is its transcript."""
    stems: set[str] = set()
    names, subtitles = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            stem, suffix = os.path.splitext(entry.name)  # noqa: PTH122 - names, a million of them
            if suffix.lower() in VIDEO_SUFFIXES:
                stems.add(stem)
            elif suffix.lower() in _ANNOTATION_SUFFIXES and not entry.name.startswith("."):
                names.append(entry.name)
            elif suffix.lower() == ".srt":
                subtitles.append(entry.name)
    # Beside videos, .srt files are their subtitles; a folder of nothing else may be a list of labels.
    return [
        *(name for name in names if Path(name).stem not in stems),
        *([] if stems else sorted(subtitles)[:_NUM_SUBTITLES]),
    ]


def _head(path: Path) -> Head:
    # A named pipe would block the open for ever.
    if not path.is_file():
        return Head(path=path, text="")
    try:
        with path.open("rb") as stream:
            return Head(path=path, text=stream.read(_HEAD_BYTES).decode("utf-8-sig", "replace"))
    except OSError:
        return Head(path=path, text="")

"""The list of videos, in its forms: a folder, class folders, a CSV/TSV/JSONL table, a known dataset, or one file.

Ids are made from relative paths, so a corpus keeps them when it moves; splits are drawn from the id alone, so
adding a video never moves another to a different split.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from videobert_cli.core.video.datasets.drafting import Annotated, read_dataset
from videobert_cli.core.video.datasets.registry import find_dataset
from videobert_cli.core.video.entries import Draft, LabelledSegment, Split, Text, Video, in_time_order
from videobert_cli.core.video.folders import read_folder, read_one_file
from videobert_cli.core.video.tables import TABLE_SUFFIXES, read_table
from videobert_cli.errors import ManifestError, MissingInputError
from videobert_cli.runtime import derive_seed

__all__ = [
    "LabelledSegment",
    "Listing",
    "Split",
    "Text",
    "Video",
    "manifest_columns",
    "read_listing",
    "videos_from_files",
]

_SEED_RANGE = 1 << 63


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A list of videos as it was read.

    Args:
        source: Where it was read.
        videos: The videos, sorted by id.
        texts: The texts without video, sorted by id; only a table has some.
        annotated: What the files of a known dataset say; None for folders, tables and single files.
    """

    source: Path
    videos: tuple[Video, ...]
    texts: tuple[Text, ...]
    annotated: Annotated | None = None

    def require_videos(self) -> None:
        """Refuse a list without a video.

        Raises:
            ManifestError: There is none; of a dataset, none is on disk.
        """
        if self.videos:
            return
        if self.annotated is not None and self.annotated.missing:
            found = self.annotated
            raise ManifestError(
                f"none of the {found.num_videos:,} videos of {found.title} is here, for example {found.missing[0]}.mp4",
                at=str(found.root),
                fix="say where they lie: data.root: DIR (in any folders under it); docs/datasets.md has their names",
            )
        raise ManifestError(
            "there are no videos here",
            at=str(self.source),
            fix="give a folder with videos, or a CSV with a `video` column (docs/formats.md)",
        )


def read_listing(
    source: Path,
    *,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
    dataset: str = "auto",
    root: Path | None = None,
    files: Literal["needed", "not-needed"] = "needed",
    extracted: Callable[[], Collection[str]] = tuple,
) -> Listing:
    """Return the videos of a folder, a manifest, a known dataset or a single file; videos are not opened.

    Args:
        source: See docs/formats.md and docs/datasets.md for the forms.
        validation_fraction: Share of the videos whose split is not given.
        test_fraction: Likewise.
        seed: Decides, with the id and nothing else, where a video goes.
        dataset: `auto` recognises one by its files; `folder` and `table` ask for these, else the dataset's name.
        root: Where a dataset's videos lie; by default the folder of its files.
        files: `not-needed` where features made elsewhere stand for the videos: none need be there.
        extracted: Ids of a dataset's videos that are kept though they are not on disk, as their features are.

    Raises:
        MissingInputError: `source` or `root` does not exist.
        ManifestError: Lines of a table or places of an annotation file are wrong (all are listed), or it is not clear
            which dataset this is.
    """
    _require_there(source, key="data.videos")
    found = None if dataset in {"folder", "table"} else find_dataset(source, name=dataset)
    annotated = None
    if found is not None:
        folder = root or (source if source.is_dir() else source.parent)
        _require_there(folder, key="data.root")
        drafts, annotated = read_dataset(
            found, root=folder, keeps_missing=files == "not-needed", extracted=extracted
        )
    else:
        _require_no_root(root)
        drafts = _read_drafts(source, form=dataset, files=files)
    items = [
        (
            item_id,
            draft,
            draft.split
            or _draw_split(item_id, validation=validation_fraction, test=test_fraction, seed=seed),
        )
        for item_id, draft in sorted(zip(_unique_ids(drafts), drafts, strict=True), key=lambda pair: pair[0])
    ]
    videos = (
        Video(
            id=item_id,
            path=draft.path,
            captions=draft.captions,
            split=split,
            segments=in_time_order(draft.segments),
        )
        for item_id, draft, split in items
        if draft.path is not None
    )
    texts = (
        Text(id=item_id, captions=draft.captions, split=split)
        for item_id, draft, split in items
        if draft.path is None and draft.captions is not None
    )
    return Listing(source=source, videos=tuple(videos), texts=tuple(texts), annotated=annotated)


def videos_from_files(files: Iterable[Path]) -> list[Video]:
    """Return the named files as videos of the training split, with the subtitles beside them, sorted by id.

    Ids are the names; files of one name in several folders are told apart by the folders in which they differ.
    """
    drafts = _named_apart([draft for file in files for draft in read_one_file(file)])
    videos = [
        Video(id=item_id, path=draft.path, captions=draft.captions, split="train", segments=())
        for item_id, draft in zip(_unique_ids(drafts), drafts, strict=True)
        if draft.path is not None
    ]
    return sorted(videos, key=lambda video: video.id)


def manifest_columns(videos: Iterable[Video]) -> set[str]:
    """Return the label columns that at least one segment fills."""
    return {column for video in videos for segment in video.segments for column in segment.labels}


def _read_drafts(source: Path, *, form: str, files: Literal["needed", "not-needed"]) -> list[Draft]:
    if (form == "folder" and not source.is_dir()) or (form == "table" and not source.is_file()):
        raise ManifestError(
            f"this is no {form}", at=str(source), fix="data.dataset: auto finds out what it is"
        )
    if source.is_dir():
        return read_folder(source)
    suffix = source.suffix.lower()
    if form == "table" or suffix in TABLE_SUFFIXES:
        return read_table(source, files=files)
    if suffix in {".json", ".txt"}:
        raise ManifestError(
            "this is no annotation file of a dataset we know",
            at=str(source),
            fix="docs/datasets.md lists them; anything else is a CSV or JSONL with a `video` column",
        )
    return read_one_file(source)


def _require_there(path: Path, *, key: str) -> None:
    if not path.exists():
        raise MissingInputError(
            f"there is no {str(path)!r}", at=key, fix="give the folder or file as it is on disk"
        )


def _require_no_root(root: Path | None) -> None:
    if root is not None:
        raise ManifestError(
            "the videos of a folder or a table are where it says, only those of a known dataset are looked for",
            at=f"data.root: {root}",
            fix="remove data.root, or name the dataset: data.dataset (docs/datasets.md)",
        )


def _draw_split(item_id: str, *, validation: float, test: float, seed: int) -> Split:
    draw = derive_seed(seed, "split", item_id) / _SEED_RANGE
    if draw < test:
        return "test"
    return "validation" if draw < test + validation else "train"


def _unique_ids(drafts: Sequence[Draft]) -> list[str]:
    """Return an id for each draft: its path without suffix; where two share it, with suffix, then with a hash."""
    ids = [
        printable(draft.given_id) if draft.given_id else _id_of(draft.name.with_suffix(""))
        for draft in drafts
    ]
    makers: tuple[Callable[[Draft], str], ...] = (lambda draft: _id_of(draft.name), _hashed_id)
    for maker in makers:
        counts = Counter(ids)
        ids = [
            maker(draft) if counts[item_id] > 1 and not draft.given_id else item_id
            for item_id, draft in zip(ids, drafts, strict=True)
        ]
    return ids


def _named_apart(drafts: Sequence[Draft]) -> list[Draft]:
    """Return the drafts; a name that several have is preceded by the folders from the first that differs."""
    paths_by_name: dict[Path, list[Path]] = {}
    for draft in drafts:
        paths_by_name.setdefault(draft.name, []).append(_absolute(draft))
    shared_by_name = {
        name: os.path.commonpath([path.parent for path in paths])
        for name, paths in paths_by_name.items()
        if len(paths) > 1
    }
    return [
        replace(draft, name=_absolute(draft).relative_to(shared_by_name[draft.name]))
        if draft.name in shared_by_name
        else draft
        for draft in drafts
    ]


def _absolute(draft: Draft) -> Path:
    return (draft.path or draft.name).absolute()


def _hashed_id(draft: Draft) -> str:
    digest = hashlib.blake2b(os.fsencode(draft.path or draft.name), digest_size=4).hexdigest()
    return f"{_id_of(draft.name)}~{digest}"


def _id_of(name: Path) -> str:
    parts = [part for part in name.parts if part != ".."]
    return printable(parts[-1] if name.is_absolute() else "/".join(parts))


def printable(text: str) -> str:
    r"""Return `text` with control characters, line ends and bytes that are no UTF-8 written as escapes.

    >>> printable("esc\x1b[2J")
    'esc\\x1b[2J'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)

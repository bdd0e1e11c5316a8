"""The list of videos, in its forms: a folder, class folders, a CSV/TSV/JSONL table, or one file.

Ids are made from relative paths, so a corpus keeps them when it moves; splits are drawn from the id alone, so
adding a video never moves another to a different split.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from videobert_cli.core.video.entries import Draft, LabelledSegment, Split, Text, Video, in_time_order
from videobert_cli.core.video.folders import read_folder, read_one_file
from videobert_cli.core.video.tables import TABLE_SUFFIXES, read_table
from videobert_cli.errors import ManifestError, MissingInputError
from videobert_cli.runtime import derive_seed

__all__ = [
    "LabelledSegment",
    "Split",
    "Text",
    "Video",
    "manifest_columns",
    "read_texts",
    "read_videos",
    "videos_from_files",
]

_SEED_RANGE = 1 << 63


def read_videos(
    source: Path,
    *,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
    files: Literal["needed", "not-needed"] = "needed",
) -> list[Video]:
    """Return the videos of a folder, a manifest or a single file, sorted by id; the files are not opened.

    Args:
        source: See docs/formats.md for the forms.
        validation_fraction: Share of the videos whose split is not given.
        test_fraction: Likewise.
        seed: Decides, with the id and nothing else, where a video goes.
        files: `not-needed` where features made elsewhere stand for the videos: none of a table's need be there.

    Raises:
        MissingInputError: `source` does not exist.
        ManifestError: It holds no videos, or lines of the table are wrong (all are listed).
    """
    drafts = _read_drafts(source, files=files)
    ids = _unique_ids(drafts)
    videos = [
        Video(
            id=item_id,
            path=draft.path,
            captions=draft.captions,
            split=draft.split
            or _draw_split(item_id, validation=validation_fraction, test=test_fraction, seed=seed),
            segments=in_time_order(draft.segments),
        )
        for item_id, draft in zip(ids, drafts, strict=True)
        if draft.path is not None
    ]
    if not videos:
        raise ManifestError(
            "there are no videos here",
            at=str(source),
            fix="give a folder with videos, or a CSV with a `video` column (docs/formats.md)",
        )
    return sorted(videos, key=lambda video: video.id)


def read_texts(
    source: Path,
    *,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
    files: Literal["needed", "not-needed"] = "needed",
) -> list[Text]:
    """Return the texts without video of a table (rows with `captions` only), sorted by id; a folder has none.

    Raises:
        MissingInputError: `source` does not exist.
        ManifestError: Lines of the table are wrong.
    """
    drafts = _read_drafts(source, files=files)
    ids = _unique_ids(drafts)
    texts = [
        Text(
            id=item_id,
            captions=draft.captions,
            split=draft.split
            or _draw_split(item_id, validation=validation_fraction, test=test_fraction, seed=seed),
        )
        for item_id, draft in zip(ids, drafts, strict=True)
        if draft.path is None and draft.captions is not None
    ]
    return sorted(texts, key=lambda text: text.id)


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


def _read_drafts(source: Path, *, files: Literal["needed", "not-needed"]) -> list[Draft]:
    if not source.exists():
        raise MissingInputError(
            f"there is no {str(source)!r}",
            at="data.videos",
            fix="give the folder of videos or the manifest as it is on disk",
        )
    if source.is_dir():
        return read_folder(source)
    if source.suffix.lower() in TABLE_SUFFIXES:
        return read_table(source, files=files)
    return read_one_file(source)


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

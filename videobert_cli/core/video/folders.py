"""A folder as list of videos: files with subtitles beside them, class folders, folders of time-stamped pictures."""

import os
from collections.abc import Iterator
from pathlib import Path

from videobert_cli.core.video.entries import (
    CAPTION_SUFFIXES,
    SPLIT_NAMES,
    VIDEO_SUFFIXES,
    CaptionSource,
    Draft,
    LabelledSegment,
    Split,
)
from videobert_cli.core.video.images import is_image_folder

LABEL_COLUMN = "label"


def read_folder(folder: Path) -> list[Draft]:
    """Return every video under `folder`, hidden names and what lies in them left out.

    Anything with a video's suffix is listed, were it a pipe or a folder: the reader says what is wrong with
    it. With no video at the top level, the first folder is the class (column `label`, over the whole video);
    if all top folders are called train, validation or test (or `val`, `training`, ...), they are the splits.
    """
    if is_image_folder(folder):
        return [_draft(folder, name=Path(folder.resolve().name), split=None, label=None)]
    names = [path.relative_to(folder) for path in videos_under(folder)]
    has_classes = all(len(name.parts) > 1 for name in names)
    has_splits = has_classes and all(name.parts[0].lower() in SPLIT_NAMES for name in names)
    drafts = []
    for name in names:
        split = SPLIT_NAMES[name.parts[0].lower()] if has_splits else None
        classes = name.parts[int(has_splits) : -1] if has_classes else ()
        drafts.append(_draft(folder / name, name=name, split=split, label=classes[0] if classes else None))
    return drafts


def videos_under(folder: Path) -> list[Path]:
    """Return what `read_folder` lists, as paths: the folder itself where it is a video of pictures."""
    return [folder] if is_image_folder(folder) else list(_walk(folder))


def read_one_file(path: Path) -> list[Draft]:
    """Return the list of this one video."""
    return [_draft(path, name=Path(path.name), split=None, label=None)]


def captions_beside(video: Path) -> Path | None:
    """Return the subtitles beside a video: `clip.srt`, `clip.vtt`, then `clip.en.srt`, `clip.en.vtt`."""
    stem = video.stem if video.suffix.lower() in VIDEO_SUFFIXES else video.name
    for middle in ("", ".en"):
        for suffix in CAPTION_SUFFIXES:
            captions = video.with_name(f"{stem}{middle}{suffix}")
            if captions.is_file():
                return captions
    return None


def source_beside(video: Path) -> CaptionSource | None:
    """Return the subtitles beside a video as its own file of captions."""
    captions = captions_beside(video)
    return None if captions is None else CaptionSource(path=captions)


def _draft(path: Path, *, name: Path, split: Split | None, label: str | None) -> Draft:
    whole = LabelledSegment(
        start_seconds=0.0, end_seconds=None, labels={LABEL_COLUMN: label} if label else {}
    )
    return Draft(
        name=name,
        given_id=None,
        path=path,
        captions=source_beside(path),
        split=split,
        segments=(whole,) if label else (),
    )


def _walk(folder: Path) -> Iterator[Path]:
    """Yield videos and picture folders; links to folders are followed, each folder is entered once."""
    seen: set[tuple[int, int]] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        status = os.stat(parent)  # noqa: PTH116 - os.walk gives text, and a Path a folder would be slow
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        entered = []
        for name in sorted(folders):
            path = Path(parent, name)
            if name.startswith("."):
                continue
            if path.suffix.lower() in VIDEO_SUFFIXES or is_image_folder(path):
                yield path
            else:
                entered.append(name)
        folders[:] = entered
        for name in sorted(files):
            path = Path(parent, name)
            if not name.startswith(".") and path.suffix.lower() in VIDEO_SUFFIXES:
                yield path

"""A folder as list of videos: files with subtitles beside them, class folders, folders of time-stamped pictures."""

import functools
import os
from collections.abc import Container, Iterator
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
# What a suffix says of a file, the surest first: subtitles; captions of a site; anything, captions among it.
CAPTION_RANKS = (CAPTION_SUFFIXES[:2], CAPTION_SUFFIXES[2:6], CAPTION_SUFFIXES[6:])
_MANIFEST_COLUMN = "video"
_HEADER_BYTES = 4_096


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
    # Walking in order comes to each folder once, but to a class folder's videos between those of its subfolders.
    names_in = functools.lru_cache(maxsize=64)(lambda parent: frozenset(os.listdir(parent)))  # noqa: PTH208 - names alone
    for name in names:
        split = SPLIT_NAMES[name.parts[0].lower()] if has_splits else None
        classes = name.parts[int(has_splits) : -1] if has_classes else ()
        drafts.append(
            _draft(
                folder / name,
                name=name,
                split=split,
                label=classes[0] if classes else None,
                names=names_in((folder / name).parent),
            )
        )
    return drafts


def videos_under(folder: Path) -> list[Path]:
    """Return what `read_folder` lists, as paths: the folder itself where it is a video of pictures."""
    return [folder] if is_image_folder(folder) else list(_walk(folder))


def read_one_file(path: Path) -> list[Draft]:
    """Return the list of this one video."""
    return [_draft(path, name=Path(path.name), split=None, label=None)]


def captions_beside(video: Path, *, names: Container[str] | None = None) -> Path | None:
    """Return the subtitles beside a video: `clip.srt`, `clip.vtt`, then `clip.en.srt`, `clip.en.vtt`.

    Then, with and without `.en`, what sites and recognisers write: `.ttml .dfxp .srv3 .json3`, last `.json .tsv .csv`.
    A table with a column `video` is passed over: it is a list of videos. Whether a JSON file is captions is found when
    it is read.

    Args:
        video: The video; it need not be there.
        names: All names in its folder where the caller has them: nothing is then asked of the disk in vain.
    """
    stem = video.stem if video.suffix.lower() in VIDEO_SUFFIXES else video.name
    for suffixes in CAPTION_RANKS:
        for middle in ("", ".en"):
            for suffix in suffixes:
                captions = video.with_name(f"{stem}{middle}{suffix}")
                is_there = (names is None or captions.name in names) and captions.is_file()
                if is_there and not _is_manifest(captions):
                    return captions
    return None


def _is_manifest(path: Path) -> bool:
    if path.suffix not in {".csv", ".tsv"}:
        return False
    try:
        with path.open("rb") as stream:
            header = stream.read(_HEADER_BYTES).removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0]
    except OSError:
        # That it cannot be read is told where its captions are wanted.
        return False
    columns = header.replace(b"\t", b",").replace(b'"', b"").split(b",")
    return _MANIFEST_COLUMN.encode() in {column.strip() for column in columns}


def source_beside(video: Path, *, names: Container[str] | None = None) -> CaptionSource | None:
    """Return the subtitles beside a video as its own file of captions."""
    captions = captions_beside(video, names=names)
    return None if captions is None else CaptionSource(path=captions)


def _draft(
    path: Path, *, name: Path, split: Split | None, label: str | None, names: Container[str] | None = None
) -> Draft:
    whole = LabelledSegment(
        start_seconds=0.0, end_seconds=None, labels={LABEL_COLUMN: label} if label else {}
    )
    return Draft(
        name=name,
        given_id=None,
        path=path,
        captions=source_beside(path, names=names),
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

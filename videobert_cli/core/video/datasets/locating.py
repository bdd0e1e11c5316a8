"""Finding a dataset's videos on disk: one walk through the folder, not one question a name."""

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from videobert_cli.core.video.entries import CAPTION_SUFFIXES, VIDEO_SUFFIXES
from videobert_cli.core.video.folders import CAPTION_RANKS
from videobert_cli.core.video.images import is_image_folder


@dataclass(frozen=True, kw_only=True)
class Located:
    """Where names without suffix were found: the video, the subtitles; and videos that lie there more than once."""

    videos: Mapping[str, Path]
    captions: Mapping[str, Path]
    found_again: tuple[Path, ...]


@dataclass(kw_only=True)
class _Search:
    stems: Collection[str]
    excluded: Collection[str]
    videos: dict[str, str] = field(default_factory=dict)
    captions: dict[str, tuple[tuple[int, bool, int], str]] = field(default_factory=dict)
    found_again: list[str] = field(default_factory=list)


def locate(folder: Path, *, stems: Collection[str], excluded: Collection[Path] = ()) -> Located:
    """Return where under `folder` the videos and subtitles of these names lie; hidden names are left out.

    The first in order of names counts where a video lies there twice. Subtitles may lie in any folder; `clip.srt`
    comes before `clip.en.srt`, and the suffixes in the order of a folder of videos.

    Args:
        folder: Its links to folders are followed, each folder is entered once.
        stems: Names without suffix.
        excluded: Annotation files that could be taken for subtitles.
    """
    search = _Search(stems=stems, excluded={os.path.realpath(path) for path in excluded})
    for parent, names, pictures in _folders_under(folder, stems=stems):
        for name in pictures:
            _take_video(search, name, os.path.join(parent, name))  # noqa: PTH118 - as below
        for name in names:
            _take(search, parent, name)
    return Located(
        videos={stem: Path(path) for stem, path in search.videos.items()},
        captions={stem: Path(path) for stem, (_, path) in search.captions.items()},
        found_again=tuple(map(Path, search.found_again)),
    )


def _take(search: _Search, parent: str, name: str) -> None:
    # Text, not paths: a Path each would double the time of a million names.
    stem, suffix = os.path.splitext(name)  # noqa: PTH122
    suffix = suffix.lower()
    if stem in search.stems and suffix in VIDEO_SUFFIXES:
        _take_video(search, stem, os.path.join(parent, name))  # noqa: PTH118
    elif suffix in CAPTION_SUFFIXES:
        plain = stem if stem in search.stems else stem.removesuffix(".en")
        path = os.path.join(parent, name)  # noqa: PTH118
        if plain in search.stems and not (search.excluded and os.path.realpath(path) in search.excluded):
            rank = (_tier(suffix), stem != plain, CAPTION_SUFFIXES.index(suffix))
            if plain not in search.captions or rank < search.captions[plain][0]:
                search.captions[plain] = (rank, path)


def _tier(suffix: str) -> int:
    return next(tier for tier, suffixes in enumerate(CAPTION_RANKS) if suffix in suffixes)


def _take_video(search: _Search, stem: str, path: str) -> None:
    if stem in search.videos:
        search.found_again.append(path)
    else:
        search.videos[stem] = path


def _folders_under(folder: Path, *, stems: Collection[str]) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield each folder with the names of its files, and of its folders of pictures called by one of `stems`."""
    seen: set[tuple[int, int]] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        status = os.stat(parent)  # noqa: PTH116 - os.walk gives text
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        pictures = sorted(name for name in folders if name in stems and is_image_folder(Path(parent, name)))
        folders[:] = sorted(name for name in folders if name not in pictures and not name.startswith("."))
        yield parent, sorted(name for name in files if not name.startswith(".")), pictures

"""A dataset's annotations and the files on disk together: items of a list, and what was found."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from videobert_cli.core.video.datasets.gathering import SENTENCE_COLUMN, AnnotatedVideo, Gathering
from videobert_cli.core.video.datasets.locating import Located, locate
from videobert_cli.core.video.datasets.recognising import Recognised
from videobert_cli.core.video.entries import CaptionSource, Draft, Split


@dataclass(frozen=True, kw_only=True)
class Annotated:
    """What a dataset's files say, whether or not the videos are there.

    Args:
        title: The dataset's name.
        files: The annotation files read.
        root: Where the videos were looked for.
        num_videos: Videos listed.
        num_segments: Segments kept, of all videos.
        num_sentences: Those of them that have a sentence.
        num_videos_by_split: Videos of each split that the files give.
        num_values_by_column: Distinct values of each label column.
        missing: Ids of the videos that are not on disk, in the files' order.
        num_left_out: What was left out of the annotations, by reason.
        in_two_splits: Ids that the files put into several splits.
        found_again: Files under `root` that have the name of a video found before.
    """

    title: str
    files: tuple[Path, ...]
    root: Path
    num_videos: int
    num_segments: int
    num_sentences: int
    num_videos_by_split: Mapping[str, int]
    num_values_by_column: Mapping[str, int]
    missing: tuple[str, ...]
    num_left_out: Mapping[str, int]
    in_two_splits: Mapping[str, Collection[Split]]
    found_again: tuple[Path, ...]


def read_dataset(
    recognised: Recognised,
    *,
    root: Path,
    keeps_missing: bool,
    extracted: Callable[[], Collection[str]],
) -> tuple[list[Draft], Annotated]:
    """Return the dataset's videos that are on disk under `root`, and what its files say of all.

    Args:
        recognised: The dataset and its files.
        root: A folder; see `locate`.
        keeps_missing: Whether videos that are not there are returned too (features made elsewhere stand for them).
        extracted: Ids whose features a run has already: their videos are returned though they are gone by now. Asked
            only where a video is missing.

    Raises:
        ManifestError: An annotation file is not as documented; all places are told.
    """
    gathering = Gathering()
    recognised.dataset.read(recognised.files, gathering)
    gathering.raise_problems(title=recognised.dataset.title)
    videos = gathering.videos
    files = _files_of(recognised, gathering)
    located = locate(root, stems=_stems(videos.values()), excluded=files)
    missing = tuple(key for key, video in videos.items() if _path_of(video, located) is None)
    kept = set(missing) if keeps_missing else set(missing) & set(extracted()) if missing else set()
    drafts = []
    for video in videos.values():
        path = _path_of(video, located)
        if path is None and video.id in kept:
            path = root / f"{video.id}.mp4"
        if path is not None:
            drafts.append(_draft(video, path, located, many=gathering.captions_of_many))
    return drafts, _annotated(recognised, gathering, root=root, missing=missing, again=located.found_again)


def _files_of(recognised: Recognised, gathering: Gathering) -> tuple[Path, ...]:
    known = [path for paths in recognised.files.values() for path in paths]
    return tuple(dict.fromkeys([*known, *gathering.more_files]))


def _stems(videos: Iterable[AnnotatedVideo]) -> set[str]:
    return {stem for video in videos for stem in (video.stems or (video.id,))}


def _path_of(video: AnnotatedVideo, located: Located) -> Path | None:
    if not video.stems:
        return located.videos.get(video.id)
    return next((located.videos[stem] for stem in video.stems if stem in located.videos), None)


def _draft(video: AnnotatedVideo, path: Path, located: Located, *, many: Path | None) -> Draft:
    stems = video.stems or (video.id,)
    found = next((located.captions[stem] for stem in stems if stem in located.captions), None)
    captions = None if found is None else CaptionSource(path=found)
    if captions is None and many is not None:
        captions = CaptionSource(path=many, key=video.id)
    return Draft(
        name=Path(path.name),
        given_id=video.id,
        path=path,
        captions=captions,
        split=video.split,
        segments=tuple(video.segments),
    )


def _annotated(
    recognised: Recognised,
    gathering: Gathering,
    *,
    root: Path,
    missing: tuple[str, ...],
    again: tuple[Path, ...],
) -> Annotated:
    values: defaultdict[str, set[str]] = defaultdict(set)
    num_segments = num_sentences = 0
    # Videos may share their segments; what a shared one holds is looked at once.
    seen: set[int] = set()
    for video in gathering.videos.values():
        num_segments += len(video.segments)
        for segment in video.segments:
            num_sentences += SENTENCE_COLUMN in segment.labels
            if id(segment) in seen:
                continue
            seen.add(id(segment))
            for column, value in segment.labels.items():
                values[column].add(value)
    splits = Counter(video.split for video in gathering.videos.values() if video.split is not None)
    return Annotated(
        title=recognised.dataset.title,
        files=_files_of(recognised, gathering),
        root=root,
        num_videos=len(gathering.videos),
        num_segments=num_segments,
        num_sentences=num_sentences,
        num_videos_by_split={str(split): count for split, count in splits.items()},
        num_values_by_column={column: len(found) for column, found in sorted(values.items())},
        missing=missing,
        num_left_out=dict(gathering.num_left_out),
        in_two_splits=gathering.in_two_splits,
        found_again=again,
    )

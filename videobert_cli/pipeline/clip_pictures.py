"""Pictures of clips for a page: each video opened once, in decoder children, under the recipe's limits."""

from collections.abc import Iterable
from typing import NamedTuple

from videobert_cli.core.reports.gallery import Pictures
from videobert_cli.core.reports.html import jpeg_uri
from videobert_cli.core.video.still_pool import stills_of_videos
from videobert_cli.pipeline.run import Run


class ClipAt(NamedTuple):
    """A clip by its video and its start, in seconds from the first shown frame."""

    video_id: str
    start_seconds: float


def clip_pictures(run: Run, clips: Iterable[ClipAt], *, num_pixels: int, stage: str, saved: str) -> Pictures:
    """Return a picture of the middle of each clip, and for each video that gives none the reason.

    Raises:
        InterruptedRunError: A stop was asked for; `saved` says what is safe.
    """
    starts: dict[str, set[float]] = {}
    for clip in clips:
        starts.setdefault(clip.video_id, set()).add(clip.start_seconds)
    paths = {video.id: video.path for video in run.videos}
    wanted = [(video_id, sorted(found)) for video_id, found in sorted(starts.items())]
    middle = run.words.clip_length_seconds / 2
    jobs = [(paths[video_id], [start + middle for start in found]) for video_id, found in wanted]
    pictures: dict[tuple[str, float], str] = {}
    problems: dict[str, str] = {}
    done = 0
    for stills in stills_of_videos(jobs, options=run.recipe.extract.reader, num_pixels=num_pixels):
        run.stop.raise_if_requested(saved)
        if stills is None:
            continue
        video_id, found = wanted[stills.position]
        if stills.problem is not None:
            problems[video_id] = f"{stills.problem.reason} ({stills.problem.what})"
        for start, picture in zip(found, stills.pictures, strict=False):
            pictures[video_id, start] = jpeg_uri(picture)
        done += 1
        run.reporter.progress(stage, done=done, total=len(jobs), detail="videos")
    return Pictures(by_clip=pictures, problems=problems)

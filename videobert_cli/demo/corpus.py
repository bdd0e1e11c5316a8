"""Writes the demo corpus: renders what is missing, lists it in `videos.csv`, seals the folder last."""

import contextlib
import csv
import io
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from videobert_cli import artifacts
from videobert_cli.demo.narration import to_srt
from videobert_cli.demo.plan import FRAMES_PER_SECOND, CorpusPlan, Pair, VideoPlan, plan_corpus
from videobert_cli.demo.render import write_video
from videobert_cli.errors import StaleStageError, UsageError

KIND = "demo"
MANIFEST_CSV = "videos.csv"
COLUMNS = ("video", "captions", "split", "start", "end", "verb", "object", "label")
_SETTINGS = "settings.json"
# Raised whenever the same seed gives other bytes than before, so that an old folder is not taken for a new one.
_CONTENT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class CorpusReport:
    """What is in the folder now, and what this call did for it."""

    status: Literal["written", "already-finished"]
    num_videos: int
    num_rendered: int
    num_texts: int
    num_steps: int
    video_seconds: float
    num_bytes: int
    held_out_pairs: tuple[Pair, ...]
    elapsed_seconds: float


def write_corpus(
    directory: Path,
    *,
    seed: int,
    num_train_videos: int = 120,
    num_validation_videos: int = 12,
    num_test_videos: int = 40,
    num_workers: int | None = None,
    on_progress: Callable[[int, int], None],
) -> CorpusReport:
    """Write the demo corpus of the seed into `directory` and return what it holds.

    A finished corpus is left as it is, an interrupted one goes on: files already published are not made again.
    `num_workers` processes render (None: one for each core); `on_progress` gets the numbers of videos done and of all.

    Raises:
        StaleStageError: The folder holds a demo corpus of another seed, size or version.
        UsageError: The folder holds something else.
    """
    begin = time.monotonic()
    sizes = {
        "num_train_videos": num_train_videos,
        "num_validation_videos": num_validation_videos,
        "num_test_videos": num_test_videos,
    }
    settings = {"seed": seed, "content_version": _CONTENT_VERSION, **sizes}
    plan = plan_corpus(seed=seed, **sizes)
    _claim(directory, settings)
    if _is_complete(directory):
        on_progress(len(plan.videos), len(plan.videos))
        return _report(directory, plan, status="already-finished", num_rendered=0, begin=begin)
    num_rendered = _render_missing(
        directory, plan, seed=seed, num_workers=num_workers, on_progress=on_progress
    )
    _write_texts(directory, plan)
    artifacts.publish_text(directory / MANIFEST_CSV, _manifest_csv(plan))
    artifacts.seal(directory, kind=KIND, settings=settings, facts=_facts(plan))
    return _report(directory, plan, status="written", num_rendered=num_rendered, begin=begin)


def _claim(directory: Path, settings: dict[str, Any]) -> None:
    """Note in an empty folder what it is going to hold, or check that it is what was begun there."""
    path = directory / _SETTINGS
    if path.is_file():
        found = _read_settings(path)
        changes = [
            f"{key} is {found.get(key)}, not {value}"
            for key, value in settings.items()
            if found.get(key) != value
        ]
        if changes:
            raise StaleStageError(
                f"this folder holds another demo corpus: {', '.join(changes)}",
                at=str(directory),
                fix="choose another folder, ask for the same seed and sizes, or remove the folder first",
            )
        for folder in (directory, directory / "videos", directory / "texts"):
            artifacts.sweep(folder)
        return
    if directory.exists() and any(not entry.name.startswith(".") for entry in directory.iterdir()):
        raise UsageError(
            "this folder is not empty and holds no demo corpus",
            at=str(directory),
            fix="choose a new or empty folder: nothing is overwritten",
        )
    artifacts.publish_json(path, settings)


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _is_complete(directory: Path) -> bool:
    """Return whether the corpus is sealed and all its files are there; a file of the wrong size is removed.

    Hashes are `videobert verify`'s work.
    """
    if not artifacts.is_finished(directory):
        return False
    is_complete = True
    for name, record in artifacts.read_manifest(directory, kind=KIND).files.items():
        path = directory / name
        if path.is_file() and path.stat().st_size == record.num_bytes:
            continue
        artifacts.discard(path)
        is_complete = False
    return is_complete


def _render_missing(
    directory: Path,
    plan: CorpusPlan,
    *,
    seed: int,
    num_workers: int | None,
    on_progress: Callable[[int, int], None],
) -> int:
    """Render the videos that are not there yet and return their number."""
    missing = [video for video in plan.videos if not _video_path(directory, video).is_file()]
    num_done = len(plan.videos) - len(missing)
    on_progress(num_done, len(plan.videos))
    num_workers = min(num_workers or _num_cores(), max(1, len(missing)))
    # Closed at once when `on_progress` raises (a stop was asked for): else the pool would render all the rest.
    with contextlib.closing(_run(missing, directory=directory, seed=seed, num_workers=num_workers)) as done:
        for _ in done:
            num_done += 1
            on_progress(num_done, len(plan.videos))
    return len(missing)


def _run(
    missing: Sequence[VideoPlan], *, directory: Path, seed: int, num_workers: int
) -> Generator[None, None, None]:
    """Yield once for each video rendered, in this process or in `num_workers` of them."""
    if num_workers <= 1:
        for video in missing:
            _render_one(directory, video, seed)
            yield
        return
    # Spawned, not forked: the caller may hold threads of torch.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_workers, mp_context=context) as pool:
        futures = [pool.submit(_render_one, directory, video, seed) for video in missing]
        try:
            for future in as_completed(futures):
                future.result()
                yield
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _render_one(directory: Path, video: VideoPlan, seed: int) -> None:
    """Publish the video's captions and then the video, so that a video that is there has its captions."""
    path = _video_path(directory, video)
    if video.lines is not None:
        artifacts.publish_text(path.with_suffix(".srt"), to_srt(video.lines))
    artifacts.publish(path, lambda temporary: write_video(temporary, plan=video, seed=seed))


def _write_texts(directory: Path, plan: CorpusPlan) -> None:
    """Publish the small files that are missing: captions and the transcripts without video."""
    texts = {directory / "texts" / f"{text.name}.srt": text.lines for text in plan.texts}
    texts |= {
        _video_path(directory, v).with_suffix(".srt"): v.lines for v in plan.videos if v.lines is not None
    }
    for path, lines in texts.items():
        if not path.is_file():
            artifacts.publish_text(path, to_srt(lines))


def _manifest_csv(plan: CorpusPlan) -> str:
    """Return the manifest: a row for each step; a row without video names a transcript that has none."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for video in plan.videos:
        captions = "" if video.lines is None else f"videos/{video.name}.srt"
        for step in video.steps:
            times = (f"{step.start_seconds:.2f}", f"{step.end_seconds:.2f}")
            writer.writerow(
                (f"videos/{video.name}.mp4", captions, video.split, *times, step.verb, step.object, step.verb)
            )
    for text in plan.texts:
        writer.writerow(("", f"texts/{text.name}.srt", "train", "", "", "", "", ""))
    return stream.getvalue()


def _facts(plan: CorpusPlan) -> dict[str, Any]:
    return {
        "num_videos": len(plan.videos),
        "num_texts": len(plan.texts),
        "num_steps": sum(len(video.steps) for video in plan.videos),
        "video_seconds": sum(video.num_frames for video in plan.videos) / FRAMES_PER_SECOND,
        "held_out_pairs": [list(pair) for pair in plan.held_out_pairs],
    }


def _report(
    directory: Path,
    plan: CorpusPlan,
    *,
    status: Literal["written", "already-finished"],
    num_rendered: int,
    begin: float,
) -> CorpusReport:
    files = artifacts.read_manifest(directory, kind=KIND).files
    facts = _facts(plan)
    return CorpusReport(
        status=status,
        num_videos=facts["num_videos"],
        num_rendered=num_rendered,
        num_texts=facts["num_texts"],
        num_steps=facts["num_steps"],
        video_seconds=facts["video_seconds"],
        num_bytes=sum(record.num_bytes for record in files.values()),
        held_out_pairs=plan.held_out_pairs,
        elapsed_seconds=time.monotonic() - begin,
    )


def _video_path(directory: Path, video: VideoPlan) -> Path:
    return directory / "videos" / f"{video.name}.mp4"


def _num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

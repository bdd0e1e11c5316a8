"""Leaks between the splits of a run: told as warnings, or with `--strict` as an error, before anything is learned."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from videobert_cli.artifacts import hash_json, publish_json, read_manifest
from videobert_cli.core.video.leaks import Leak, file_leaks
from videobert_cli.core.words.leaks import MIN_SIMILARITY, word_leaks
from videobert_cli.errors import LeakError
from videobert_cli.pipeline.run import Run

_FOUND_NAME = "leaks.json"
_NUM_SHOWN = 10
_FIX = "take all but one of each out of data.videos, or put them into one split (docs/datasets.md)"


def leaks_of_files(run: Run) -> list[Leak]:
    """Return the videos that are in two splits by file, bytes or YouTube id."""
    videos, annotated = run.listing.videos, run.listing.annotated
    known = {video.id for video in videos}
    named = annotated.in_two_splits if annotated else {}
    return file_leaks(videos, in_two_splits={key: splits for key, splits in named.items() if key in known})


def leaks_of_words(run: Run, *, on_new: Literal["note", "leave"]) -> list[Leak]:
    """Return the videos of different splits whose words are nearly the same.

    They are looked for once and noted beside the words (`on_new="note"`, for a process that holds the run), and again
    where the words or the splits are others now.
    """
    found_of, path = _found_of(run), run.directory("quantize") / _FOUND_NAME
    remembered = _read(path)
    if remembered is not None and remembered["of"] == found_of:
        return [
            Leak(how=leak["how"], ids=tuple(leak["ids"]), splits=tuple(leak["splits"]))
            for leak in remembered["leaks"]
        ]
    leaks = _find(run)
    if on_new == "note":
        publish_json(path, {"of": found_of, "leaks": [asdict(leak) for leak in leaks]})
    return leaks


def check_words(run: Run, may_write: bool) -> dict[str, Any]:  # noqa: FBT001 - the check of a stage
    """Tell the leaks among the run's words; return their number.

    Raises:
        LeakError: The run is strict and there is one.
    """
    leaks = leaks_of_words(run, on_new="note" if may_write else "leave")
    tell_leaks(run, leaks)
    return {"quantize.num_leaks": len(leaks)}


def tell_leaks(run: Run, leaks: Sequence[Leak]) -> None:
    """Warn of each leak, with its ids.

    Raises:
        LeakError: The run is strict and there is a leak.
    """
    if not leaks:
        return
    lines = _lines(leaks)
    if run.is_strict:
        raise LeakError(
            "\n".join([f"{len(leaks):,} leaks between the splits", *lines]),
            at=str(run.recipe.data.videos),
            fix=f"{_FIX}; without --strict this is a warning",
        )
    for line in lines:
        run.reporter.warning(f"leak between the splits: {line}")
    run.reporter.line(f"leaks make scores better than they are: {_FIX}; --strict makes them an error")


def told_leaks(run: Run, leaks: Sequence[Leak]) -> list[str]:
    """Return what a plan says of them.

    Raises:
        LeakError: The run is strict and there is a leak.
    """
    if run.is_strict:
        tell_leaks(run, leaks)
    return [f"warning: leak between the splits: {line}" for line in _lines(leaks)]


def _lines(leaks: Sequence[Leak]) -> list[str]:
    lines = [leak.words for leak in leaks[:_NUM_SHOWN]]
    more = len(leaks) - _NUM_SHOWN
    return [*lines, f"and {more:,} more"] if more > 0 else lines


def _find(run: Run) -> list[Leak]:
    splits = {video.id: video.split for video in run.videos}
    return [
        Leak(
            how=f"nearly the same visual words (similarity {pair.similarity:.2f}, {pair.num_clips} clips)",
            ids=pair.ids,
            splits=(splits[pair.ids[0]], splits[pair.ids[1]]),
        )
        for pair in word_leaks(run.words, splits=splits)
    ]


def _found_of(run: Run) -> dict[str, Any]:
    return {
        "words": read_manifest(run.paths.words, kind="words").content_hash,
        "splits": hash_json({video.id: video.split for video in run.videos}),
        "min_similarity": MIN_SIMILARITY,
    }


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and {"of", "leaks"} <= set(found) else None

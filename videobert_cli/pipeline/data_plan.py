"""What `--dry-run` says of the data: what they are, what is there, what is missing, what is in two splits."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from videobert_cli.core.video.datasets.drafting import Annotated
from videobert_cli.core.video.datasets.gathering import SENTENCE_COLUMN
from videobert_cli.core.video.entries import Split, Text, Video
from videobert_cli.pipeline.leaks import leaks_of_files, told_leaks
from videobert_cli.pipeline.run import Run

_NUM_SHOWN = 3
_SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class DataPlan:
    """Lines for people, flat numbers for scripts, and what has to be there and is not."""

    lines: tuple[str, ...]
    facts: Mapping[str, Any]
    needs: tuple[str, ...] = ()


def data_plan(run: Run) -> DataPlan:
    """Return what the recipe's `data:` hold; where no video of a dataset is on disk, what its files say all the same.

    Raises:
        ManifestError: The list of videos cannot be used.
        LeakError: A video is in two splits, and the run is strict.
    """
    annotated = run.listing.annotated
    lines, facts = _dataset(annotated) if annotated is not None else ([], {})
    if annotated is not None and not run.listing.videos and annotated.missing:
        need = (
            f"data.root: none of the videos is under {annotated.root}, for example {annotated.missing[0]}.mp4"
        )
        return DataPlan(lines=tuple(lines), facts=facts, needs=(need,))
    facts |= _counts(run)
    losses = f"text: {run.transcripts.losses}" if run.transcripts.losses else ""
    lines += [_count_line(facts), _text_line(run, facts), losses, _labels_line(run)]
    leaks = leaks_of_files(run)
    facts["plan.num_leaks"] = len(leaks)
    lines += told_leaks(run, leaks)
    return DataPlan(lines=tuple(filter(None, lines)), facts=facts)


def tell_dataset(run: Run) -> None:
    """Say which dataset was recognised and what of it is not there; a folder or a table says nothing."""
    found = run.listing.annotated
    if found is None:
        return
    num_there = found.num_videos - len(found.missing)
    run.reporter.line(
        f"data: {found.title}, {num_there:,} of {found.num_videos:,} videos are under {found.root}"
    )
    if found.missing:
        run.reporter.line(f"data: not there: {len(found.missing):,}{_some(found.missing)}")
    if found.num_left_out:
        run.reporter.line(_left_out(found))


def _left_out(found: Annotated) -> str:
    return "left out: " + ", ".join(f"{n:,} {why}" for why, n in sorted(found.num_left_out.items()))


def _dataset(found: Annotated) -> tuple[list[str], dict[str, Any]]:
    names = ", ".join(path.name for path in found.files[:_NUM_SHOWN])
    more = f" and {len(found.files) - _NUM_SHOWN:,} more files" if len(found.files) > _NUM_SHOWN else ""
    num_there = found.num_videos - len(found.missing)
    splits = ", ".join(f"{found.num_videos_by_split.get(split, 0):,} {split}" for split in _SPLITS)
    lines = [
        f"dataset: {found.title} ({names}{more})",
        (
            f"annotated: {found.num_videos:,} videos ({splits if found.num_videos_by_split else 'no splits'}), "
            f"{found.num_segments:,} segments, {found.num_sentences:,} sentences"
        ),
        f"on disk: {num_there:,} of them under {found.root}, {len(found.missing):,} missing{_some(found.missing)}",
    ]
    if found.num_left_out:
        lines.append(
            "left out: " + ", ".join(f"{n:,} {why}" for why, n in sorted(found.num_left_out.items()))
        )
    if found.found_again:
        lines.append(
            f"there twice: {len(found.found_again):,} files are left aside, for example {found.found_again[0]}"
        )
    if not num_there:
        lines.append(_columns_line(found.num_values_by_column))
    facts: dict[str, Any] = {
        "plan.dataset": found.title,
        "plan.annotated.num_videos": found.num_videos,
        "plan.annotated.num_segments": found.num_segments,
        "plan.annotated.num_sentences": found.num_sentences,
        "plan.annotated.num_missing": len(found.missing),
        **{f"plan.annotated.num_videos.{split}": n for split, n in found.num_videos_by_split.items()},
        **{f"plan.annotated.num_values.{column}": n for column, n in found.num_values_by_column.items()},
        **{f"plan.annotated.num_left_out.{why}": n for why, n in found.num_left_out.items()},
    }
    return lines, facts


def _some(names: tuple[str, ...]) -> str:
    if not names:
        return ""
    return f" ({', '.join(names[:_NUM_SHOWN])}{', ...' if len(names) > _NUM_SHOWN else ''})"


def _counts(run: Run) -> dict[str, Any]:
    splits = Counter(video.split for video in run.videos)
    items: list[Video | Text] = [*run.videos, *run.listing.texts]
    return {
        "plan.num_videos": len(run.videos),
        **{f"plan.num_videos.{split}": splits[split] for split in _SPLITS},
        **{f"plan.{name}": count for name, count in run.transcripts.facts.items()},
        "plan.num_captions": sum(item.captions is not None for item in items),
        "plan.num_labelled_segments": sum(len(video.segments) for video in run.videos),
        "plan.num_annotated_sentences": sum(
            SENTENCE_COLUMN in segment.labels for video in run.videos for segment in video.segments
        ),
    }


def _count_line(facts: Mapping[str, Any]) -> str:
    splits = ", ".join(f"{facts[f'plan.num_videos.{split}']:,} {split}" for split in _SPLITS)
    return (
        f"data: {facts['plan.num_videos']:,} videos ({splits}), {facts['plan.num_sentences']:,} sentences, "
        f"{facts['plan.num_labelled_segments']:,} labelled segments"
    )


def _text_line(run: Run, facts: Mapping[str, Any]) -> str:
    what = {"captions": "what is said", "annotations": "the annotated sentences"}[run.sentence_source]
    return (
        f"text: {what} (data.sentences: {run.recipe.data.sentences}); {facts['plan.num_captions']:,} with subtitles, "
        f"{facts['plan.num_annotated_sentences']:,} annotated sentences"
    )


def _labels_line(run: Run) -> str:
    values: dict[str, set[str]] = {}
    for video in run.videos:
        for segment in video.segments:
            for column, value in segment.labels.items():
                values.setdefault(column, set()).add(value)
    return _columns_line({column: len(found) for column, found in sorted(values.items())})


def _columns_line(num_values: Mapping[str, int]) -> str:
    columns = ", ".join(f"{column} ({count:,} values)" for column, count in num_values.items())
    return f"labels: {columns}" if columns else ""

"""`--dry-run`: what a command would do, with counts, bytes and time, and what it lacks; nothing is written."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from videobert_cli.core.features.backbones.registry import load_backbone
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.features.plugins import TRANSFORMERS_PREFIX
from videobert_cli.core.features.store.quarantine import read_quarantine
from videobert_cli.core.features.store.reader import locate_items
from videobert_cli.core.video.manifest import Video
from videobert_cli.core.video.reader import ClipBatch, VideoReader, VideoSummary
from videobert_cli.errors import InputError, VideoBERTError, VideoError
from videobert_cli.pipeline.data_plan import data_plan
from videobert_cli.pipeline.execute import chain
from videobert_cli.pipeline.leaks import leaks_of_words, told_leaks
from videobert_cli.pipeline.run import Run
from videobert_cli.pipeline.speech import speech_of
from videobert_cli.pipeline.stage import Stage, read_record, stage_status
from videobert_cli.recipe.schema import TRAININGS

# Enough videos for a mean duration to within a fifth or so, few enough to answer in seconds.
_NUM_SAMPLED_VIDEOS = 3
_BYTES_PER_VALUE = 2


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The plan as lines for people, each stage's state, the counts as flat numbers, and what is not there."""

    lines: tuple[str, ...]
    stages: dict[str, str]
    needs: tuple[str, ...]
    facts: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Sample:
    """What a few videos cost: clips a video, and seconds a clip for decoding and the backbone together."""

    clips_per_video: float
    seconds_per_clip: float
    feature_dim: int


def make_plan(run: Run, *, target: str) -> Plan:
    """Return what making `target` would do. Missing data is a line of the plan, not an error."""
    lines = [f"run: {run.paths.root}"]
    states: dict[str, str] = {}
    facts: dict[str, Any] = {}
    needs = run.missing_data()
    if not needs:
        told = data_plan(run)
        lines += told.lines
        facts |= told.facts
        needs += told.needs
    if needs and run.recipe.data.source:
        needs.append(run.recipe.data.source)
    for stage in chain(run, target=target):
        state, detail = _stage_line(stage, run, has_data=not needs, before=states)
        states[stage.name] = state
        if state == "finished" and stage.name == target and stage.is_look_due(run):
            detail = ": the page to look at would be made"
        if state != "finished" and not needs:
            extra, numbers = _estimate(stage, run, state=state)
            detail, facts = f"{detail}{extra}", facts | numbers
        lines.append(f"{stage.name:<9} {state}{detail}")
    if states.get("quantize") == "finished" and not needs:
        leaks = leaks_of_words(run, on_new="leave")
        facts["plan.quantize.num_leaks"] = len(leaks)
        lines += told_leaks(run, leaks)
    needs += _downloads(run, stages=[name for name, state in states.items() if state != "finished"])
    lines += [f"needs: {need}" for need in needs]
    lines.append("nothing was written (--dry-run)")
    return Plan(lines=tuple(lines), stages=states, facts=facts, needs=tuple(needs))


def _downloads(run: Run, *, stages: Sequence[str]) -> list[str]:
    """Return a line for each public model that these stages fetch, unless this machine has it already."""
    extract, pretrain = run.recipe.extract, run.recipe.pretrain
    hub_backbone = Path(extract.backbone.removeprefix(TRANSFORMERS_PREFIX))
    named: list[tuple[str, str, object]] = [
        ("extract", "extract.weights", extract.weights if extract.weights == "kinetics400" else None),
        ("extract", "extract.backbone", hub_backbone if TRANSFORMERS_PREFIX in extract.backbone else None),
        (
            "listen",
            "pretrain.text.asr.model",
            Path(pretrain.text.asr.model).expanduser() if pretrain.text.asr.model else None,
        ),
        (
            "pretrain",
            "pretrain.text.punctuation",
            Path(pretrain.text.punctuation).expanduser() if pretrain.text.punctuation != "none" else None,
        ),
        ("pretrain", "pretrain.text.vocabulary", pretrain.text.vocabulary),
        ("pretrain", "pretrain.model.init", pretrain.model.init),
    ]
    fetched = [
        (key, value)
        for stage, key, value in named
        if stage in stages and (value == "kinetics400" or (isinstance(value, Path) and not value.exists()))
    ]
    return [f"{key}: {value}, from the network once, or a local path there" for key, value in fetched]


def _stage_line(stage: Stage, run: Run, *, has_data: bool, before: dict[str, str]) -> tuple[str, str]:
    """Return the stage's state (`finished`, `started`, `missing`, `stale`) and a few words."""
    record = read_record(run.directory(stage.name))
    if record is None:
        return "missing", ": would be made"
    if not has_data:
        return record.state, ": would be compared with the data, which are not here"
    if any(state != "finished" for state in before.values()):
        return "started", ": would be compared with what the stages before it give"
    try:
        status = stage_status(stage, run)
    except VideoBERTError as error:
        return "started", f": {error.what}"
    words = {"finished": ": nothing to do", "started": ": would go on", "missing": ": would be made"}
    if status.state == "stale":
        return "stale", ": made from other settings or inputs (" + "; ".join(status.differences) + ")"
    return status.state, words[status.state]


def _estimate(stage: Stage, run: Run, *, state: str) -> tuple[str, dict[str, Any]]:
    """Return words and numbers for what the stage would cost; only extraction is measured, on a few videos."""
    if stage.name == "extract" and run.recipe.extract.features is not None:
        return f", features made elsewhere: {run.recipe.extract.features}", {}
    if stage.name == "extract":
        return _extract_estimate(run, todo=run.videos if state == "stale" else _unfinished(run))
    if stage.name == "listen":
        num_videos = sum(not speech.file.is_file() for speech in speech_of(run))
        return f", {num_videos:,} videos without subtitles", {"plan.listen.num_videos": num_videos}
    if stage.name == "pretrain":
        loop = run.recipe.pretrain.loop
        return f", {loop.num_steps:,} steps of {loop.batch_num_sequences} sequences", {
            "plan.pretrain.num_steps": loop.num_steps
        }
    if stage.name in TRAININGS:
        loop = run.recipe.training(stage.name).loop
        return f", {loop.num_steps:,} steps of {loop.batch_num_sequences} segments", {
            f"plan.{stage.name}.num_steps": loop.num_steps
        }
    if stage.name == "quantize":
        options = run.recipe.quantize
        return f", {options.branching**options.num_levels:,} words", {}
    return "", {}


def _extract_estimate(run: Run, *, todo: Sequence[Video]) -> tuple[str, dict[str, Any]]:
    if not todo:
        return ", no video is left to read", {"plan.extract.num_videos": 0}
    try:
        sample = _measure(run, _spread(todo, num=_NUM_SAMPLED_VIDEOS))
    except InputError as error:
        return f", {len(todo):,} videos, needs: {error.what} ({error.fix})", {
            "plan.extract.num_videos": len(todo)
        }
    if sample is None:
        return f", {len(todo):,} videos (none of the first could be read)", {
            "plan.extract.num_videos": len(todo)
        }
    num_clips = round(sample.clips_per_video * len(todo))
    num_bytes = num_clips * _bytes_per_clip(run.recipe.extract, dim=sample.feature_dim)
    seconds = num_clips * sample.seconds_per_clip
    words = f", {len(todo):,} videos, about {num_clips:,} clips, {num_bytes / 1e6:,.1f} MB, {seconds / 60:,.1f} min"
    return words, {
        "plan.extract.num_videos": len(todo),
        "plan.extract.num_clips": num_clips,
        "plan.extract.num_bytes": num_bytes,
        "plan.extract.seconds": round(seconds, 1),
    }


def _bytes_per_clip(options: ExtractOptions, *, dim: int) -> int:
    features, words = _BYTES_PER_VALUE * dim, _BYTES_PER_VALUE
    return {"features": features, "words": words, "both": features + words}[options.keep]


def _unfinished(run: Run) -> list[Video]:
    """Return the videos that extraction would read: those of an interrupted one are not counted again."""
    known = set(locate_items(run.extracted))
    if run.on_failed == "keep":
        known |= set(read_quarantine(run.extracted))
    return [video for video in run.videos if video.id not in known]


def _spread(videos: Sequence[Video], *, num: int) -> list[Video]:
    """Return `num` videos evenly spread over the list."""
    if len(videos) <= num:
        return list(videos)
    return [videos[int(position)] for position in np.linspace(0, len(videos) - 1, num)]


def _measure(run: Run, videos: Sequence[Video]) -> _Sample | None:
    """Decode a few videos and run the backbone on their clips; None where none can be read."""
    options = run.recipe.extract
    backbone = load_backbone(options, device=run.device)
    request = backbone.frame_request(options)
    num_clips, seconds = [], []
    with VideoReader(options.reader) as reader:
        for video in videos:
            started = time.monotonic()
            try:
                parts = list(reader.read(video.path, request))
                for part in parts:
                    if isinstance(part, ClipBatch):
                        backbone.features(part)
            except VideoError:
                continue
            num_clips.append(sum(part.num_clips for part in parts if isinstance(part, VideoSummary)))
            seconds.append(time.monotonic() - started)
    if not num_clips:
        return None
    # The first video also pays for the decoder's start and the backbone's first call: the others tell the rate.
    timed = slice(1, None) if len(num_clips) > 1 else slice(None)
    return _Sample(
        clips_per_video=sum(num_clips) / len(num_clips),
        seconds_per_clip=sum(seconds[timed]) / sum(num_clips[timed]),
        feature_dim=backbone.dim,
    )

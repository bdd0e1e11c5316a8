"""What happens in each video, as a function of the seed: kitchens, steps, shots and lines.

A verb meets every object but one in training and validation videos; the eight pairs left over (each verb once, each
object once) occur in test videos only. Order and number of steps say nothing of what comes next.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from videobert_cli.demo.narration import Line, narrate, narrate_unseen
from videobert_cli.demo.objects import OBJECTS
from videobert_cli.demo.verbs import VERBS
from videobert_cli.runtime import derive_seed

FRAMES_PER_SECOND = 10
HELD_OUT_SHARE_OF_TEST = 0.4
NO_TEXT_SHARE = 0.1
TEXT_ONLY_SHARE = 0.1
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
Pair = tuple[str, str]
View = Literal["idle", "present", "wide", "close"]


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A run of frames from one camera. `step` is the index of the step it belongs to, None between steps."""

    view: View
    start_frame: int
    num_frames: int
    step: int | None
    seed: int


@dataclass(frozen=True, kw_only=True)
class Step:
    """A labelled segment: one verb done to one object. The action begins at `action_frame`, after the first look."""

    verb: str
    object: str
    start_frame: int
    num_frames: int
    seed: int

    @property
    def start_seconds(self) -> float:
        """Return the time of the first frame."""
        return self.start_frame / FRAMES_PER_SECOND

    @property
    def end_seconds(self) -> float:
        """Return the time after the last frame."""
        return (self.start_frame + self.num_frames) / FRAMES_PER_SECOND


@dataclass(frozen=True, kw_only=True)
class VideoPlan:
    """One video: `lines` is None where nobody speaks and there is no subtitle file."""

    name: str
    split: Split
    seed: int
    num_frames: int
    steps: tuple[Step, ...]
    shots: tuple[Shot, ...]
    lines: tuple[Line, ...] | None


@dataclass(frozen=True, kw_only=True)
class TextPlan:
    """One transcript without video; it belongs to the training split."""

    name: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, kw_only=True)
class CorpusPlan:
    """All that is to be rendered and written."""

    videos: tuple[VideoPlan, ...]
    texts: tuple[TextPlan, ...]
    held_out_pairs: tuple[Pair, ...]


def plan_corpus(
    *, seed: int, num_train_videos: int, num_validation_videos: int, num_test_videos: int
) -> CorpusPlan:
    """Return the plan of a corpus. A split's videos do not depend on the sizes of the other splits."""
    unseen = held_out_pairs(seed)
    seen = tuple((v, o) for v in VERBS for o in OBJECTS if (v, o) not in set(unseen))
    sizes = dict(zip(SPLITS, (num_train_videos, num_validation_videos, num_test_videos), strict=True))
    videos = []
    for split, num_videos in sizes.items():
        pairs = _pairs(seed, split, seen=seen, unseen=unseen)
        silent = _silent(seed, split, num_videos)
        videos += [
            _plan_video(seed, split, index=index, pairs=pairs, has_text=index not in silent)
            for index in range(num_videos)
        ]
    pairs = _deck(seen, seed=derive_seed(seed, "deck", "texts"))
    texts = []
    for index in range(math.ceil(num_train_videos * TEXT_ONLY_SHARE)):
        rng = np.random.default_rng(derive_seed(seed, "text", index))
        chosen = [next(pairs) for _ in range(int(rng.integers(5, 10)))]
        texts.append(TextPlan(name=f"text-{index:03d}", lines=narrate_unseen(chosen, rng)))
    return CorpusPlan(videos=tuple(videos), texts=tuple(texts), held_out_pairs=unseen)


def held_out_pairs(seed: int) -> tuple[Pair, ...]:
    """Return the pairs of verb and object that only test videos show: every verb once, every object once."""
    order = np.random.default_rng(derive_seed(seed, "held-out")).permutation(len(OBJECTS))
    return tuple((verb, OBJECTS[k]) for verb, k in zip(VERBS, order, strict=True))


def _deck(pairs: Sequence[Pair], *, seed: int) -> Iterator[Pair]:
    """Deal the pairs in random order, all of them before any comes again, so that none is frequent."""
    rng = np.random.default_rng(seed)
    while True:
        for k in rng.permutation(len(pairs)):
            yield pairs[k]


def _pairs(seed: int, split: Split, *, seen: Sequence[Pair], unseen: Sequence[Pair]) -> Iterator[Pair]:
    common = _deck(seen, seed=derive_seed(seed, "deck", split))
    if split != "test":
        yield from common
    rare = _deck(unseen, seed=derive_seed(seed, "deck", "unseen"))
    rng = np.random.default_rng(derive_seed(seed, "deck", "choice"))
    while True:
        yield next(rare) if rng.random() < HELD_OUT_SHARE_OF_TEST else next(common)


def _silent(seed: int, split: Split, num_videos: int) -> frozenset[int]:
    """Return the videos without text: a fixed share, spread at random."""
    order = np.random.default_rng(derive_seed(seed, "silent", split)).permutation(num_videos)
    return frozenset(order[: round(num_videos * NO_TEXT_SHARE)].tolist())


def _plan_video(seed: int, split: Split, *, index: int, pairs: Iterator[Pair], has_text: bool) -> VideoPlan:
    name = f"{split}-{index:03d}"
    video_seed = derive_seed(seed, "video", name)
    rng = np.random.default_rng(video_seed)
    steps: list[Step] = []
    shots: list[Shot] = []
    frame = 0
    num_steps = int(rng.integers(4, 6))
    for k in range(num_steps):
        if rng.random() < (0.6 if k == 0 else 0.25):
            length = int(rng.integers(15, 36))
            shots.append(Shot(view="idle", start_frame=frame, num_frames=length, step=None, seed=_draw(rng)))
            frame += length
        verb, thing = next(pairs)
        step_shots = _plan_shots(frame, step=k, rng=rng)
        length = sum(shot.num_frames for shot in step_shots)
        steps.append(Step(verb=verb, object=thing, start_frame=frame, num_frames=length, seed=_draw(rng)))
        shots += step_shots
        frame += length
    lines = narrate(
        [(s.verb, s.object, s.start_seconds, s.end_seconds) for s in steps],
        frame / FRAMES_PER_SECOND,
        rng=rng,
    )
    return VideoPlan(
        name=name,
        split=split,
        seed=video_seed,
        num_frames=frame,
        steps=tuple(steps),
        shots=tuple(shots),
        lines=lines if has_text else None,
    )


def _plan_shots(start_frame: int, *, step: int, rng: np.random.Generator) -> list[Shot]:
    """Return a step's shots: mostly the object first, then the action from afar and from near, in varied order."""
    orders: tuple[tuple[View, ...], ...] = (
        ("present", "wide", "close"),
        ("present", "close"),
        ("wide", "present", "close"),
        ("present", "close", "wide"),
        ("close", "present", "close"),
    )
    lengths = {"present": (16, 22), "wide": (12, 18), "close": (20, 28)}
    shots = []
    for view in orders[int(rng.integers(len(orders)))]:
        length = int(rng.integers(*lengths[view]))
        shots.append(Shot(view=view, start_frame=start_frame, num_frames=length, step=step, seed=_draw(rng)))
        start_frame += length
    return shots


def _draw(rng: np.random.Generator) -> int:
    return int(rng.integers(2**62))

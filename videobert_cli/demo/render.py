"""A plan becomes frames, frames become H.264: the same plan gives the same bytes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from videobert_cli.core.video.h264 import write_h264
from videobert_cli.demo.action import Act, Moment
from videobert_cli.demo.objects import NUM_VARIANTS, Looks, looks
from videobert_cli.demo.paint import Point
from videobert_cli.demo.plan import FRAMES_PER_SECOND, Shot, Step, VideoPlan
from videobert_cli.demo.scene import (
    CANVAS_SIZE,
    FRAME_SIZE,
    SURFACES,
    Light,
    Stage,
    apply_light,
    make_camera,
    make_light,
    make_surface,
)
from videobert_cli.demo.tools import Tools
from videobert_cli.demo.verbs import draw_action, focus

_SCALES = {"present": (1.25, 1.75), "wide": (0.78, 1.0), "close": (1.15, 1.5), "idle": (0.7, 1.1)}


@dataclass(frozen=True, kw_only=True)
class Kitchen:
    """What all shots of one video share."""

    surface: Image.Image
    wall: Image.Image
    tools: Tools
    light: Light
    shake_pixels: float
    seed: int


def write_video(path: Path, *, plan: VideoPlan, seed: int) -> None:
    """Render the plan's video to `path` as H.264 in MP4; `seed` is the corpus's and fixes the looks of the objects."""
    frames = (np.asarray(picture) for picture in render_frames(plan, seed=seed))
    write_h264(path, frames, size=FRAME_SIZE, frames_per_second=FRAMES_PER_SECOND)


def render_frames(plan: VideoPlan, *, seed: int) -> Iterator[Image.Image]:
    """Yield the video's frames in order, RGB."""
    kitchen = _make_kitchen(plan, seed)
    for shot in plan.shots:
        step = None if shot.step is None else plan.steps[shot.step]
        yield from _render_shot(shot, step, kitchen=kitchen)


def _make_kitchen(plan: VideoPlan, seed: int) -> Kitchen:
    rng = np.random.default_rng([plan.seed, 1])
    first, second = rng.permutation(len(SURFACES))[:2]
    return Kitchen(
        surface=make_surface(SURFACES[first], rng),
        wall=make_surface(SURFACES[second], rng, size=(360, 120)),
        tools=Tools(plan.seed),
        light=make_light(rng),
        shake_pixels=float(rng.choice([0.2, 0.8, 1.8])),
        seed=seed,
    )


def _render_shot(shot: Shot, step: Step | None, *, kitchen: Kitchen) -> Iterator[Image.Image]:
    rng = np.random.default_rng(shot.seed)
    scale = float(rng.uniform(*_SCALES[shot.view]))
    centre = _centre(shot, step)
    jitter = rng.uniform(-1, 1, 2) * (30 if shot.view == "idle" else 16)
    origin = (
        CANVAS_SIZE[0] / 2 - centre[0] * scale + jitter[0],
        CANVAS_SIZE[1] / 2 - centre[1] * scale + jitter[1] * 0.7,
    )
    stage = Stage(scale=scale, origin=origin, tilt_degrees=float(rng.normal(0, 3)))
    backdrop = _backdrop(shot, kitchen, stage=stage, rng=rng)
    camera = make_camera(rng, shake_pixels=kitchen.shake_pixels)
    act = None if step is None else _act(step, kitchen)
    start_seconds = shot.start_frame / FRAMES_PER_SECOND
    for k in range(shot.num_frames):
        canvas = backdrop.copy()
        seconds = start_seconds + k / FRAMES_PER_SECOND
        if step is not None and act is not None:
            moment = _moment(step, stage=stage, canvas=canvas, seconds=seconds)
            if shot.view == "present":
                _present(moment, act, progress=k / shot.num_frames)
            else:
                draw_action(step.verb, moment=moment, act=act)
        frame = camera.look(canvas, time_seconds=seconds, progress=k / shot.num_frames)
        yield apply_light(frame, kitchen.light)


def _centre(shot: Shot, step: Step | None) -> Point:
    return (0.0, 0.0) if step is None or shot.view == "present" else focus(step.verb)


def _act(step: Step, kitchen: Kitchen) -> Act:
    rng = np.random.default_rng(step.seed)
    appearance: Looks = looks(step.object, variant=int(rng.integers(NUM_VARIANTS)), seed=kitchen.seed)
    return Act(
        looks=appearance, tools=kitchen.tools, tempo=float(rng.uniform(0.75, 1.35)), chances=rng.random(97)
    )


def _moment(step: Step, *, stage: Stage, canvas: Image.Image, seconds: float) -> Moment:
    since = seconds - step.start_seconds
    done = min(1.0, max(0.0, since / (step.end_seconds - step.start_seconds)))
    return Moment(stage=stage, canvas=canvas, draw=ImageDraw.Draw(canvas), seconds=since, done=done)


def _present(moment: Moment, act: Act, *, progress: float) -> None:
    """Show the object itself: put down, lifted or turned by a hand."""
    manner = int(act.chance(60) * 3)
    ease = min(1.0, progress * 2.5)
    drop = (-70 * (1 - ease), 0.0, -8 * progress)[manner]
    angle = (10 * (act.chance(61) - 0.5), 40 * (progress - 0.5), 0.0)[manner]
    at = (-6.0, 4 + drop)
    moment.put(act.looks.whole, at, angle=angle, size=1.1)
    reach = act.looks.whole.width * 0.27 + 58
    withdrawn = (90 * max(0.0, progress - 0.5), 120.0, 0.0)[manner]
    moment.put(act.tools["hand"], (at[0] + reach + withdrawn, at[1] + 12), angle=-8)


def _backdrop(shot: Shot, kitchen: Kitchen, *, stage: Stage, rng: np.random.Generator) -> Image.Image:
    """Return the canvas behind the action: worktop, sometimes a wall, and things that stand about."""
    width, height = CANVAS_SIZE
    zoom = float(np.clip(stage.scale, 0.8, 1.4))
    crop_width, crop_height = width / zoom, height / zoom
    left = float(rng.uniform(0, kitchen.surface.width - crop_width))
    top = float(rng.uniform(0, kitchen.surface.height - crop_height))
    box = (left, top, left + crop_width, top + crop_height)
    canvas = kitchen.surface.resize(CANVAS_SIZE, Image.Resampling.BILINEAR, box=box)
    if shot.view in {"wide", "idle"} and rng.random() < 0.6:
        band = int(rng.integers(40, 80))
        canvas.paste(kitchen.wall.crop((0, 0, width, band)), (0, 0))
    tools = kitchen.tools
    clutter = (tools["mug"], tools["jar"], tools["bowl"], tools["plate"], tools["mug"], tools["jar"])
    num_things = int(rng.integers(3, 6)) if shot.view == "idle" else int(rng.integers(0, 4))
    for _ in range(num_things):
        thing = clutter[int(rng.integers(len(clutter)))]
        side = float(rng.choice([-1.0, 1.0]))
        spread = rng.uniform(0, 1) if shot.view == "idle" else rng.uniform(0.75, 1.1)
        at = (side * spread * 130, float(rng.uniform(-80, 70)))
        stage.put(canvas, thing, at, size=float(rng.uniform(0.7, 1)))
    return canvas

"""What the eight objects look like: whole, peeled, in slices, in pieces."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from videobert_cli.demo.paint import Colour, Sketch, mix, ring, tint, vary
from videobert_cli.runtime import derive_seed

NUM_VARIANTS = 4
WHITE: Colour = (250, 248, 240)


@dataclass(frozen=True, kw_only=True, eq=False)
class Looks:
    """The sprites of one object: a cross-section, half of one (`piece`), a strip of peel. Equal only to itself."""

    whole: Image.Image
    peeled: Image.Image
    slice: Image.Image
    piece: Image.Image
    curl: Image.Image
    skin: Colour
    flesh: Colour


@cache
def looks(name: str, *, variant: int, seed: int) -> Looks:
    """Return the sprites of the object `name`; the `NUM_VARIANTS` variants differ in shape and shade."""
    rng = np.random.default_rng(derive_seed(seed, "object", name, variant))
    skin, flesh, draw_whole, draw_slice = _OBJECTS[name]
    skin, flesh = vary(skin, rng), vary(flesh, rng, 6)
    whole = draw_whole(skin, rng)
    cross_section = draw_slice(skin, flesh, rng)
    width, height = cross_section.size
    return Looks(
        whole=whole,
        peeled=tint(whole, flesh, rng),
        slice=cross_section,
        piece=cross_section.crop((0, 0, width, round(height * 0.56))),
        curl=_curl(skin, flesh, rng),
        skin=skin,
        flesh=flesh,
    )


def _curl(skin: Colour, flesh: Colour, rng: np.random.Generator) -> Image.Image:
    sketch = Sketch(46, 46)
    turns = [(k * 0.62, 15 - 1.1 * k) for k in range(9)]
    spiral = [(radius * math.cos(angle), radius * math.sin(angle)) for angle, radius in turns]
    sketch.line(spiral, 8.5, skin)
    sketch.line([(x + 1, y + 1) for x, y in spiral], 3.5, mix(flesh, skin, 0.25))
    return sketch.finish(rng, relief=0.3)


def _tomato(skin: Colour, rng: np.random.Generator) -> Image.Image:
    sketch = Sketch(96, 92)
    wobble = rng.uniform(-0.03, 0.03, 9).tolist()
    sketch.polygon(ring(72, (42, 38), wobble=np.repeat(wobble, 8).tolist()), mix(skin, (120, 10, 10), 0.25))
    sketch.ellipse((0, 0), (41, 37), skin)
    for x in (-20, 0, 20):
        sketch.arc((x - 14, -30, x + 14, 34), (60, 120), width=1.5, colour=mix(skin, (110, 10, 10), 0.35))
    sketch.ellipse((-17, -14), (10, 6), mix(skin, WHITE, 0.5))
    for k in range(6):
        angle = 2 * math.pi * k / 6 + rng.uniform(0, 0.5)
        tip = (20 * math.cos(angle), -27 + 11 * math.sin(angle))
        sketch.polygon([(-4, -30), tip, (4, -24)], (60, 130, 45))
    sketch.line([(0, -27), (3, -40)], 4, (80, 120, 50))
    return sketch.finish(rng, relief=0.5)


def _tomato_slice(skin: Colour, flesh: Colour, rng: np.random.Generator) -> Image.Image:
    sketch = Sketch(60, 60)
    sketch.ellipse((0, 0), (28, 28), skin)
    sketch.ellipse((0, 0), (25, 25), flesh)
    for k in range(5):
        angle = 2 * math.pi * k / 5 + rng.uniform(0, 0.4)
        centre = (14 * math.cos(angle), 14 * math.sin(angle))
        sketch.ellipse(centre, (7, 7), (190, 60, 20))
        for dx, dy in ((-3, -2), (2, 3), (3, -3)):
            sketch.ellipse((centre[0] + dx, centre[1] + dy), (1.6, 1.2), (245, 220, 130))
    return sketch.finish(rng, relief=0.2)


def _carrot(skin: Colour, rng: np.random.Generator) -> Image.Image:
    sketch = Sketch(150, 60)
    for k in range(7):
        tip = (-72 + rng.uniform(-2, 6), -26 + 8.5 * k)
        sketch.line([(-42, 0), (-58, tip[1] * 0.5), tip], 4, vary((60, 145, 45), rng, 18))
    thick = rng.uniform(17, 21)
    sketch.polygon(
        [(-44, -thick), (0, -thick * 0.78), (62, -4), (70, 0), (62, 4), (0, thick * 0.78), (-44, thick)], skin
    )
    sketch.ellipse((-44, 0), (8, thick), skin)
    for x in range(-40, 60, 12):
        half = thick * (1 - (x + 44) / 125)
        top = rng.uniform(-0.9, 0.2)
        sketch.line([(x, half * top), (x + 1, half * (top + 0.6))], 1.4, mix(skin, (140, 60, 0), 0.5))
    return sketch.finish(rng, relief=0.5)


def _carrot_slice(skin: Colour, flesh: Colour, rng: np.random.Generator) -> Image.Image:
    sketch = Sketch(52, 52)
    sketch.ellipse((0, 0), (24, 24), mix(skin, (160, 70, 0), 0.15))
    sketch.ellipse((0, 0), (21, 21), flesh)
    sketch.ellipse((0, 0), (11, 11), mix(flesh, (255, 215, 120), 0.6))
    for k in range(12):
        angle = 2 * math.pi * k / 12
        sketch.line(
            [(9 * math.cos(angle), 9 * math.sin(angle)), (15 * math.cos(angle), 15 * math.sin(angle))],
            1,
            skin,
        )
    return sketch.finish(rng, relief=0.2)


def _potato(skin: Colour, rng: np.random.Generator) -> Image.Image:
    sketch = Sketch(110, 80)
    wobble = np.repeat(rng.uniform(-0.09, 0.09, 6), 10)
    wobble = np.convolve(np.tile(wobble, 3), np.ones(9) / 9, "same")[60:120]
    sketch.polygon(ring(60, (46, 31), wobble=wobble.tolist()), skin)
    for _ in range(26):
        x, y = rng.uniform(-36, 36), rng.uniform(-22, 22)
        size = rng.uniform(0.8, 2.6)
        sketch.ellipse((x, y), (size * 1.5, size), mix(skin, (80, 50, 20), rng.uniform(0.25, 0.6)))
    for _ in range(5):
        x, y = rng.uniform(-30, 30), rng.uniform(-16, 16)
        sketch.arc((x - 5, y - 3, x + 5, y + 3), (180, 360), width=1.3, colour=mix(skin, (60, 35, 15), 0.7))
    return sketch.finish(rng, relief=0.5, texture=0.14)


def _potato_slice(skin: Colour, flesh: Colour, rng: np.random.Generator) -> Image.Image:
    sketch = Sketch(66, 54)
    wobble = rng.uniform(-0.05, 0.05, 12).tolist()
    sketch.polygon(ring(36, (30, 24), wobble=np.repeat(wobble, 3).tolist()), mix(skin, (90, 55, 20), 0.3))
    sketch.ellipse((0, 0), (27, 21), flesh)
    return sketch.finish(rng, relief=0.2, texture=0.04)


def _onion(skin: Colour, rng: np.random.Generator) -> Image.Image:
    sketch = Sketch(90, 104)
    for dx in (-5, 0, 6):
        sketch.line([(dx * 0.4, -30), (dx, -48)], 4, mix(skin, (200, 160, 110), 0.6))
    sketch.polygon([(-9, -44), (9, -44), (22, -26), (-22, -26)], skin)
    sketch.ellipse((0, 2), (39, 34), skin)
    for width in (10, 22, 34):
        sketch.arc((-width, -46, width, 37), (90, 270), width=1.6, colour=mix(skin, (240, 190, 220), 0.45))
        sketch.arc((-width, -46, width, 37), (270, 450), width=1.2, colour=mix(skin, (60, 10, 40), 0.5))
    for k in range(7):
        sketch.line([(0, 34), (-9 + 3 * k, 45)], 1.2, (215, 195, 160))
    sketch.ellipse((-15, -10), (6, 9), mix(skin, WHITE, 0.45))
    return sketch.finish(rng, relief=0.5)


def _onion_slice(skin: Colour, flesh: Colour, rng: np.random.Generator) -> Image.Image:
    sketch = Sketch(62, 62)
    for k, radius in enumerate((29, 26, 22.5, 19.5, 16, 13, 10, 7, 4)):
        sketch.ellipse((0, 0), (radius, radius * 0.97), flesh if k % 2 else mix(skin, flesh, 0.15 + 0.03 * k))
    return sketch.finish(rng, relief=0.2, texture=0.04)


def _lemon(skin: Colour, rng: np.random.Generator) -> Image.Image:
    sketch = Sketch(108, 76)
    sketch.ellipse((0, 0), (40, 31), skin)
    sketch.polygon([(34, -14), (50, -5), (51, 4), (34, 14)], skin)
    sketch.polygon([(-34, -14), (-46, -4), (-46, 4), (-34, 14)], skin)
    for _ in range(60):
        x, y = rng.uniform(-34, 34), rng.uniform(-24, 24)
        sketch.ellipse((x, y), (0.9, 0.9), mix(skin, (190, 140, 0), 0.4))
    sketch.ellipse((-14, -13), (9, 5), mix(skin, WHITE, 0.6))
    sketch.ellipse((-46, 0), (3, 3), (110, 110, 40))
    return sketch.finish(rng, relief=0.5)


def _lemon_slice(skin: Colour, flesh: Colour, rng: np.random.Generator) -> Image.Image:
    sketch = Sketch(60, 60)
    sketch.ellipse((0, 0), (28, 28), skin)
    sketch.ellipse((0, 0), (25, 25), (252, 250, 225))
    start = rng.uniform(0, 1)
    for k in range(9):
        middle = 2 * math.pi * (k + start) / 9
        points = [(3 * math.cos(middle), 3 * math.sin(middle))]
        points += [
            (22 * math.cos(middle + d), 22 * math.sin(middle + d)) for d in (-0.29, -0.15, 0, 0.15, 0.29)
        ]
        sketch.polygon(points, flesh)
    return sketch.finish(rng, relief=0.2)


def _egg(skin: Colour, rng: np.random.Generator) -> Image.Image:
    sketch = Sketch(78, 96)
    points = []
    for k in range(72):
        angle = 2 * math.pi * k / 72
        points.append(((31 - 4 * math.sin(-angle)) * math.cos(angle), 42 * math.sin(angle)))
    sketch.polygon(points, skin)
    sketch.ellipse((-10, -16), (7, 11), mix(skin, (255, 255, 255), 0.7))
    return sketch.finish(rng, relief=0.6, texture=0.015)


def _egg_slice(skin: Colour, flesh: Colour, rng: np.random.Generator) -> Image.Image:
    sketch = Sketch(62, 56)
    wobble = rng.uniform(-0.04, 0.04, 9).tolist()
    sketch.polygon(ring(36, (29, 25), wobble=np.repeat(wobble, 4).tolist()), mix(skin, (255, 255, 255), 0.8))
    sketch.ellipse((rng.uniform(-3, 3), 0), (15, 14), (246, 178, 30))
    sketch.ellipse((-5, -5), (4, 3), mix(flesh, (255, 235, 150), 0.5))
    return sketch.finish(rng, relief=0.3, texture=0.015)


def _mushroom(skin: Colour, rng: np.random.Generator) -> Image.Image:
    sketch = Sketch(100, 96)
    stem = (236, 224, 204)
    sketch.polygon([(-13, 0), (13, 0), (17, 40), (0, 44), (-17, 40)], stem)
    sketch.ellipse((0, 3), (38, 10), (120, 88, 70))
    for k in range(-6, 7):
        sketch.line([(k * 2.2, 4), (k * 5.6, 6)], 0.8, (90, 62, 48))
    dome = [p for p in ring(60, (44, 42)) if p[1] <= 0]
    sketch.polygon([(x, y + 3) for x, y in sorted(dome)], skin)
    for _ in range(12):
        x, y = rng.uniform(-30, 30), rng.uniform(-28, -4)
        sketch.ellipse((x, y), (rng.uniform(1.5, 4), rng.uniform(1, 2.5)), mix(skin, WHITE, 0.3))
    return sketch.finish(rng, relief=0.5)


def _mushroom_slice(skin: Colour, flesh: Colour, rng: np.random.Generator) -> Image.Image:
    sketch = Sketch(64, 60)
    dome = [p for p in ring(60, (30, 30)) if p[1] <= 0]
    sketch.polygon([(x, y + 4) for x, y in sorted(dome)], skin)
    sketch.rectangle((-9, 0, 9, 28), mix(skin, flesh, 0.5), 4)
    sketch.polygon([(x * 0.88, y * 0.88 + 3) for x, y in sorted(dome)], flesh)
    sketch.rectangle((-7, 0, 7, 26), flesh, 4)
    for side in (-1, 1):
        sketch.polygon([(side * 9, 3), (side * 25, 3), (side * 20, -6), (side * 9, -8)], (120, 88, 70))
    return sketch.finish(rng, relief=0.25)


def _cabbage(skin: Colour, rng: np.random.Generator) -> Image.Image:
    sketch = Sketch(104, 98)
    wobble = rng.uniform(-0.07, 0.07, 24).tolist()
    sketch.polygon(ring(72, (46, 43), wobble=np.repeat(wobble, 3).tolist()), mix(skin, (30, 80, 30), 0.3))
    for k, (x, y) in enumerate(((-12, 8), (13, 5), (0, -4))):
        leaf = mix(skin, (225, 240, 170), 0.12 + 0.16 * k)
        wobble = rng.uniform(-0.08, 0.08, 18).tolist()
        sketch.polygon(
            [(px + x, py + y) for px, py in ring(54, (33, 34), wobble=np.repeat(wobble, 3).tolist())], leaf
        )
        vein = mix(leaf, (250, 255, 225), 0.6)
        sketch.line([(x, y + 33), (x, y - 24)], 2.4, vein)
        for dy in (20, 8, -4):
            sketch.line([(x, y + dy), (x - 22, y + dy - 16)], 1.3, vein)
            sketch.line([(x, y + dy), (x + 22, y + dy - 16)], 1.3, vein)
    return sketch.finish(rng, relief=0.5)


def _cabbage_slice(skin: Colour, flesh: Colour, rng: np.random.Generator) -> Image.Image:
    sketch = Sketch(64, 62)
    for k, radius in enumerate((30, 27, 24, 21, 18, 15, 12, 9)):
        wobble = np.repeat(rng.uniform(-0.07, 0.07, 16), 3).tolist()
        colour = mix(skin, flesh, min(1.0, 0.1 + 0.12 * k)) if k % 2 == 0 else mix(flesh, WHITE, 0.5)
        sketch.polygon(ring(48, (radius, radius * 0.96), wobble=wobble), colour)
    sketch.polygon([(-4, 29), (4, 29), (1, -2), (-1, -2)], WHITE)
    return sketch.finish(rng, relief=0.2)


_OBJECTS: dict[str, tuple[Colour, Colour, Callable[..., Image.Image], Callable[..., Image.Image]]] = {
    "tomato": ((208, 42, 28), (232, 96, 70), _tomato, _tomato_slice),
    "carrot": ((238, 122, 24), (248, 152, 56), _carrot, _carrot_slice),
    "potato": ((178, 136, 84), (242, 226, 168), _potato, _potato_slice),
    "onion": ((134, 40, 92), (240, 222, 236), _onion, _onion_slice),
    "lemon": ((244, 212, 36), (250, 236, 122), _lemon, _lemon_slice),
    "egg": ((240, 226, 208), (253, 252, 248), _egg, _egg_slice),
    "mushroom": ((156, 112, 78), (243, 234, 218), _mushroom, _mushroom_slice),
    "cabbage": ((96, 156, 62), (214, 234, 160), _cabbage, _cabbage_slice),
}
OBJECTS = tuple(_OBJECTS)

"""The tools and vessels of the kitchen as sprites: colours and make differ from video to video."""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from PIL import Image

from videobert_cli.demo.paint import Colour, Sketch, mix, ring, vary
from videobert_cli.runtime import derive_seed

ToolName = Literal[
    "hand",
    "knife",
    "board",
    "peeler",
    "tap",
    "basin",
    "grinder",
    "crank",
    "pan",
    "pot",
    "spoon",
    "kettle",
    "shaker",
    "plate",
    "bowl",
    "mug",
    "jar",
]

STEEL: Colour = (186, 192, 198)
DARK: Colour = (38, 38, 42)
_HANDLES: tuple[Colour, ...] = (
    (34, 32, 34),
    (112, 70, 40),
    (176, 36, 40),
    (40, 84, 150),
    (232, 230, 224),
    (60, 120, 80),
)
_WOODS: tuple[Colour, ...] = ((196, 150, 98), (150, 102, 62), (222, 190, 146), (108, 72, 48))
_SKINS: tuple[Colour, ...] = ((240, 200, 172), (214, 164, 128), (168, 116, 82), (112, 74, 52))
_SLEEVES: tuple[Colour, ...] = ((236, 236, 236), (40, 60, 110), (150, 40, 48), (70, 70, 76), (92, 130, 96))


class Tools:
    """One kitchen's tools, drawn when first used; a tool is placed by the middle of its sprite.

    Every tool has its own random numbers, so that which of them a video uses changes none of the others.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._sprites: dict[ToolName, Image.Image] = {}

    def __getitem__(self, name: ToolName) -> Image.Image:
        """Return the sprite of the tool."""
        if name not in self._sprites:
            self._sprites[name] = _TOOLS[name](np.random.default_rng(derive_seed(self._seed, "tool", name)))
        return self._sprites[name]


def _pick(colours: tuple[Colour, ...], rng: np.random.Generator) -> Colour:
    return vary(colours[int(rng.integers(len(colours)))], rng, 10)


def _hand(skin: Colour, sleeve: Colour, rng: np.random.Generator) -> Image.Image:
    """A fist that comes from the right: fingers at the middle of the sprite, the sleeve at its right end."""
    sketch = Sketch(170, 64)
    sketch.rectangle((44, -22, 85, 22), sleeve, 3)
    sketch.polygon([(14, -15), (50, -17), (50, 17), (14, 17)], skin)
    sketch.ellipse((8, 0), (20, 21), skin)
    for k in range(4):
        sketch.line([(8, -14 + 9 * k), (-8, -13 + 9 * k)], 8.5, mix(skin, (120, 60, 40), 0.08 * (k % 2)))
    sketch.line([(12, -18), (-4, -22)], 8, skin)
    return sketch.finish(rng, relief=0.4, texture=0.04)


def _knife(handle: Colour, rng: np.random.Generator) -> Image.Image:
    """Blade to the left, edge down; its middle is the middle of the blade."""
    sketch = Sketch(220, 46)
    sketch.polygon([(-78, 16), (-70, 2), (-48, -11), (44, -13), (44, 18), (-60, 19)], STEEL)
    sketch.polygon([(-78, 16), (-60, 9), (44, 8), (44, 18), (-60, 19)], (226, 231, 236))
    sketch.line([(-46, -9), (42, -11)], 1.4, (130, 136, 144))
    sketch.rectangle((44, -13, 52, 8), (120, 124, 130))
    sketch.rectangle((50, -13, 106, 8), handle, 6)
    for x in (62, 78, 94):
        sketch.ellipse((x, -3), (2.4, 2.4), (210, 210, 206))
    return sketch.finish(rng, relief=0.3, texture=0.03)


def _board(rng: np.random.Generator) -> Image.Image:
    wood = _pick(_WOODS, rng) if rng.random() < 0.7 else (230, 232, 230)
    sketch = Sketch(236, 136)
    sketch.rectangle((-114, -60, 114, 66), mix(wood, (40, 25, 10), 0.45), 12)
    sketch.rectangle((-114, -64, 114, 58), wood, 12)
    for y in range(-56, 56, 9):
        shift = rng.uniform(-3, 3)
        sketch.line(
            [(-108, y), (-20, y + shift), (108, y + rng.uniform(-3, 3))], 1.2, mix(wood, (70, 40, 15), 0.25)
        )
    sketch.ellipse((98, 0), (6, 9), mix(wood, (30, 20, 10), 0.6))
    return sketch.finish(rng, relief=0.1, texture=0.06)


def _peeler(handle: Colour, rng: np.random.Generator) -> Image.Image:
    """A Y-shaped peeler, blade at the left end: the blade's middle is 45 units left of the sprite's middle."""
    sketch = Sketch(130, 62)
    sketch.line([(-45, -24), (-24, -24), (2, -6)], 6, STEEL)
    sketch.line([(-45, 24), (-24, 24), (2, 6)], 6, STEEL)
    sketch.rectangle((-51, -26, -39, 26), (224, 228, 232), 2)
    sketch.rectangle((-47, -22, -43, 22), (70, 74, 80), 2)
    sketch.rectangle((-2, -9, 60, 9), handle, 8)
    return sketch.finish(rng, relief=0.35, texture=0.03)


def _tap(rng: np.random.Generator) -> Image.Image:
    """A gooseneck tap whose mouth opens down, 30 units left and 30 below the sprite's middle."""
    chrome = vary((170, 178, 186), rng, 12)
    sketch = Sketch(120, 130)
    sketch.line([(42, 64), (42, -14)], 17, chrome)
    sketch.arc((-38.5, -52, 50.5, 22), (180, 360), width=17, colour=chrome)
    sketch.line([(-30, -15), (-30, 22)], 17, chrome)
    sketch.arc((-33, -46, 45, 26), (185, 350), width=3, colour=(236, 240, 244))
    sketch.line([(39, 60), (39, -12)], 3, (236, 240, 244))
    sketch.rectangle((-42, 18, -18, 30), mix(chrome, DARK, 0.4), 3)
    sketch.line([(46, 20), (58, 8)], 7, mix(chrome, DARK, 0.25))
    return sketch.finish(rng, relief=0.5, texture=0.02)


def _basin(rng: np.random.Generator) -> Image.Image:
    steel = vary((150, 158, 166), rng, 20) if rng.random() < 0.6 else vary((226, 226, 222), rng, 12)
    sketch = Sketch(290, 190)
    sketch.rectangle((-143, -93, 143, 93), mix(steel, (255, 255, 255), 0.35), 26)
    sketch.rectangle((-130, -80, 130, 86), mix(steel, DARK, 0.35), 22)
    sketch.rectangle((-118, -62, 118, 80), steel, 20)
    sketch.ellipse((0, 46), (22, 9), mix(steel, DARK, 0.55))
    sketch.ellipse((0, 46), (15, 6), DARK)
    return sketch.finish(rng, relief=0.15, texture=0.05)


def _grinder(rng: np.random.Generator) -> Image.Image:
    """A hand mill: funnel on top, mouth with holes to the left (58 left, 8 below the middle), crank to the right."""
    iron = vary((142, 148, 156), rng, 22)
    sketch = Sketch(170, 170)
    sketch.polygon([(-14, 20), (26, 20), (36, 82), (-2, 82)], mix(iron, DARK, 0.25))
    sketch.rectangle((-20, 74, 56, 84), mix(iron, DARK, 0.4), 4)
    sketch.polygon([(-46, -78), (48, -78), (22, -26), (-18, -26)], iron)
    sketch.ellipse((1, -78), (47, 6), mix(iron, DARK, 0.55))
    sketch.rectangle((-14, -34, 20, 0), iron, 3)
    sketch.rectangle((-50, -16, 50, 32), iron, 14)
    sketch.rectangle((46, 2, 66, 14), mix(iron, DARK, 0.3), 2)
    sketch.ellipse((-54, 8), (19, 29), mix(iron, (255, 255, 255), 0.25))
    sketch.ellipse((-56, 8), (14, 23), mix(iron, DARK, 0.2))
    for dx, dy in ((0, 0), (-6, -9), (5, -9), (-7, 9), (5, 9), (0, -17), (0, 17), (-9, 0), (8, 0)):
        sketch.ellipse((-56 + dx, 8 + dy), (2.4, 3.2), DARK)
    return sketch.finish(rng, relief=0.5, texture=0.05)


def _crank(wood: Colour, rng: np.random.Generator) -> Image.Image:
    """The mill's crank: it turns about the sprite's middle."""
    sketch = Sketch(116, 116)
    sketch.line([(0, 0), (0, -42)], 8, STEEL)
    sketch.ellipse((0, 0), (8, 8), (120, 124, 130))
    sketch.rectangle((-7, -56, 30, -40), wood, 6)
    return sketch.finish(rng, relief=0.4, texture=0.04)


def _pan(handle: Colour, rng: np.random.Generator) -> Image.Image:
    iron = vary((46, 46, 50), rng, 8)
    sketch = Sketch(300, 130)
    sketch.polygon([(92, -8), (146, -30), (148, -18), (94, 10)], handle)
    sketch.ellipse((0, 14), (102, 46), mix(iron, (0, 0, 0), 0.5))
    sketch.ellipse((0, 0), (106, 50), mix(iron, (200, 200, 205), 0.3))
    sketch.ellipse((0, 2), (100, 45), iron)
    sketch.ellipse((0, 7), (86, 36), (62, 56, 48))
    sketch.arc((-80, -26, 80, 38), (195, 255), width=2.5, colour=(150, 140, 116))
    return sketch.finish(rng, relief=0.2, texture=0.06)


def _pot(rng: np.random.Generator) -> Image.Image:
    enamel = _pick(((170, 44, 44), (52, 92, 150), (188, 192, 196), (222, 200, 150), (60, 100, 76)), rng)
    broth = _pick(((206, 150, 70), (190, 110, 60), (224, 200, 150)), rng)
    sketch = Sketch(250, 180)
    for side in (-1, 1):
        sketch.ellipse((side * 108, 2), (16, 10), mix(enamel, DARK, 0.3))
    sketch.rectangle((-104, -12, 104, 56), mix(enamel, DARK, 0.15))
    sketch.ellipse((0, 50), (104, 38), mix(enamel, DARK, 0.15))
    sketch.ellipse((0, -14), (107, 62), mix(enamel, (255, 255, 255), 0.3))
    sketch.ellipse((0, -12), (99, 55), mix(enamel, DARK, 0.55))
    sketch.ellipse((0, -4), (95, 48), broth)
    for k in range(4):
        inset = 14 + 18 * k
        sketch.arc(
            (-95 + inset, -52 + inset * 0.5, 95 - inset, 44 - inset * 0.5),
            (20 + 50 * k, 150 + 50 * k),
            width=1.6,
            colour=mix(broth, (255, 250, 220), 0.5),
        )
    return sketch.finish(rng, relief=0.15, texture=0.05)


def _spoon(wood: Colour, rng: np.random.Generator) -> Image.Image:
    """A wooden spoon, its bowl at the lower left end, its handle to the upper right."""
    sketch = Sketch(190, 170)
    sketch.line([(-56, 48), (86, -76)], 10, wood)
    sketch.polygon(
        [(x * 0.72 + y * 0.5 - 64, y * 0.72 - x * 0.62 + 55) for x, y in ring(40, (28, 17))],
        mix(wood, (60, 30, 10), 0.2),
    )
    sketch.polygon([(x * 0.72 + y * 0.5 - 65, y * 0.72 - x * 0.62 + 53) for x, y in ring(40, (23, 12))], wood)
    return sketch.finish(rng, relief=0.4, texture=0.05)


def _glass_pot(handle: Colour, rng: np.random.Generator) -> Image.Image:
    """A pot of glass seen from the side, three quarters full of water that can be seen through."""
    sketch = Sketch(240, 160)
    sketch.rectangle((92, -44, 116, -32), handle, 5)
    sketch.rectangle((-116, -44, -92, -32), handle, 5)
    sketch.rectangle((-96, -70, 96, 74), (214, 226, 230), 22)
    sketch.rectangle((-90, -66, 90, 68), (196, 214, 222), 18)
    sketch.rectangle((-90, -38, 90, 68), (126, 172, 196), 18)
    sketch.ellipse((0, -38), (90, 8), (178, 210, 224))
    sketch.rectangle((-98, -76, 98, -66), (150, 158, 164), 4)
    sketch.line([(-78, -54), (-78, 48)], 5, (232, 242, 246))
    sketch.rectangle((-90, 68, 90, 76), (120, 126, 132), 4)
    return sketch.finish(rng, relief=0.1, texture=0.02)


def _shaker(rng: np.random.Generator) -> Image.Image:
    """A salt cellar turned upside down: its holes are 44 units below the sprite's middle."""
    sketch = Sketch(70, 112)
    sketch.polygon([(-25, -52), (25, -52), (21, 18), (-21, 18)], vary((206, 220, 226), rng, 10))
    sketch.polygon([(-20, -30), (20, -30), (18, 16), (-18, 16)], (250, 250, 250))
    sketch.line([(-18, -46), (-15, 12)], 3, (255, 255, 255))
    sketch.rectangle((-23, 16, 23, 34), STEEL, 3)
    sketch.ellipse((0, 34), (23, 11), (206, 210, 214))
    for x in (-12, -4, 4, 12):
        for y in (34, 40):
            sketch.ellipse((x, y), (1.8, 1.8), DARK)
    return sketch.finish(rng, relief=0.4, texture=0.02)


def _plate(rng: np.random.Generator) -> Image.Image:
    glaze = _pick(((238, 238, 234), (236, 226, 206), (120, 150, 176), (84, 88, 92)), rng)
    band = _pick(((60, 90, 150), (150, 60, 60), (120, 140, 80), (230, 228, 222)), rng)
    sketch = Sketch(210, 120)
    sketch.ellipse((0, 5), (101, 52), mix(glaze, DARK, 0.4))
    sketch.ellipse((0, 0), (102, 53), glaze)
    sketch.ellipse((0, 0), (94, 48), band)
    sketch.ellipse((0, 0), (90, 45), glaze)
    sketch.ellipse((0, 3), (66, 31), mix(glaze, DARK, 0.1))
    return sketch.finish(rng, relief=0.1, texture=0.02)


def _bowl(rng: np.random.Generator) -> Image.Image:
    glaze = _pick(((236, 232, 222), (90, 120, 150), (170, 90, 60), (110, 130, 100)), rng)
    sketch = Sketch(110, 80)
    sketch.polygon([(-50, -14), (50, -14), (28, 34), (-28, 34)], glaze)
    sketch.ellipse((0, -14), (50, 17), mix(glaze, (255, 255, 255), 0.3))
    sketch.ellipse((0, -12), (45, 13), mix(glaze, DARK, 0.4))
    return sketch.finish(rng, relief=0.3, texture=0.03)


def _mug(rng: np.random.Generator) -> Image.Image:
    glaze = _pick(_SLEEVES, rng)
    sketch = Sketch(80, 80)
    sketch.arc((10, -16, 38, 18), (270, 450), width=6, colour=glaze)
    sketch.rectangle((-30, -28, 22, 32), glaze, 5)
    sketch.ellipse((-4, -28), (26, 7), mix(glaze, DARK, 0.5))
    return sketch.finish(rng, relief=0.3, texture=0.03)


def _jar(rng: np.random.Generator) -> Image.Image:
    content = _pick(((190, 160, 90), (120, 60, 40), (200, 190, 170), (90, 90, 50)), rng)
    sketch = Sketch(70, 100)
    sketch.rectangle((-26, -32, 26, 44), (206, 218, 222), 8)
    sketch.rectangle((-22, -14, 22, 40), content, 6)
    for _ in range(40):
        centre = (rng.uniform(-20, 20), rng.uniform(-12, 38))
        sketch.ellipse(centre, (2, 2), mix(content, DARK, rng.uniform(0, 0.4)))
    sketch.rectangle((-24, -44, 24, -30), _pick(_HANDLES, rng), 3)
    angle = rng.uniform(0, math.tau)
    sketch.ellipse((8 * math.cos(angle), -36), (3, 2), STEEL)
    return sketch.finish(rng, relief=0.3, texture=0.02)


_TOOLS: dict[ToolName, Callable[[np.random.Generator], Image.Image]] = {
    "hand": lambda rng: _hand(_pick(_SKINS, rng), _pick(_SLEEVES, rng), rng),
    "knife": lambda rng: _knife(_pick(_HANDLES, rng), rng),
    "board": _board,
    "peeler": lambda rng: _peeler(_pick(_HANDLES, rng), rng),
    "tap": _tap,
    "basin": _basin,
    "grinder": _grinder,
    "crank": lambda rng: _crank(_pick(_WOODS, rng), rng),
    "pan": lambda rng: _pan(_pick(_HANDLES[:3], rng), rng),
    "pot": _pot,
    "spoon": lambda rng: _spoon(_pick(_WOODS, rng), rng),
    "kettle": lambda rng: _glass_pot(_pick(_HANDLES, rng), rng),
    "shaker": _shaker,
    "plate": _plate,
    "bowl": _bowl,
    "mug": _mug,
    "jar": _jar,
}

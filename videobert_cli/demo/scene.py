"""Where it happens: kitchens, light and camera, and the stage on which sprites are placed."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from videobert_cli.demo.paint import SPRITE_PIXELS_PER_UNIT, Colour, Point, smooth_noise, vary

FRAME_SIZE = (192, 144)
# The camera sees most of the canvas: the rest is room for shake and pans.
CANVAS_SIZE = (288, 216)
_VIEW_WIDTH = 240
_ANGLE_STEP_DEGREES = 4
_MIN_LIGHT = 0.55
Surface = Literal["wood", "tiles", "marble", "granite", "cloth", "steel"]
Floats = NDArray[np.float32]


class Stage:
    """Places sprites by scene units; `scale` canvas pixels are one unit, the origin lies at `origin` (pixels).

    The camera's tilt is here and not in the camera: to turn few sprites once is cheaper than to turn every frame.
    """

    def __init__(self, *, scale: float, origin: Point, tilt_degrees: float) -> None:
        self.scale = scale
        self.origin = origin
        self._tilt_degrees = tilt_degrees
        self._cos = math.cos(math.radians(tilt_degrees)) * scale
        self._sin = math.sin(math.radians(tilt_degrees)) * scale
        self._cache: dict[tuple[int, int, int], tuple[Image.Image, Image.Image]] = {}

    def put(
        self, canvas: Image.Image, sprite: Image.Image, at: Point, *, angle: float = 0, size: float = 1
    ) -> None:
        """Paste the sprite with its middle at the point `at`, turned counterclockwise by `angle` degrees."""
        picture = self._picture(sprite, angle, size)
        x, y = self.pixel(at)
        canvas.paste(picture, (round(x - picture.width / 2), round(y - picture.height / 2)), picture)

    def pixel(self, point: Point) -> Point:
        """Return where a point of the scene lies on the canvas."""
        x, y = point
        return self.origin[0] + x * self._cos + y * self._sin, self.origin[1] - x * self._sin + y * self._cos

    def _picture(self, sprite: Image.Image, angle: float, size: float) -> Image.Image:
        # Turned and resized sprites are kept: the same few poses come back in every frame of a shot.
        key = (id(sprite), round(angle / _ANGLE_STEP_DEGREES), round(size * 40))
        if key not in self._cache:
            factor = key[2] / 40 * self.scale / SPRITE_PIXELS_PER_UNIT
            new_size = (max(1, round(sprite.width * factor)), max(1, round(sprite.height * factor)))
            picture = sprite.resize(new_size, Image.Resampling.BILINEAR)
            degrees = key[1] * _ANGLE_STEP_DEGREES + self._tilt_degrees
            picture = picture.rotate(degrees, Image.Resampling.BILINEAR, expand=True)
            # The sprite is kept with its picture, so that its id cannot come to mean another one.
            self._cache[key] = (sprite, picture)
        return self._cache[key][1]


def make_surface(
    kind: Surface, rng: np.random.Generator, *, size: tuple[int, int] = (480, 360)
) -> Image.Image:
    """Return a worktop or wall as an RGB picture of `size` (width, height)."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    colours, pattern = _SURFACES[kind]
    colour = vary(colours[int(rng.integers(len(colours)))], rng, 20)
    value = pattern(x, y, rng)
    value = value + 0.07 * smooth_noise(x.shape, cell_pixels=110, rng=rng)
    value = value + 0.03 * smooth_noise(x.shape, cell_pixels=6, rng=rng)
    pixels = np.clip(np.array(colour, dtype=np.float32) * (1 + value[..., None]), 0, 255)
    return Image.fromarray(pixels.astype(np.uint8), "RGB")


def _wood(_x: Floats, y: Floats, rng: np.random.Generator) -> Floats:
    plank_pixels = rng.uniform(50, 90)
    grain = 0.12 * smooth_noise(y.shape, cell_pixels=3, rng=rng, stretch=24)
    gaps = np.abs((y / plank_pixels) % 1 - 0.5) > 0.485
    return np.asarray(grain + 0.1 * np.sin(np.floor(y / plank_pixels + 0.5) * 37) - 0.35 * gaps)


def _tiles(x: Floats, y: Floats, rng: np.random.Generator) -> Floats:
    side = rng.uniform(36, 70)
    shades = (np.floor(x / side) * 12.9898 + np.floor(y / side) * 78.233) % 1
    return np.asarray(0.16 * shades - 0.4 * (np.minimum(x % side, y % side) < 3))


def _cloth(x: Floats, y: Floats, rng: np.random.Generator) -> Floats:
    side = rng.uniform(28, 64)
    stripes = (x % side < side / 2).astype(np.float32) + (y % side < side / 2)
    return np.asarray(0.22 * stripes - 0.22)


def _marble(x: Floats, y: Floats, rng: np.random.Generator) -> Floats:
    warp = 3 * smooth_noise(x.shape, cell_pixels=70, rng=rng)
    warp = warp + 0.5 * smooth_noise(x.shape, cell_pixels=18, rng=rng)
    return np.asarray(-0.3 * np.exp(-7 * np.abs(np.sin(x / 60 + y / 90 + warp))))


def _granite(x: Floats, _y: Floats, rng: np.random.Generator) -> Floats:
    grains = 0.3 * smooth_noise(x.shape, cell_pixels=2.5, rng=rng)
    return np.asarray(grains + 0.12 * smooth_noise(x.shape, cell_pixels=7, rng=rng))


def _steel(x: Floats, _y: Floats, rng: np.random.Generator) -> Floats:
    brushed = 0.08 * smooth_noise(x.shape, cell_pixels=2.5, rng=rng, stretch=40)
    return np.asarray(brushed + 0.1 * np.sin(x / 70 + rng.uniform(0, 6)))


_CERAMIC: tuple[Colour, ...] = (
    (214, 212, 204),
    (120, 150, 160),
    (180, 120, 90),
    (90, 110, 90),
    (200, 190, 140),
)
_SURFACES: dict[
    Surface, tuple[tuple[Colour, ...], Callable[[Floats, Floats, np.random.Generator], Floats]]
] = {
    "wood": (((150, 104, 62), (196, 156, 108), (92, 62, 42)), _wood),
    "tiles": (_CERAMIC, _tiles),
    "cloth": (_CERAMIC, _cloth),
    "marble": (((226, 224, 220), (70, 74, 76), (180, 190, 184)), _marble),
    "granite": (((96, 92, 90), (150, 140, 130), (60, 66, 74)), _granite),
    "steel": (((164, 170, 176),), _steel),
}
SURFACES = tuple(_SURFACES)


@dataclass(frozen=True, kw_only=True)
class Light:
    """A video's light: `table` maps channel values (768 entries), `falloff` darkens by place."""

    table: tuple[int, ...]
    falloff: Image.Image


def make_light(rng: np.random.Generator) -> Light:
    """Return a light of random colour, strength, contrast and direction."""
    warmth, green = rng.uniform(-0.16, 0.16), rng.uniform(-0.05, 0.05)
    gains = (1 + warmth, 1 + green, 1 - warmth)
    gamma, strength, lift = rng.uniform(0.75, 1.35), rng.uniform(0.82, 1.1), rng.uniform(0, 18)
    ramp = np.arange(256) / 255
    table: list[int] = []
    for gain in gains:
        table += np.clip(lift + 255 * strength * gain * ramp**gamma, 0, 255).astype(int).tolist()
    width, height = FRAME_SIZE
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle, depth = rng.uniform(0, math.tau), rng.uniform(0.05, 0.4)
    x, y = x / width - 0.5, y / height - 0.5
    value = 1 - depth * (0.5 + x * math.cos(angle) + y * math.sin(angle))
    value -= rng.uniform(0, 0.5) * (x**2 + y**2)
    value = np.clip(value, _MIN_LIGHT, 1) * 255
    return Light(table=tuple(table), falloff=Image.fromarray(value.astype(np.uint8), "L").convert("RGB"))


def apply_light(frame: Image.Image, light: Light) -> Image.Image:
    """Return the frame under the light."""
    return ImageChops.multiply(frame, light.falloff).point(list(light.table))


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A shot's camera: a slow move from one place and zoom to another, a shake, maybe mirrored."""

    start: Point
    end: Point
    zooms: Point
    shake_pixels: float
    phases: tuple[float, float, float, float]
    mirror: Literal["plain", "mirrored"]

    def look(self, canvas: Image.Image, *, time_seconds: float, progress: float) -> Image.Image:
        """Return the frame seen at `time_seconds` of the video, with `progress` 0..1 of the shot gone by."""
        a, b, c, d = self.phases
        shake_x = self.shake_pixels * (
            math.sin(2.3 * time_seconds + a) + 0.6 * math.sin(5.9 * time_seconds + b)
        )
        shake_y = self.shake_pixels * (
            math.sin(2.9 * time_seconds + c) + 0.6 * math.sin(6.7 * time_seconds + d)
        )
        x = CANVAS_SIZE[0] / 2 + self.start[0] + (self.end[0] - self.start[0]) * progress + shake_x
        y = CANVAS_SIZE[1] / 2 + self.start[1] + (self.end[1] - self.start[1]) * progress + shake_y
        zoom = self.zooms[0] + (self.zooms[1] - self.zooms[0]) * progress
        half_width = _VIEW_WIDTH / zoom / 2
        half_height = half_width * FRAME_SIZE[1] / FRAME_SIZE[0]
        x = min(max(x, half_width), CANVAS_SIZE[0] - half_width)
        y = min(max(y, half_height), CANVAS_SIZE[1] - half_height)
        box = (x - half_width, y - half_height, x + half_width, y + half_height)
        frame = canvas.resize(FRAME_SIZE, Image.Resampling.BILINEAR, box=box)
        return frame.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if self.mirror == "mirrored" else frame


def make_camera(rng: np.random.Generator, *, shake_pixels: float) -> Camera:
    """Return a camera for one shot."""
    zoom = rng.uniform(0.97, 1.12)
    a, b, c, d = rng.uniform(0, math.tau, 4).tolist()
    return Camera(
        start=(float(rng.uniform(-9, 9)), float(rng.uniform(-7, 7))),
        end=(float(rng.uniform(-9, 9)), float(rng.uniform(-7, 7))),
        zooms=(float(zoom), float(zoom * rng.uniform(0.97, 1.12))),
        shake_pixels=shake_pixels,
        phases=(a, b, c, d),
        mirror="plain" if rng.random() < 0.5 else "mirrored",
    )

"""Sprites from shapes: a sketch pad with antialiasing, relief and texture, and smooth noise for surfaces.

Scene units: an object of the kitchen is about 80 units wide; sprites hold 2 pixels a unit, sketches 4.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Point = tuple[float, float]
SPRITE_PIXELS_PER_UNIT = 2
_SKETCH_PIXELS_PER_UNIT = 4


class Sketch:
    """A transparent sheet with the origin in its middle, x to the right and y down, drawn on in scene units."""

    def __init__(self, width: float, height: float) -> None:
        self._half = (width / 2, height / 2)
        size = (round(width * _SKETCH_PIXELS_PER_UNIT), round(height * _SKETCH_PIXELS_PER_UNIT))
        self.image = Image.new("RGBA", size)
        self._draw = ImageDraw.Draw(self.image)

    def ellipse(self, centre: Point, radii: Point, colour: Colour) -> None:
        """Fill an ellipse."""
        (x, y), (rx, ry) = centre, radii
        self._draw.ellipse([self._pixel((x - rx, y - ry)), self._pixel((x + rx, y + ry))], fill=colour)

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """Fill a polygon."""
        self._draw.polygon([self._pixel(point) for point in points], fill=colour)

    def line(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        """Draw a line of `width` units with round joints and ends."""
        self._draw.line([self._pixel(p) for p in points], fill=colour, width=_pixels(width), joint="curve")
        for point in (points[0], points[-1]):
            self.ellipse(point, (width / 2, width / 2), colour)

    def arc(
        self, box: tuple[float, float, float, float], degrees: Point, *, width: float, colour: Colour
    ) -> None:
        """Draw a part of an ellipse's outline, from `degrees[0]` to `degrees[1]`, clockwise from three o'clock."""
        corners = [self._pixel(box[:2]), self._pixel(box[2:])]
        self._draw.arc(corners, degrees[0], degrees[1], fill=colour, width=_pixels(width))

    def rectangle(self, box: tuple[float, float, float, float], colour: Colour, radius: float = 0) -> None:
        """Fill a rectangle given by left, top, right, bottom, its corners rounded by `radius` units."""
        corners = [self._pixel(box[:2]), self._pixel(box[2:])]
        self._draw.rounded_rectangle(corners, radius=_pixels(radius) if radius else 0, fill=colour)

    def finish(self, rng: np.random.Generator, *, relief: float = 0.35, texture: float = 0.06) -> Image.Image:
        """Return the sprite: half the sketch's size, its rim shaded as if it stood out, its surface a little uneven."""
        return shade(self.image.reduce(2), rng, relief=relief, texture=texture)

    def _pixel(self, point: Point) -> Point:
        scale = _SKETCH_PIXELS_PER_UNIT
        return ((point[0] + self._half[0]) * scale, (point[1] + self._half[1]) * scale)


def shade(sprite: Image.Image, rng: np.random.Generator, *, relief: float, texture: float) -> Image.Image:
    """Return the sprite lit from the upper left over a rounded rim, with smooth noise of strength `texture`."""
    # The gain is smooth: a quarter of the resolution gives the same picture in a fraction of the time.
    small = sprite.getchannel("A").reduce(4)
    radius = min(small.size) / 9
    bump = np.asarray(small.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float32) / 255
    slope_y, slope_x = np.gradient(bump)
    noise = smooth_noise(bump.shape, cell_pixels=1.6, rng=rng) + smooth_noise(
        bump.shape, cell_pixels=5, rng=rng
    )
    gain = 1 + relief * radius * (np.asarray(slope_x) * 0.8 + np.asarray(slope_y)) + texture * noise
    bytes_of_gain = np.clip(gain * 128, 0, 255).astype(np.uint8)
    mask = Image.fromarray(bytes_of_gain, "L").resize(sprite.size, Image.Resampling.BILINEAR)
    colours = sprite.convert("RGB")
    half = ImageChops.multiply(colours, Image.merge("RGB", (mask, mask, mask)))
    lit = ImageChops.add(half, half)
    lit.putalpha(sprite.getchannel("A"))
    return lit


def smooth_noise(
    shape: tuple[int, ...], *, cell_pixels: float, rng: np.random.Generator, stretch: float = 1.0
) -> NDArray[np.float32]:
    """Return noise in -1..1 of `shape` (height, width) with blots of `cell_pixels`, `stretch` times wider than high."""
    height, width = shape[:2]
    rows, columns = max(2, round(height / cell_pixels)), max(2, round(width / cell_pixels / stretch))
    coarse = Image.fromarray(rng.integers(0, 256, (rows, columns), dtype=np.uint8), "L")
    fine = coarse.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(fine, dtype=np.float32) / 127.5 - 1


def tint(sprite: Image.Image, colour: Colour, rng: np.random.Generator) -> Image.Image:
    """Return the sprite's shape in another colour, with fresh relief."""
    plain = Image.new("RGBA", sprite.size, colour)
    plain.putalpha(sprite.getchannel("A"))
    return shade(plain, rng, relief=0.3, texture=0.08)


def vary(colour: Colour, rng: np.random.Generator, amount: int = 14) -> Colour:
    """Return the colour with every channel moved by at most `amount`."""
    red, green, blue = (
        int(np.clip(c + d, 0, 255)) for c, d in zip(colour, rng.integers(-amount, amount + 1, 3), strict=True)
    )
    return red, green, blue


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Return the colour that has `share` of `second` and the rest of `first`."""
    red, green, blue = (round(a * (1 - share) + b * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def ring(num_points: int, radii: Point, *, wobble: Sequence[float] = (0,), phase: float = 0) -> list[Point]:
    """Return points around an ellipse whose radius follows `wobble`, repeated around."""
    points = []
    for k in range(num_points):
        angle = 2 * math.pi * k / num_points + phase
        radius = 1 + wobble[k % len(wobble)]
        points.append((radii[0] * radius * math.cos(angle), radii[1] * radius * math.sin(angle)))
    return points


def _pixels(units: float) -> int:
    return max(1, round(units * _SKETCH_PIXELS_PER_UNIT))

"""An action on its way to the canvas: who plays, and the one moment that a frame shows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from videobert_cli.demo.objects import Looks
from videobert_cli.demo.paint import Colour, Point
from videobert_cli.demo.scene import Stage
from videobert_cli.demo.tools import Tools


@dataclass(frozen=True, kw_only=True)
class Act:
    """One step's action: who plays, how fast, and fixed random numbers (in 0..1) that place its details."""

    looks: Looks
    tools: Tools
    tempo: float
    chances: NDArray[np.float64]

    def chance(self, index: int) -> float:
        """Return the fixed random number of a detail."""
        return float(self.chances[index % len(self.chances)])


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A frame of an action: the canvas, seconds since the action began, and the share of it that is done."""

    stage: Stage
    canvas: Image.Image
    draw: ImageDraw.ImageDraw
    seconds: float
    done: float

    def put(self, sprite: Image.Image, at: Point, *, angle: float = 0, size: float = 1) -> None:
        """Paste a sprite by scene units."""
        self.stage.put(self.canvas, sprite, at, angle=angle, size=size)

    def dot(self, at: Point, radius: float, colour: Colour) -> None:
        """Draw a small disc of `radius` units."""
        x, y = self.stage.pixel(at)
        r = max(0.6, radius * self.stage.scale)
        self.draw.ellipse([x - r, y - r, x + r, y + r], fill=colour)

    def line(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        """Draw a line of `width` units."""
        num_pixels = max(1, round(width * self.stage.scale))
        # Round joints cost a pie slice each, drawn from Python; on thin lines nobody sees them.
        joint = "curve" if num_pixels > 6 else None
        self.draw.line([self.stage.pixel(p) for p in points], fill=colour, width=num_pixels, joint=joint)

    def blob(self, points: Sequence[Point], colour: Colour) -> None:
        """Fill a polygon."""
        self.draw.polygon([self.stage.pixel(p) for p in points], fill=colour)

"""Curves as they are drawn: points in the units of a picture, ticks with their texts, no library and no script."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 480, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 12, 10, 26
# More points than pixels: neighbours are drawn as their mean.
_MAX_NUM_POINTS = 400
_LEAST_SPAN = 1e-12
_NUM_TICKS = 4
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A mark on an axis: where, in the picture's units, and what stands there."""

    at: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One line of a chart: its name, its number among the colours, whether dashed, its path, its last value."""

    name: str
    colour: int
    is_dashed: bool
    path: str
    dots: tuple[tuple[float, float], ...]
    last: str


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A picture of curves over the same axes."""

    title: str
    curves: tuple[Curve, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


def chart(title: str, *, solid: Mapping[str, Points], dashed: Mapping[str, Points]) -> Chart | None:
    """Return the chart of named curves, None where none has a point.

    A solid and a dashed curve of one name have one colour. The vertical axis begins at 0 where that is near.
    """
    named = [(name, points, False) for name, points in solid.items() if points]
    named += [(name, points, True) for name, points in dashed.items() if points]
    if not named:
        return None
    names = list(dict.fromkeys(name for name, _, _ in named))
    values = [value for _, points, _ in named for _, value in points]
    places = [place for _, points, _ in named for place, _ in points]
    x_ticks = ticks(0.0, max(*places, 1.0))
    y_ticks = ticks(0.0 if 0 <= min(values) <= 0.5 * max(values) else min(values), max(values))
    x_range, y_range = (x_ticks[0], max(*places, 1.0)), (y_ticks[0], y_ticks[-1])
    return Chart(
        title=title,
        curves=tuple(
            _curve(name, points, names.index(name), is_dashed=is_dashed, x_range=x_range, y_range=y_range)
            for name, points, is_dashed in named
        ),
        x_ticks=tuple(Tick(at=_x(v, x_range), text=number(v)) for v in x_ticks if v <= x_range[1]),
        y_ticks=tuple(Tick(at=_y(v, y_range), text=number(v)) for v in y_ticks),
    )


def ticks(low: float, high: float) -> list[float]:
    """Return round numbers from at or below `low` to at or above `high`, about five of them.

    >>> ticks(0.0, 10.0), ticks(2.3, 2.9)
    ([0.0, 2.5, 5.0, 7.5, 10.0], [2.2, 2.4, 2.6, 2.8, 3.0])
    """
    # A range that rounding alone spans is that of one number.
    span = high - low if high - low > _LEAST_SPAN * max(1.0, abs(low), abs(high)) else abs(high) or 1.0
    span = max(span, _LEAST_SPAN)
    rough = span / _NUM_TICKS
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{step * n:.12g}") for n in range(first, max(last, first + 1) + 1)]


def number(value: float) -> str:
    """Return a number in as few letters as tell it.

    >>> number(0), number(0.00025), number(0.5), number(1500), number(20000), number(3.25e6)
    ('0', '2.5e-4', '0.5', '1,500', '20k', '3.25M')
    """
    size = abs(value)
    if 0 < size < 1e-3:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    for scale, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size >= scale and (scale > 1e3 or size >= 1e4):
            return f"{value / scale:.4g}{letter}"
    return f"{value:,.4g}" if size < 1000 else f"{value:,.0f}"


def thinned(points: Points, *, num: int = _MAX_NUM_POINTS) -> list[tuple[float, float]]:
    """Return at most `num` points, each the mean of neighbours; the last one stays as it is.

    >>> thinned([(1, 1.0), (2, 3.0), (3, 5.0), (4, 7.0), (5, 9.0)], num=3)
    [(1.5, 2.0), (3.5, 6.0), (5, 9.0)]
    """
    if len(points) <= num:
        return list(points)
    size = math.ceil((len(points) - 1) / (num - 1))
    groups = [points[first : min(first + size, len(points) - 1)] for first in range(0, len(points) - 1, size)]
    means = [
        (sum(place for place, _ in group) / len(group), sum(value for _, value in group) / len(group))
        for group in groups
    ]
    return [*means, points[-1]]


def _curve(
    name: str,
    points: Points,
    colour: int,
    *,
    is_dashed: bool,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
) -> Curve:
    placed = [(_x(place, x_range), _y(value, y_range)) for place, value in thinned(points)]
    path = "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    # Few points are marked: a single one would not be seen as a line.
    dots = tuple(placed) if len(placed) <= 24 else ()
    last = number(points[-1][1])
    return Curve(name=name, colour=colour, is_dashed=is_dashed, path=path, dots=dots, last=last)


def _x(value: float, ends: tuple[float, float]) -> float:
    return round(_LEFT + (WIDTH - _LEFT - _RIGHT) * (value - ends[0]) / ((ends[1] - ends[0]) or 1.0), 1)


def _y(value: float, ends: tuple[float, float]) -> float:
    share = (value - ends[0]) / ((ends[1] - ends[0]) or 1.0)
    return round(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * share, 1)
